import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { durableObjectClasses } from '../workerd/workerd-configuration.ts';

/**
 * A small worker with the broker's classes. It answers `/healthz`, tells about any other request what it received,
 * counts durable visits at `/count`, takes its time at `/slow`, names its broker URL at `/text` and lists its bindings at `/bindings`.
 */
const source = `
import { DurableObject } from 'cloudflare:workers';
export class DeviceObject extends DurableObject {
  count() {
    const { sql } = this.ctx.storage;
    sql.exec('CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY)');
    sql.exec('INSERT INTO visits DEFAULT VALUES');
    return sql.exec('SELECT count(*) AS visits FROM visits').one().visits;
  }
}
OTHERS
const health = HEALTH;
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === '/healthz') return Response.json(health, { status: health.status === 'ok' ? 200 : 503 });
    if (url.pathname === '/count') return Response.json({ visits: await env.DEVICE.getByName('one').count() });
    if (url.pathname === '/text') return Response.json({ brokerUrl: env.BROKER_URL });
    if (url.pathname === '/v1/admin/state/marks') return Response.json({
      organization_id: env.ORGANIZATION_ID,
      shard_count: 1,
      organization: { version: 1, changes: 0, imports: 0, import_id: null },
      shards: [{ shard: 0, device: { count: 0, hash: 'A'.repeat(43), certificates: 0, changes: 0 }, key: { changes: 0 } }],
    });
    if (url.pathname === '/slow') await scheduler.wait(600);
    if (url.pathname === '/bindings') {
      const bound = Object.entries(env);
      const texts = bound.filter(([, value]) => typeof value === 'string');
      const keys = bound.filter(([, value]) => value instanceof CryptoKey);
      const outward = await fetch('http://127.0.0.1:9/').then(() => 'reached', () => 'refused');
      return Response.json({
        texts: Object.fromEntries(texts),
        keys: Object.fromEntries(keys.map(([name, key]) => [name, { extractable: key.extractable, algorithm: key.algorithm.name, usages: key.usages }])),
        outward,
      });
    }
    const body = await request.text();
    return Response.json({ url: request.url, method: request.method, cf: request.cf, headers: [...request.headers], bodyLength: body.length });
  },
};
`;

/** The classes that only have to be there. */
const others = durableObjectClasses
  .filter(({ binding }) => binding !== 'DEVICE')
  .map(({ className }) => `export class ${className} extends DurableObject {}\n`)
  .join('');

/** Writes the worker module into `directory` and returns its path. */
export function writeEchoWorker(directory: string, health: object = { status: 'ok' }): string {
  const path = join(directory, 'echo-worker.js');
  writeFileSync(path, source.replace('OTHERS', others).replace('HEALTH', JSON.stringify(health)));
  return path;
}
