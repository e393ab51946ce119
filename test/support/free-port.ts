import { createServer } from 'node:net';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';

/** A loopback port that was free a moment ago, outside of the range that the system hands out by itself. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnFreePort(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
