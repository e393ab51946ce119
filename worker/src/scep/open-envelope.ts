import { constants, createDecipheriv, type KeyObject, privateDecrypt } from 'node:crypto';
import type { EnvelopedData } from '@countersign/x509/cms';

const contentKeyBytes = { 'aes-128-cbc': 16, 'aes-256-cbc': 32 } as const;

/** The registration authority's private key, with the secret that stands in for keys that it cannot open. */
export type EnvelopeKey = {
  /** RSA. */
  readonly privateKey: KeyObject;
  /** HMAC-SHA-256; as secret as the private key. */
  readonly rejectionKey: CryptoKey;
};

/**
 * Opens an envelope, without ever saying that it could not: where the content key does not open, another key takes its
 * place, which follows from the encrypted key alone, and the content that comes out is noise like that of any wrong
 * key (RFC 3218 section 2.3.2). The caller finds that it is no request, in the same words as for any other content
 * that is none.
 */
export async function openEnvelope(
  { privateKey, rejectionKey }: EnvelopeKey,
  envelope: EnvelopedData,
): Promise<Uint8Array<ArrayBuffer>> {
  const { encryptedKey, contentEncryption, initializationVector, encryptedContent } = envelope;
  const keyBytes = contentKeyBytes[contentEncryption];
  // Made for good and bad keys alike.
  const rejection = new Uint8Array(
    await crypto.subtle.sign('HMAC', rejectionKey, encryptedKey),
  ).subarray(0, keyBytes);
  const contentKey = selectContentKey(decryptRaw(privateKey, encryptedKey), rejection);
  const decipher = createDecipheriv(contentEncryption, contentKey, initializationVector);
  // Wrong padding must not be an exception: it would be a question about the content that is answered.
  decipher.setAutoPadding(false);
  const content = new Uint8Array(encryptedContent.length);
  content.set(decipher.update(encryptedContent));
  return withoutPadding(content);
}

/** RSADP (RFC 8017 section 5.1.2), whose result has the length of the modulus. */
function decryptRaw(privateKey: KeyObject, encryptedKey: Uint8Array): Uint8Array {
  try {
    return privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encryptedKey);
  } catch {
    // Only a number that is not below the modulus, or of another length: everybody can see which ones these are.
    return new Uint8Array(256);
  }
}

/**
 * The content key of an EME-PKCS1-v1_5 block (RFC 8017 section 7.2.2) when it is one with a key of exactly this length,
 * `rejection` otherwise. Each octet is looked at, and none decides what is done next.
 */
export function selectContentKey(block: Uint8Array, rejection: Uint8Array): Uint8Array {
  const separator = block.length - rejection.length - 1;
  let wrong = (block[0] ?? 0) | ((block[1] ?? 0) ^ 2) | (block[separator] ?? 1);
  for (let i = 2; i < separator; i++) wrong |= ((block[i] ?? 0) - 1) >>> 31;
  // All ones when anything was wrong, zero otherwise.
  const mask = ((wrong | -wrong) >> 31) & 0xff;
  return rejection.map((octet, i) => ((block[separator + 1 + i] ?? 0) & ~mask) | (octet & mask));
}

/** Content without its padding (RFC 5652 section 6.3); nothing at all when the padding is not one. */
function withoutPadding(content: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const count = content[content.length - 1] ?? 0;
  let wrong = (count - 1) >>> 31;
  wrong |= (16 - count) >>> 31;
  for (let i = 1; i <= 16; i++) {
    const isContent = (count - i) >> 31;
    wrong |= ((content[content.length - i] ?? 0) ^ count) & ~isContent;
  }
  return content.subarray(0, wrong === 0 ? content.length - count : 0);
}
