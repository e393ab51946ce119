import { type Bytes, compareBytes, textBytes } from '../bytes.ts';
import { encodeObjectIdentifier } from './object-identifier.ts';
import { tag } from './tag.ts';

/** One element in DER: identifier octet, shortest length, the contents one after another. */
export function encodeElement(identifier: number, ...contents: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const content of contents) length += content.length;
  const lengthOctets = length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 4;
  const element = new Uint8Array(1 + lengthOctets + length);
  element[0] = identifier;
  if (lengthOctets === 1) {
    element[1] = length;
  } else {
    element[1] = 0x80 | (lengthOctets - 1);
    for (let i = 2, shift = (lengthOctets - 2) * 8; shift >= 0; i++, shift -= 8) {
      element[i] = (length >>> shift) & 0xff;
    }
  }
  let offset = 1 + lengthOctets;
  for (const content of contents) {
    element.set(content, offset);
    offset += content.length;
  }
  return element;
}

export function encodeSequence(...elements: readonly Uint8Array[]): Bytes {
  return encodeElement(tag.sequence, ...elements);
}

/** SET OF: the elements are put in the order of their encodings (X.690 §11.6). */
export function encodeSetOf(...elements: readonly Uint8Array[]): Bytes {
  return encodeElement(tag.set, ...elements.toSorted(compareBytes));
}

/** INTEGER from an unsigned big-endian magnitude; leading zeros are dropped, a sign octet added. */
export function encodeUnsignedInteger(magnitude: Uint8Array): Bytes {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const minimal = magnitude.subarray(start);
  const first = minimal[0];
  if (first === undefined) return encodeElement(tag.integer, new Uint8Array(1));
  return first >= 0x80
    ? encodeElement(tag.integer, new Uint8Array(1), minimal)
    : encodeElement(tag.integer, minimal);
}

/** INTEGER between 0 and 127. */
export function encodeSmallInteger(value: number): Bytes {
  if (!Number.isInteger(value) || value < 0 || value > 127) {
    throw new RangeError('not an integer between 0 and 127');
  }
  return encodeElement(tag.integer, new Uint8Array([value]));
}

/** DER omits a value that equals its DEFAULT, so FALSE is rarely written. */
export function encodeBoolean(value: boolean): Bytes {
  return encodeElement(tag.boolean, new Uint8Array([value ? 0xff : 0x00]));
}

export function encodeNull(): Bytes {
  return encodeElement(tag.null);
}

const encodedOids = /* @__PURE__ */ new Map<string, Bytes>();

/** Kept once made: the arguments are the few constants of the program. Not to be written to. */
export function encodeOid(dotted: string): Bytes {
  let element = encodedOids.get(dotted);
  if (element === undefined) {
    element = encodeElement(tag.objectIdentifier, encodeObjectIdentifier(dotted));
    encodedOids.set(dotted, element);
  }
  return element;
}

export function encodeOctetString(content: Uint8Array): Bytes {
  return encodeElement(tag.octetString, content);
}

/** BIT STRING of whole octets. */
export function encodeOctetAlignedBits(content: Uint8Array): Bytes {
  return encodeElement(tag.bitString, new Uint8Array(1), content);
}

/** BIT STRING as a named bit list, without trailing zero bits (X.690 §11.2.2). */
export function encodeNamedBits(positions: readonly number[]): Bytes {
  const highest = Math.max(-1, ...positions);
  if (highest < 0) return encodeElement(tag.bitString, new Uint8Array(1));
  const content = new Uint8Array(2 + (highest >> 3));
  content[0] = 7 - (highest & 7);
  for (const bit of positions) {
    const index = 1 + (bit >> 3);
    content[index] = (content[index] ?? 0) | (0x80 >> (bit & 7));
  }
  return encodeElement(tag.bitString, content);
}

export function encodeUtf8String(text: string): Bytes {
  return encodeElement(tag.utf8String, textBytes(text));
}
