/** What a TPM marshals (TPM 2.0 Library, part 1 section 15): big-endian numbers, buffers behind their size. */

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** TPM2B: the size in two octets, then the bytes. */
export function sized(...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

/** Thrown for an answer that is cut off. */
export class TpmBytesError extends Error {}

export class TpmBytesReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new TpmBytesError('an answer that is cut off');
    const taken = Buffer.from(this.#bytes.subarray(this.#offset, end));
    this.#offset = end;
    return taken;
  }

  uint16(): number {
    return this.take(2).readUInt16BE();
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  /** The content of a TPM2B. */
  sized(): Buffer {
    return this.take(this.uint16());
  }

  /** Everything that is left. */
  rest(): Buffer {
    return this.take(this.#bytes.length - this.#offset);
  }
}
