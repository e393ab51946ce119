import type { Bytes } from '../bytes.ts';
import { X509Error } from '../result.ts';

const maxContentOctets = 64;

/**
 * Content octets (no tag, no length) of a dotted object identifier. Arcs may be of any size, as
 * those under 2.25 are (X.667). Throws a RangeError on text that is no object identifier: the
 * argument is always a constant of the program.
 */
export function encodeObjectIdentifier(dotted: string): Bytes {
  const arcs = /^[0-2](\.(0|[1-9][0-9]*))+$/.test(dotted) ? dotted.split('.').map(BigInt) : [];
  const [first, second, ...rest] = arcs;
  if (first === undefined || second === undefined || (first < 2n && second > 39n)) {
    throw new RangeError(`not an object identifier: ${dotted}`);
  }
  const octets: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const groups = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80);
    octets.push(...groups);
  }
  return new Uint8Array(octets);
}

/** Dotted form of content octets; refuses padded or cut-off arcs (X.690 §8.19.2). */
export function decodeObjectIdentifier(content: Uint8Array): string {
  if (content.length === 0 || content.length > maxContentOctets) {
    throw new X509Error('malformed_der', 'object identifier: length not allowed');
  }
  const arcs: (number | bigint)[] = [];
  let arc: number | bigint = 0;
  let atStart = true;
  for (const octet of content) {
    if (atStart && octet === 0x80) {
      throw new X509Error('malformed_der', 'object identifier: padded arc');
    }
    const group = octet & 0x7f;
    // Seven more bits fit a double exactly as long as the arc is below 2^45.
    arc =
      typeof arc === 'number' && arc < 2 ** 45
        ? arc * 128 + group
        : BigInt(arc) * 128n + BigInt(group);
    atStart = octet < 0x80;
    if (atStart) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [head, ...rest] = arcs;
  if (!atStart || head === undefined) {
    throw new X509Error('malformed_der', 'object identifier: cut off');
  }
  const root = head < 40 ? 0 : head < 80 ? 1 : 2;
  const second = typeof head === 'number' ? head - root * 40 : head - 80n;
  return [root, second, ...rest].join('.');
}
