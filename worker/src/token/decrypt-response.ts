import { createDecipheriv, createHash } from 'node:crypto';
import { decodeBase64url } from '@countersign/protocol';
import {
  responseContentEncryption,
  responseKeyManagement,
} from '@countersign/protocol/device-response';
import { p256PublicJwk } from '@countersign/protocol/schemas';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';
import * as z from 'zod/mini';

/**
 * Opens a compact JWE with ECDH-ES on P-256 and A256GCM (RFC 7516; RFC 7518 sections 4.6 and 5.3). Nothing else is
 * spoken: no `zip`, no `apu`/`apv`, no key wrapping, so an encrypted-key part must be empty.
 */
const responseHeader = z.strictObject({
  alg: z.literal(responseKeyManagement),
  enc: z.literal(responseContentEncryption),
  kid: z.string().check(z.maxLength(64)),
  epk: z.strictObject(p256PublicJwk.shape),
});

export type ResponseDecryptionKey = {
  /** RFC 7638 thumbprint of the public half. */
  readonly kid: string;
  /** ECDH P-256 private key with usage `deriveBits`. */
  readonly privateKey: CryptoKey;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const gcmTagBytes = 16;

/** Concat KDF input after the shared secret (RFC 7518 section 4.6.2), for A256GCM with empty party infos. */
const otherInfo = (() => {
  const algorithm = encoder.encode(responseContentEncryption);
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

/** Uncompressed point (SEC 1 section 2.3.3), which imports faster than a JWK. */
function encodePoint(x: Uint8Array, y: Uint8Array): Uint8Array {
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(x, 1);
  point.set(y, 33);
  return point;
}

/** Reads the header of a compact JWE; `undefined` when it is not of the one form that is spoken here. */
function parseHeader(encodedHeader: string): z.infer<typeof responseHeader> | undefined {
  const bytes = decodeBase64url(encodedHeader);
  if (bytes === undefined) return undefined;
  const parsed = parseStrictJsonBytes(bytes);
  if (!parsed.ok) return undefined;
  const result = z.safeParse(responseHeader, parsed.value);
  return result.success ? result.data : undefined;
}

/**
 * Decrypts a response. `undefined` for every failure alike: which step failed is nobody's business outside.
 *
 * @param jwe compact JWE, not longer than the caller's limit
 * @param keys the broker's current decryption keys
 */
export async function decryptResponse(
  jwe: string,
  keys: readonly ResponseDecryptionKey[],
): Promise<string | undefined> {
  const [encodedHeader, encryptedKey, encodedIv, encodedCiphertext, encodedTag, ...rest] =
    jwe.split('.');
  if (encodedHeader === undefined || encryptedKey !== '' || rest.length > 0) return undefined;
  const header = parseHeader(encodedHeader);
  const iv = decodeBase64url(encodedIv ?? '');
  const ciphertext = decodeBase64url(encodedCiphertext ?? '');
  const tag = decodeBase64url(encodedTag ?? '');
  const key = keys.find((candidate) => candidate.kid === header?.kid);
  if (header === undefined || key === undefined || ciphertext === undefined) return undefined;
  if (iv?.length !== 12 || tag?.length !== gcmTagBytes) return undefined;
  const x = decodeBase64url(header.epk.x);
  const y = decodeBase64url(header.epk.y);
  if (x === undefined || y === undefined) return undefined;
  try {
    const ephemeralKey = await crypto.subtle.importKey(
      'raw',
      encodePoint(x, y),
      { name: 'ECDH', namedCurve: 'P-256' },
      false,
      [],
    );
    const secret = await crypto.subtle.deriveBits(
      // workers-types spells this member `$public`; the runtime takes WebCrypto's `public`.
      { name: 'ECDH', public: ephemeralKey } as SubtleCryptoDeriveKeyAlgorithm,
      key.privateKey,
      256,
    );
    const decipher = createDecipheriv('aes-256-gcm', deriveContentKey(secret), iv);
    decipher.setAAD(encoder.encode(encodedHeader));
    decipher.setAuthTag(tag);
    const plaintext = decipher.update(ciphertext);
    // Throws unless the tag fits; until then nothing of the plaintext is looked at.
    decipher.final();
    return decoder.decode(plaintext);
  } catch {
    return undefined;
  }
}
