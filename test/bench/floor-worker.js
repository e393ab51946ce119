// The floor that the broker is measured against: the same runtime with no product in it.
import { DurableObject } from 'cloudflare:workers';

export class Floor extends DurableObject {
  ping() {
    return 'pong';
  }
}

export default {
  async fetch(request, environment) {
    if (request.method === 'POST') await request.arrayBuffer();
    if (new URL(request.url).pathname === '/hello') return new Response('hello');
    const floor = environment.FLOOR.get(environment.FLOOR.idFromName('floor'));
    return Response.json({ answer: await floor.ping() });
  },
};
