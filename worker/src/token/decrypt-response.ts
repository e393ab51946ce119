import { createDecipheriv } from 'node:crypto';
import { decodeBase64url } from '@countersign/protocol';
import {
  responseContentEncryption,
  responseKeyManagement,
} from '@countersign/protocol/device-response';
import { p256PublicJwk } from '@countersign/protocol/schemas';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';
import * as z from 'zod/mini';
import { agreeOnContentKey } from './ecdh-es.ts';

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
  try {
    const contentKey = await agreeOnContentKey(header.epk, key.privateKey);
    const decipher = createDecipheriv('aes-256-gcm', contentKey, iv);
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
