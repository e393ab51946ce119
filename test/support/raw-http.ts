import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** HTTP as bytes on a connection: for requests that no HTTP library would send. */
export type RawAnswer = {
  /** Status codes of all answers that arrived, in order. */
  readonly statuses: readonly number[];
  readonly text: string;
  /** Whether the server closed the connection. */
  readonly closed: boolean;
};

/** Longer than any answer takes, and shorter than the server waits before it cuts off whoever dawdles. */
const quietMs = 5_000;

/**
 * Sends `bytes` on a connection of its own and collects what comes back until the server closes it, or has been silent
 * for so long that nothing more is to come. A request that has it closed is answered sooner.
 */
export async function exchangeBytes(port: number, bytes: string | Uint8Array): Promise<RawAnswer> {
  const connection = await openConnection(port);
  connection.socket.write(bytes);
  await connection.settled();
  connection.socket.destroy();
  return connection.answer();
}

export async function openConnection(port: number) {
  const socket: Socket = connect({ host: '127.0.0.1', port });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  let text = '';
  let closed = false;
  let lastByteAt = performance.now();
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    text += String(chunk);
    lastByteAt = performance.now();
  });
  socket.on('close', () => {
    closed = true;
  });
  // A connection that the server resets has said what it has to say.
  socket.on('error', () => socket.destroy());
  return {
    socket,
    answer: (): RawAnswer => ({
      text,
      closed,
      statuses: [...text.matchAll(/(?:^|\r\n|\n|\})HTTP\/1\.1 (\d{3}) /g)].map((match) =>
        Number(match[1]),
      ),
    }),
    /** Waits until the server closes the connection or has been silent for long. */
    settled: async () => {
      while (!closed && performance.now() - lastByteAt < quietMs) await sleep(10);
    },
    /** Waits until the server closes the connection. */
    closedWithin: async (limitMs: number) => {
      const since = performance.now();
      while (!closed && performance.now() - since < limitMs) await sleep(20);
      return closed;
    },
  };
}
