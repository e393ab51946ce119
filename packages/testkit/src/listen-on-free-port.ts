import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below the range that Linux hands out for outgoing connections, which could hold the same port for a minute. */
const firstPort = 20_000;
const lastPort = 31_999;

/** Makes `server` listen on a free loopback port and returns the port. */
export async function listenOnFreePort(server: Server, host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort + 1));
    try {
      server.listen(port, host);
      await once(server, 'listening');
      return port;
    } catch (error) {
      const busy = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!busy) throw error;
    }
  }
  throw new Error(`no free port between ${firstPort} and ${lastPort}`);
}

/** For programs that are told their port and listen themselves. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnFreePort(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
