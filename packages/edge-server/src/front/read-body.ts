import type { IncomingMessage } from 'node:http';
import type { BodyRoom, BodyShare } from './body-room.ts';

export type BodyResult =
  | { readonly ok: true; readonly body: Buffer | undefined }
  | { readonly ok: false; readonly reason: 'too_large' | 'no_room' | 'aborted' };

const noBytes = Buffer.alloc(0);
const smallestGrowth = 4 * 1024;
const declaredLength = /^\d{1,15}$/;

/** Whether the request declares a body that is longer than the limit, before any of it is read. */
export function declaresTooMuch(request: IncomingMessage, maxBytes: number): boolean {
  const length = request.headers['content-length'];
  return length !== undefined && !(declaredLength.test(length) && Number(length) <= maxBytes);
}

/**
 * The part of a body that has come so far, in one piece of memory: a client that sends its body byte by byte would
 * otherwise fill the memory with what each of a million pieces costs by itself.
 */
class GrowingBody {
  readonly #maxBytes: number;
  readonly #share: BodyShare;
  #memory: Buffer = noBytes;
  #length = 0;

  constructor(maxBytes: number, share: BodyShare) {
    this.#maxBytes = maxBytes;
    this.#share = share;
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  /** @returns why it cannot be added */
  add(piece: Buffer): 'too_large' | 'no_room' | undefined {
    const length = this.#length + piece.length;
    if (length > this.#maxBytes) return 'too_large';
    if (length > this.#memory.length) {
      const isFirst = this.#length === 0;
      const doubled = Math.max(2 * this.#memory.length, smallestGrowth);
      const size = isFirst ? length : Math.min(Math.max(doubled, length), this.#maxBytes);
      if (!this.#share.take(size - this.#memory.length)) return 'no_room';
      if (isFirst) {
        // Most bodies come in one piece, which is then not copied.
        this.#memory = piece;
        this.#length = length;
        return undefined;
      }
      const memory = Buffer.allocUnsafeSlow(size);
      this.#memory.copy(memory, 0, 0, this.#length);
      this.#memory = memory;
    }
    piece.copy(this.#memory, this.#length);
    this.#length = length;
    return undefined;
  }

  drop(): void {
    this.#memory = noBytes;
    this.#length = 0;
  }
}

/**
 * Reads a body to its end, so that a slow client holds up the front and not the broker.
 *
 * `result` rejects only where this program itself fails.
 *
 * @param room shared by all requests; what this one took is given back by `release`, or at once when it fails
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  room: BodyRoom,
): { readonly result: Promise<BodyResult>; readonly release: () => void } {
  const { headers } = request;
  if (headers['transfer-encoding'] === undefined && headers['content-length'] === undefined) {
    return { result: Promise.resolve({ ok: true, body: undefined }), release: () => undefined };
  }
  const { promise: result, resolve, reject } = Promise.withResolvers<BodyResult>();
  const giveUp = () => {
    request.off('data', take);
    body.drop();
    share.giveBack();
  };
  const fail = (reason: 'too_large' | 'no_room' | 'aborted') => {
    giveUp();
    resolve({ ok: false, reason });
  };
  const share = room.open(() => fail('no_room'));
  const body = new GrowingBody(maxBytes, share);
  const take = (piece: Buffer) => {
    try {
      const problem = body.add(piece);
      if (problem !== undefined) fail(problem);
    } catch (error) {
      giveUp();
      reject(error);
    }
  };
  let ended = false;
  request.on('data', take);
  request.once('end', () => {
    ended = true;
    request.off('data', take);
    share.finish();
    resolve({ ok: true, body: body.bytes });
  });
  const abort = () => {
    if (!ended) fail('aborted');
  };
  request.once('close', abort);
  request.once('error', abort);
  return { result, release: share.giveBack };
}
