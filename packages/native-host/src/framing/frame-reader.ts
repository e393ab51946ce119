import { frameHeaderBytes, readFrameLength } from './frame.ts';

export type FrameEvent =
  | { readonly type: 'message'; readonly message: Uint8Array }
  /** The announced length is 0 or above the maximum. What follows cannot be told apart from it: stop reading. */
  | { readonly type: 'refused'; readonly announcedBytes: number };

/**
 * Takes frames out of a byte stream that may split and join them anywhere. A length is judged before anything is
 * allocated for it, so a peer can make this hold no more than one message of the maximum size.
 */
export class FrameReader {
  readonly #maxMessageBytes: number;
  readonly #header = new Uint8Array(frameHeaderBytes);
  #headerFilled = 0;
  #message: Uint8Array | undefined;
  #messageFilled = 0;
  #refused = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** What `chunk` completes, in order; ends at a refusal. */
  *read(chunk: Uint8Array): Generator<FrameEvent> {
    let rest = chunk;
    while (rest.length > 0 && !this.#refused) {
      rest = this.#message === undefined ? this.#readHeader(rest) : this.#readMessage(rest);
      if (this.#refused) {
        yield { type: 'refused', announcedBytes: readFrameLength(this.#header) };
      } else if (this.#message !== undefined && this.#messageFilled === this.#message.length) {
        const message = this.#message;
        this.#message = undefined;
        this.#headerFilled = 0;
        yield { type: 'message', message };
      }
    }
  }

  /** True when the stream may end here: between two frames. */
  get isBetweenFrames(): boolean {
    return this.#headerFilled === 0;
  }

  #readHeader(chunk: Uint8Array): Uint8Array {
    const part = chunk.subarray(0, frameHeaderBytes - this.#headerFilled);
    this.#header.set(part, this.#headerFilled);
    this.#headerFilled += part.length;
    if (this.#headerFilled === frameHeaderBytes) {
      const length = readFrameLength(this.#header);
      if (length === 0 || length > this.#maxMessageBytes) this.#refused = true;
      else {
        this.#message = new Uint8Array(length);
        this.#messageFilled = 0;
      }
    }
    return chunk.subarray(part.length);
  }

  #readMessage(chunk: Uint8Array): Uint8Array {
    if (this.#message === undefined) return chunk;
    const part = chunk.subarray(0, this.#message.length - this.#messageFilled);
    this.#message.set(part, this.#messageFilled);
    this.#messageFilled += part.length;
    return chunk.subarray(part.length);
  }
}
