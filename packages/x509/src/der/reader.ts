import { type Bytes, hexOf } from '../bytes.ts';
import { X509Error } from '../result.ts';
import { decodeObjectIdentifier } from './object-identifier.ts';
import { tag } from './tag.ts';

/**
 * A cursor over DER (X.690 §10, §11). It accepts one encoding of each value only: low tag numbers,
 * definite lengths in their shortest form, minimal integers, canonical booleans. Callers say which
 * tag they expect, so the nesting they accept is what their own code spells out. Every refusal is
 * an `X509Error`.
 *
 * Slices share the memory of the input; `ownBytes` makes the one copy that keeps later changes by
 * the caller out.
 */
export class DerReader {
  readonly #bytes: Bytes;
  readonly #end: number;
  #offset: number;
  #contentStart = 0;

  constructor(bytes: Bytes, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#offset === this.#end;
  }

  /** The identifier octet of the next element; undefined at the end. */
  peekTag(): number | undefined {
    return this.atEnd ? undefined : this.#bytes[this.#offset];
  }

  /** Refuses what is left over. `what` names the structure. */
  finish(what: string): void {
    if (!this.atEnd) throw new X509Error('trailing_bytes', `${what}: trailing bytes`);
  }

  /** A reader over the content of the next element, which must have this tag. */
  enter(expectedTag: number, what: string): DerReader {
    const end = this.#take(expectedTag, what);
    return new DerReader(this.#bytes, this.#contentStart, end);
  }

  /** Content octets of the next element, which must have this tag. */
  content(expectedTag: number, what: string): Bytes {
    const end = this.#take(expectedTag, what);
    return this.#bytes.subarray(this.#contentStart, end);
  }

  /** The whole next element: identifier, length and content. Its content is not looked at. */
  element(expectedTag: number, what: string): Bytes {
    const start = this.#offset;
    const end = this.#take(expectedTag, what);
    return this.#bytes.subarray(start, end);
  }

  /** Content octets of an INTEGER in two's complement; shortest form (X.690 §8.3.2). */
  integer(what: string, expectedTag: number = tag.integer): Bytes {
    const content = this.content(expectedTag, what);
    const [first, second] = content;
    if (first === undefined) throw new X509Error('malformed_der', `${what}: empty integer`);
    if (second !== undefined) {
      const padded = (first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80);
      if (padded) throw new X509Error('malformed_der', `${what}: padded integer`);
    }
    return content;
  }

  /** An INTEGER that is not negative, as its magnitude without leading zero octets (zero is `00`). */
  unsignedInteger(what: string): Bytes {
    const content = this.integer(what);
    if ((content[0] ?? 0) >= 0x80) {
      throw new X509Error('malformed_structure', `${what}: negative integer`);
    }
    return content.length > 1 && content[0] === 0 ? content.subarray(1) : content;
  }

  /** An INTEGER between 0 and 127. */
  smallInteger(what: string): number {
    const [only, more] = this.unsignedInteger(what);
    if (only === undefined || only > 127 || more !== undefined) {
      throw new X509Error('malformed_structure', `${what}: integer out of range`);
    }
    return only;
  }

  boolean(what: string): boolean {
    const [octet, more] = this.content(tag.boolean, what);
    if (more !== undefined || (octet !== 0x00 && octet !== 0xff)) {
      throw new X509Error('malformed_der', `${what}: boolean not canonical`);
    }
    return octet === 0xff;
  }

  objectIdentifier(what: string): string {
    return decodeObjectIdentifier(this.content(tag.objectIdentifier, what));
  }

  null(what: string): void {
    if (this.content(tag.null, what).length > 0) {
      throw new X509Error('malformed_der', `${what}: NULL with content`);
    }
  }

  /** A BIT STRING that holds whole octets, as keys and signatures do. */
  octetAlignedBits(what: string): Bytes {
    const content = this.content(tag.bitString, what);
    if (content[0] !== 0) throw new X509Error('malformed_der', `${what}: unused bits`);
    return content.subarray(1);
  }

  /** The positions of the bits set in a named bit list: no trailing zero bits (X.690 §11.2.2). */
  namedBits(what: string): number[] {
    const content = this.content(tag.bitString, what);
    const unused = content[0];
    const last = content[content.length - 1] ?? 0;
    const empty = content.length === 1;
    if (unused === undefined || unused > 7 || (empty && unused !== 0)) {
      throw new X509Error('malformed_der', `${what}: unused bits`);
    }
    // The lowest bit that counts must be set and the padding below it must be zero.
    if (!empty && (last & ((1 << (unused + 1)) - 1)) !== 1 << unused) {
      throw new X509Error('malformed_der', `${what}: bit list not canonical`);
    }
    const positions: number[] = [];
    for (let bit = 0; bit < (content.length - 1) * 8; bit++) {
      if (((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) positions.push(bit);
    }
    return positions;
  }

  /** Reads identifier and length, moves past the element; the content is #contentStart to the result. */
  #take(expectedTag: number, what: string): number {
    const bytes = this.#bytes;
    const actualTag = this.peekTag();
    if (actualTag === undefined) throw new X509Error('malformed_der', `${what}: missing`);
    if (actualTag !== expectedTag) {
      const found = hexOf(new Uint8Array([actualTag]));
      throw new X509Error('malformed_structure', `${what}: unexpected tag ${found}`);
    }
    let offset = this.#offset + 1;
    let length = offset < this.#end ? (bytes[offset] ?? 0) : 0x80;
    offset += 1;
    if (length >= 0x80) {
      const count = length & 0x7f;
      // 0x80 is the indefinite form; more than three octets is larger than any input taken here.
      if (count === 0 || count > 3 || offset + count > this.#end) {
        throw new X509Error('malformed_der', `${what}: length not allowed`);
      }
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[offset + i] ?? 0);
      offset += count;
      if (length < (count === 1 ? 0x80 : 256 ** (count - 1))) {
        throw new X509Error('malformed_der', `${what}: length not in its shortest form`);
      }
    }
    const end = offset + length;
    if (end > this.#end) throw new X509Error('malformed_der', `${what}: cut off`);
    this.#contentStart = offset;
    this.#offset = end;
    return end;
  }
}

/** A private copy of the input, refused when it is longer than `maxBytes`. */
export function ownBytes(input: Uint8Array, maxBytes: number, what: string): Bytes {
  if (input.length > maxBytes) {
    throw new X509Error('too_large', `${what}: more than ${maxBytes} bytes`);
  }
  return new Uint8Array(input);
}
