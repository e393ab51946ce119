import {
  createCipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

/** Tokens that no library makes: any header, any payload, signed or encrypted as asked. */

/** Text is taken as it is, so that it may be malformed. */
export type JsonPart = Readonly<Record<string, unknown>> | string;

export const encodePart = (part: JsonPart): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** Compact JWS with an ES256 signature (RFC 7518 section 3.4), whatever its header says. */
export function signEs256(header: JsonPart, payload: JsonPart, key: KeyObject): string {
  const signingInput = `${encodePart(header)}.${encodePart(payload)}`;
  const signature = sign('sha256', Buffer.from(signingInput), { key, dsaEncoding: 'ieee-p1363' });
  return `${signingInput}.${signature.toString('base64url')}`;
}

/** The same JWS with another signature. */
export function withSignature(jws: string, signature: Uint8Array): string {
  return `${jws.slice(0, jws.lastIndexOf('.'))}.${Buffer.from(signature).toString('base64url')}`;
}

export function signatureOf(jws: string): Buffer {
  return Buffer.from(jws.slice(jws.lastIndexOf('.') + 1), 'base64url');
}

const p256Order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The other signature that ECDSA accepts for the same message: (r, n − s). */
export function mirrorSignature(signature: Uint8Array): Buffer {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
  const mirrored = (p256Order - s).toString(16).padStart(64, '0');
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(mirrored, 'hex')]);
}

export type JweChanges = {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly encryptedKey?: string;
  /** A content key to use instead of the agreed one. */
  readonly contentKey?: Uint8Array;
  readonly ivBytes?: number;
};

/** Compact JWE, ECDH-ES on P-256 with A256GCM (RFC 7518 section 4.6), with the changes that a test asks for. */
export function encryptJwe(
  plaintext: string,
  recipient: { readonly kid: string; readonly jwk: JsonWebKey },
  changes: JweChanges = {},
): string {
  const ephemeral = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = ephemeral.publicKey.export({ format: 'jwk' });
  const header = encodePart({
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid: recipient.kid,
    epk: { kty, crv, x, y },
    ...changes.header,
  });
  const { crv: curve = '', x: recipientX = '', y: recipientY = '' } = recipient.jwk;
  const publicKey = createPublicKey({
    key: { kty: 'EC', crv: curve, x: recipientX, y: recipientY },
    format: 'jwk',
  });
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey });
  const iv = randomBytes(changes.ivBytes ?? 12);
  const cipher = createCipheriv('aes-256-gcm', changes.contentKey ?? concatKdf(secret), iv);
  cipher.setAAD(Buffer.from(header));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const parts = [iv, ciphertext, cipher.getAuthTag()].map((part) => part.toString('base64url'));
  return [header, changes.encryptedKey ?? '', ...parts].join('.');
}

/** One round of the Concat KDF (RFC 7518 section 4.6.2) for a 256-bit key and empty party infos. */
function concatKdf(secret: Uint8Array): Buffer {
  const word = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const algorithm = Buffer.from('A256GCM');
  return createHash('sha256')
    .update(word(1))
    .update(secret)
    .update(word(algorithm.length))
    .update(algorithm)
    .update(word(0))
    .update(word(0))
    .update(word(256))
    .digest();
}
