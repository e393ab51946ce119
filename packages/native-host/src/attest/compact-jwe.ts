import {
  createCipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import {
  responseContentEncryption,
  responseKeyManagement,
} from '@countersign/protocol/device-response';
import { fail, type Result, succeed } from '../result.ts';

/** The public key that a message is encrypted to. */
export type Recipient = ChallengeClaims['response_encryption'];

const contentKeyBits = 256;
const ivBytes = 12;

/**
 * Encrypts to one P-256 key: compact JWE (RFC 7516 section 7.1), ECDH-ES in direct key agreement (RFC 7518
 * section 4.6), A256GCM. A fresh key pair for each message; no compression.
 */
export function encryptCompactJwe(
  plaintext: Uint8Array,
  recipient: Recipient,
): Result<string, 'recipient_key_invalid'> {
  let recipientKey: KeyObject;
  try {
    recipientKey = createPublicKey({ key: recipient.jwk, format: 'jwk' });
  } catch {
    return fail('recipient_key_invalid', 'is not a point of P-256');
  }
  const ephemeral = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = ephemeral.publicKey.export({ format: 'jwk' });
  const header = encodeBase64url(
    Buffer.from(
      JSON.stringify({
        alg: responseKeyManagement,
        enc: responseContentEncryption,
        kid: recipient.kid,
        epk: { kty, crv, x, y },
      }),
    ),
  );
  const contentKey = concatKdf({
    sharedSecret: diffieHellman({ privateKey: ephemeral.privateKey, publicKey: recipientKey }),
    algorithmId: responseContentEncryption,
    partyUInfo: '',
    partyVInfo: '',
    keyBits: contentKeyBits,
  });
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', contentKey, iv);
  cipher.setAAD(Buffer.from(header));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  // Direct key agreement has no encrypted key: the second part is empty.
  return succeed(
    [header, '', ...[iv, ciphertext, cipher.getAuthTag()].map(encodeBase64url)].join('.'),
  );
}

export type ConcatKdfInput = {
  readonly sharedSecret: Uint8Array;
  /** The `enc` value, in direct key agreement. */
  readonly algorithmId: string;
  readonly partyUInfo: string;
  readonly partyVInfo: string;
  /** At most 256: one round of the hash. */
  readonly keyBits: number;
};

/** Concat KDF with SHA-256 (NIST SP 800-56A section 5.8.1, as RFC 7518 section 4.6.2 fills it in). */
export function concatKdf(input: ConcatKdfInput): Uint8Array {
  return createHash('sha256')
    .update(uint32(1))
    .update(input.sharedSecret)
    .update(lengthPrefixed(input.algorithmId))
    .update(lengthPrefixed(input.partyUInfo))
    .update(lengthPrefixed(input.partyVInfo))
    .update(uint32(input.keyBits))
    .digest()
    .subarray(0, input.keyBits / 8);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function lengthPrefixed(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}
