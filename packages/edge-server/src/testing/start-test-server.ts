import { createServer } from 'node:net';
import { join } from 'node:path';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { onTestFinished } from 'vitest';
import type { EdgeServerOptions } from '../edge-server-options.ts';
import { type RunningEdgeServer, startEdgeServer } from '../start-edge-server.ts';
import { writeEchoWorker } from './echo-worker.ts';

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnFreePort(server);
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Options for a server with the echo worker, all of it below `directory`. */
export async function testOptions(directory: string) {
  return {
    dataDirectory: join(directory, 'data'),
    httpPort: await freePort(),
    tlsPort: await freePort(),
    workerBundle: writeEchoWorker(directory),
  } satisfies EdgeServerOptions;
}

/** A running server that is stopped with the test. */
export async function startTestServer(options: EdgeServerOptions): Promise<RunningEdgeServer> {
  const server = await startEdgeServer(options);
  onTestFinished(() => server.stop());
  return server;
}

/** Visits the echo worker once more. @returns how many visits its storage has counted */
export async function visits(url: string): Promise<number> {
  const answer: unknown = await (await fetch(`${url}/count`, { method: 'POST' })).json();
  return Number(Object(answer).visits);
}
