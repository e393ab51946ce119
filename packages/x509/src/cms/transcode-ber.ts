import { type Bytes, concatBytes } from '../bytes.ts';
import { tag } from '../der/tag.ts';
import { encodeElement } from '../der/writer.ts';
import { X509Error } from '../result.ts';

const maxDepth = 24;
const maxElements = 4096;

const constructedBit = 0x20;
const constructedOctetString = tag.octetString | constructedBit;

/**
 * CMS may be written in BER (RFC 5652 §1.2), and some clients do: lengths that are indefinite or
 * longer than needed, octet strings in pieces. This gives the same value with definite, shortest
 * lengths and whole octet strings, so that the strict reader can go on; the order of sets and the
 * contents of primitives stay as they are. Throws `X509Error`.
 */
export function transcodeBer(bytes: Uint8Array): Bytes {
  const transcoder = new Transcoder(bytes);
  const element = transcoder.next(0, bytes.length, maxDepth);
  if (transcoder.offset !== bytes.length) {
    throw new X509Error('trailing_bytes', 'message: trailing bytes');
  }
  return element;
}

class Transcoder {
  readonly #bytes: Uint8Array;
  #elements = 0;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The element at `start`, which must end at `limit` or before; `offset` is behind it afterwards. */
  next(start: number, limit: number, depthLeft: number): Bytes {
    this.#elements += 1;
    if (depthLeft === 0 || this.#elements > maxElements) {
      throw new X509Error('nested_too_deeply', 'message: too many elements');
    }
    const identifier = this.#bytes[start] ?? 0;
    if (start >= limit || (identifier & 0x1f) === 0x1f) throw malformed('tag');
    const { length, contentStart } = this.#length(start + 1, limit);
    const isConstructed = (identifier & constructedBit) !== 0;
    if (!isConstructed) {
      if (length === undefined) throw malformed('indefinite length of a primitive');
      this.offset = contentStart + length;
      return encodeElement(identifier, this.#bytes.subarray(contentStart, this.offset));
    }
    const end = length === undefined ? limit : contentStart + length;
    const members = this.#members(contentStart, end, length === undefined, depthLeft - 1);
    if (identifier !== constructedOctetString) {
      const isContainer =
        identifier >= 0x40 || identifier === tag.sequence || identifier === tag.set;
      if (!isContainer) throw malformed('constructed form of a primitive');
      return encodeElement(identifier, ...members);
    }
    return encodeElement(tag.octetString, joinOctetStrings(members));
  }

  #members(start: number, end: number, isIndefinite: boolean, depthLeft: number): Bytes[] {
    const members: Bytes[] = [];
    let at = start;
    for (;;) {
      if (isIndefinite && this.#bytes[at] === 0 && this.#bytes[at + 1] === 0 && at + 2 <= end) {
        this.offset = at + 2;
        return members;
      }
      if (!isIndefinite && at === end) {
        this.offset = end;
        return members;
      }
      members.push(this.next(at, end, depthLeft));
      at = this.offset;
    }
  }

  #length(start: number, limit: number): { length: number | undefined; contentStart: number } {
    const first = start < limit ? (this.#bytes[start] ?? 0) : 0xff;
    if (first === 0x80) return { length: undefined, contentStart: start + 1 };
    let length = first;
    let contentStart = start + 1;
    if (first > 0x80) {
      const count = first & 0x7f;
      if (count > 4 || contentStart + count > limit) throw malformed('length');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (this.#bytes[contentStart + i] ?? 0);
      contentStart += count;
    }
    if (contentStart + length > limit) throw malformed('cut off');
    return { length, contentStart };
  }
}

/** Content octets of OCTET STRINGs one after another: what a constructed one means (X.690 §8.7.3). */
export function joinOctetStrings(pieces: readonly Uint8Array[]): Bytes {
  return concatBytes(
    ...pieces.map((piece) => {
      if (piece[0] !== tag.octetString) throw malformed('octet string in pieces');
      const first = piece[1] ?? 0;
      return piece.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f));
    }),
  );
}

function malformed(what: string): X509Error {
  return new X509Error('malformed_der', `message: ${what}`);
}
