/** Thrown inside this folder only; `attempt` turns it into a failure. */
export class TpmFormatError extends Error {}

/** A structure that could be read, or why it is not one. `detail` repeats no bytes of the input. */
export type TpmResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly detail: string };

/** Runs `work`; a refusal of the input becomes a failure, anything else is a defect and stays thrown. */
export function attempt<Value>(work: () => Value): TpmResult<Value> {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    if (error instanceof TpmFormatError) return { ok: false, detail: error.message };
    throw error;
  }
}

/**
 * A cursor over what a TPM marshals (TPM 2.0 Library, part 1 section 15): big-endian numbers, and buffers behind their
 * size in two octets. Every refusal is a `TpmFormatError`.
 */
export class TpmReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    // A copy: later changes by the caller do not get in.
    this.#bytes = new Uint8Array(bytes);
  }

  /** The next octets; a copy. */
  take(length: number, what: string): Uint8Array<ArrayBuffer> {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new TpmFormatError(`${what}: cut off`);
    const taken = this.#bytes.slice(this.#offset, end);
    this.#offset = end;
    return taken;
  }

  uint16(what: string): number {
    const [high = 0, low = 0] = this.take(2, what);
    return high * 256 + low;
  }

  uint32(what: string): number {
    return this.uint16(what) * 65_536 + this.uint16(what);
  }

  /** The content of a TPM2B. */
  sized(maxBytes: number, what: string): Uint8Array<ArrayBuffer> {
    const size = this.uint16(what);
    if (size > maxBytes) throw new TpmFormatError(`${what}: more than ${maxBytes} bytes`);
    return this.take(size, what);
  }

  /** Refuses what is left over. */
  finish(what: string): void {
    if (this.#offset !== this.#bytes.length) throw new TpmFormatError(`${what}: trailing bytes`);
  }
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (const [index, byte] of one.entries()) difference |= byte ^ (other[index] ?? 0);
  return difference === 0;
}

export const uint16Bytes = (value: number) => new Uint8Array([value >> 8, value & 0xff]);

export const uint32Bytes = (value: number) =>
  new Uint8Array([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);

/** TPM2B: the size in two octets, then the bytes. */
export const sizedBytes = (bytes: Uint8Array) => concatBytes(uint16Bytes(bytes.length), bytes);
