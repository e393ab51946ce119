import { type Bytes, compareBytes } from './bytes.ts';
import { DerReader, ownBytes } from './der/reader.ts';
import { tag } from './der/tag.ts';
import { encodeSequence, encodeUnsignedInteger } from './der/writer.ts';
import { attempt, X509Error, type X509Result } from './result.ts';

export type EcCurve = 'P-256' | 'P-384';

/** Order n of the base point (SEC 2 §2.4.2, §2.5.1), big-endian. */
const groupOrderHex: Readonly<Record<EcCurve, string>> = {
  'P-256': 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  'P-384':
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
};

const groupOrders = /* @__PURE__ */ new Map<EcCurve, Bytes>();

function groupOrder(curve: EcCurve): Bytes {
  let order = groupOrders.get(curve);
  if (order === undefined) {
    const hex = groupOrderHex[curve];
    order = new Uint8Array(hex.length / 2);
    for (let i = 0; i < order.length; i++) order[i] = Number.parseInt(hex.substr(i * 2, 2), 16);
    groupOrders.set(curve, order);
  }
  return order;
}

/**
 * ECDSA-Sig-Value (RFC 3279 §2.2.3) to r and s side by side, as WebCrypto and JWS take them. There
 * is exactly one encoding of each signature that passes: `malformed_signature` otherwise.
 */
export function ecdsaSignatureToRaw(der: Uint8Array, curve: EcCurve): X509Result<Bytes> {
  return attempt(() => {
    const order = groupOrder(curve);
    try {
      // SEQUENCE header 2 or 3, two INTEGER headers of 2, two sign octets.
      const outer = new DerReader(ownBytes(der, 2 * order.length + 9, 'ECDSA signature'));
      const reader = outer.enter(tag.sequence, 'ECDSA signature');
      outer.finish('ECDSA signature');
      const raw = new Uint8Array(2 * order.length);
      for (const [end, what] of [[order.length, 'r'] as const, [2 * order.length, 's'] as const]) {
        const magnitude = reader.unsignedInteger(what);
        if (magnitude.length > order.length) throw outOfRange(what);
        raw.set(magnitude, end - magnitude.length);
      }
      reader.finish('ECDSA signature');
      assertRange(raw, order);
      return raw;
    } catch (error) {
      if (error instanceof X509Error) throw new X509Error('malformed_signature', error.message);
      throw error;
    }
  });
}

/** r and s side by side to ECDSA-Sig-Value. Refuses values outside 1 to n−1 and other lengths. */
export function ecdsaSignatureFromRaw(raw: Uint8Array, curve: EcCurve): X509Result<Bytes> {
  return attempt(() => {
    const order = groupOrder(curve);
    if (raw.length !== 2 * order.length) {
      throw new X509Error('malformed_signature', 'ECDSA signature: length not allowed');
    }
    assertRange(raw, order);
    return encodeSequence(
      encodeUnsignedInteger(raw.subarray(0, order.length)),
      encodeUnsignedInteger(raw.subarray(order.length)),
    );
  });
}

function assertRange(raw: Uint8Array, order: Bytes): void {
  const r = raw.subarray(0, order.length);
  const s = raw.subarray(order.length);
  for (const [what, value] of [['r', r] as const, ['s', s] as const]) {
    if (value.every((octet) => octet === 0) || compareBytes(value, order) >= 0) {
      throw outOfRange(what);
    }
  }
}

function outOfRange(what: string): X509Error {
  return new X509Error('malformed_signature', `ECDSA signature: ${what} not between 1 and n-1`);
}
