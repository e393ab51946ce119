import { connect, type Socket } from 'node:net';
import * as z from 'zod/mini';

/** Firefox's own remote control, as WebDriver programs use it: one command at a time over a loopback connection. */
export type Marionette = {
  /** Sends a command (`WebDriver:Navigate`) and gives what it returned. Throws what the browser answers as an error. */
  call(command: string, parameters?: object): Promise<unknown>;
  disconnect(): void;
};

/** `[1, id, error or null, result]`. What is no array is the greeting. */
const answerSchema = z.tuple([z.literal(1), z.number(), z.unknown(), z.unknown()]);
const errorSchema = z.looseObject({ error: z.string(), message: z.string() });

type Waiting = { resolve(result: unknown): void; reject(error: Error): void };

/** Connects to the port that the browser has written into its profile. */
export async function connectMarionette(port: number, timeoutMs = 60_000): Promise<Marionette> {
  const waiting = new Map<number, Waiting>();
  const socket = await open(port);
  const giveUp = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  readMessages(socket, (message) => {
    const parsed = z.safeParse(answerSchema, message);
    if (!parsed.success) return;
    const [, id, error, result] = parsed.data;
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === null) asked?.resolve(result);
    else asked?.reject(errorOf(error));
  });
  socket.on('error', giveUp);
  socket.on('close', () => giveUp(new Error('the browser closed the connection')));

  let lastId = 0;
  return {
    call(command, parameters = {}) {
      const id = ++lastId;
      const message = JSON.stringify([0, id, command, parameters]);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(new Error(`${command} took longer than ${timeoutMs} ms`));
        }, timeoutMs);
        const settled = <Argument>(settle: (argument: Argument) => void) => {
          return (argument: Argument) => {
            clearTimeout(timer);
            settle(argument);
          };
        };
        waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
        socket.write(`${Buffer.byteLength(message)}:${message}`);
      });
    },
    disconnect: () => void socket.destroy(),
  };
}

function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** A message is its length in bytes, a colon, and JSON. */
function readMessages(socket: Socket, see: (message: unknown) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    for (;;) {
      const colon = pending.indexOf(':');
      if (colon === -1) return;
      const end = colon + 1 + Number(pending.subarray(0, colon).toString());
      if (pending.length < end) return;
      see(JSON.parse(pending.subarray(colon + 1, end).toString()));
      pending = pending.subarray(end);
    }
  });
}

function errorOf(error: unknown): Error {
  const parsed = z.safeParse(errorSchema, error);
  return new Error(
    parsed.success ? `${parsed.data.error}: ${parsed.data.message}` : JSON.stringify(error),
  );
}
