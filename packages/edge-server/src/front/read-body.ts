import type { IncomingMessage } from 'node:http';

export type BodyResult =
  | { readonly ok: true; readonly body: Buffer | undefined }
  | { readonly ok: false; readonly reason: 'too_large' | 'no_room' | 'aborted' };

/** Whole bodies that wait in memory, of all connections together. */
export type BodyRoom = { freeBytes: number };

const emptyBody = Buffer.alloc(0);
const declaredLength = /^\d{1,15}$/;

/** Whether the request declares a body that is longer than the limit, before any of it is read. */
export function declaresTooMuch(request: IncomingMessage, maxBytes: number): boolean {
  const length = request.headers['content-length'];
  return length !== undefined && !(declaredLength.test(length) && Number(length) <= maxBytes);
}

/**
 * Reads a body to its end, so that a slow client holds up the front and not the broker.
 *
 * @param room shared by all requests; what this one took is given back by `release`
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  room: BodyRoom,
): { readonly result: Promise<BodyResult>; readonly release: () => void } {
  let taken = 0;
  const release = () => {
    room.freeBytes += taken;
    taken = 0;
  };
  const { headers } = request;
  if (headers['transfer-encoding'] === undefined && headers['content-length'] === undefined) {
    return { result: Promise.resolve({ ok: true, body: undefined }), release };
  }
  const result = new Promise<BodyResult>((resolve) => {
    const chunks: Buffer[] = [];
    const finish = (outcome: BodyResult) => {
      request.off('data', take);
      resolve(outcome);
    };
    const take = (chunk: Buffer) => {
      if (taken + chunk.length > maxBytes) return finish({ ok: false, reason: 'too_large' });
      if (chunk.length > room.freeBytes) return finish({ ok: false, reason: 'no_room' });
      taken += chunk.length;
      room.freeBytes -= chunk.length;
      chunks.push(chunk);
    };
    request.on('data', take);
    request.once('end', () => {
      const [first = emptyBody, ...more] = chunks;
      finish({ ok: true, body: more.length === 0 ? first : Buffer.concat(chunks) });
    });
    request.once('close', () => finish({ ok: false, reason: 'aborted' }));
    request.once('error', () => finish({ ok: false, reason: 'aborted' }));
  });
  return { result, release };
}
