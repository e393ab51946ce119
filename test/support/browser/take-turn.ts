import { createServer, type Server } from 'node:net';

/** A name that exists only while a process holds it: nothing is left behind by a run that was killed. */
const socketName = '\0countersign-browser-tests';

/**
 * Waits until no other run of browser tests is on this machine, whose policy folders they share, and keeps others out
 * until the returned function is called. Throws after `timeoutMs`.
 */
export async function takeTurn(timeoutMs = 900_000): Promise<() => Promise<void>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const held = await holdName();
    if (held !== undefined) return () => new Promise((resolve) => held.close(() => resolve()));
    if (performance.now() > deadline) {
      throw new Error('another run of browser tests holds this machine');
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function holdName(): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen({ path: socketName }, () => resolve(server.unref()));
  });
}
