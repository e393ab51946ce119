import { createHash } from 'node:crypto';
import { decodeBase64url } from '@countersign/protocol';
import { responseContentEncryption } from '@countersign/protocol/device-response';

/** ECDH-ES on P-256 for A256GCM (RFC 7518 section 4.6), in direct mode: what both directions of a JWE need. */

/** Concat KDF input after the shared secret (RFC 7518 section 4.6.2), for A256GCM with empty party infos. */
const otherInfo = (() => {
  const algorithm = new TextEncoder().encode(responseContentEncryption);
  const info = new Uint8Array(4 + algorithm.length + 4 + 4 + 4);
  const view = new DataView(info.buffer);
  view.setUint32(0, algorithm.length);
  info.set(algorithm, 4);
  view.setUint32(info.length - 4, 256);
  return info;
})();

function deriveContentKey(secret: ArrayBuffer): Uint8Array {
  const input = new Uint8Array(4 + secret.byteLength + otherInfo.length);
  input[3] = 1;
  input.set(new Uint8Array(secret), 4);
  input.set(otherInfo, 4 + secret.byteLength);
  return createHash('sha256').update(input).digest();
}

/** Uncompressed point (SEC 1 section 2.3.3), which imports faster than a JWK; `undefined` unless both are base64url. */
function encodePoint(publicJwk: { readonly x: string; readonly y: string }) {
  const x = decodeBase64url(publicJwk.x);
  const y = decodeBase64url(publicJwk.y);
  if (x === undefined || y === undefined) return undefined;
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(x, 1);
  point.set(y, 33);
  return point;
}

/**
 * The content key that the two sides agree on.
 *
 * @param publicJwk P-256, of the other side
 * @param privateKey ECDH P-256 with usage `deriveBits`
 * @throws where the public key is no point of the curve
 */
export async function agreeOnContentKey(
  publicJwk: { readonly x: string; readonly y: string },
  privateKey: CryptoKey,
): Promise<Uint8Array> {
  const point = encodePoint(publicJwk);
  if (point === undefined) throw new TypeError('coordinates are not base64url');
  const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
  const publicKey = await crypto.subtle.importKey('raw', point, algorithm, false, []);
  const secret = await crypto.subtle.deriveBits(
    // workers-types spells this member `$public`; the runtime takes WebCrypto's `public`.
    { name: 'ECDH', public: publicKey } as SubtleCryptoDeriveKeyAlgorithm,
    privateKey,
    256,
  );
  return deriveContentKey(secret);
}
