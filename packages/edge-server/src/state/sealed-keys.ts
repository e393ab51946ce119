import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import * as z from 'zod/mini';

/**
 * The keys of a data folder, encrypted with a passphrase: scrypt (RFC 7914) and AES-256-GCM. Without them the rest of a
 * backup is worth nothing, and with them it is worth the organization.
 */
export const sealedKeys = z.strictObject({
  kdf: z.literal('scrypt'),
  n: z.literal(131_072),
  r: z.literal(8),
  p: z.literal(1),
  salt: z.string(),
  iv: z.string(),
  /** With the tag at its end. */
  ciphertext: z.string(),
});
export type SealedKeys = z.infer<typeof sealedKeys>;

/** Files of the data folder by their relative path, base64url. */
export const keyFiles = z.record(z.string(), z.string());
export type KeyFiles = z.infer<typeof keyFiles>;

export const shortestPassphrase = 12;
const cost = { N: 131_072, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const;
const tagBytes = 16;

const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
const decode = (text: string) => Buffer.from(text, 'base64url');

const keyOf = (passphrase: string, salt: Uint8Array) =>
  scryptSync(passphrase.normalize('NFKC'), salt, 32, cost);

/** @param bound names what the keys belong to; they open with the same text alone */
export function sealKeys(files: KeyFiles, passphrase: string, bound: string): SealedKeys {
  const [salt, iv] = [randomBytes(16), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), iv);
  cipher.setAAD(Buffer.from(bound));
  const ciphertext = Buffer.concat([
    cipher.update(JSON.stringify(files), 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return {
    kdf: 'scrypt',
    n: cost.N,
    r: cost.r,
    p: cost.p,
    salt: encode(salt),
    iv: encode(iv),
    ciphertext: encode(ciphertext),
  };
}

/** @returns `undefined` for another passphrase, or when anything was changed */
export function openKeys(
  sealed: SealedKeys,
  passphrase: string,
  bound: string,
): KeyFiles | undefined {
  const bytes = decode(sealed.ciphertext);
  if (bytes.length < tagBytes || decode(sealed.iv).length !== 12) return undefined;
  try {
    const key = keyOf(passphrase, decode(sealed.salt));
    const decipher = createDecipheriv('aes-256-gcm', key, decode(sealed.iv));
    decipher.setAAD(Buffer.from(bound));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const text = Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]);
    return z.parse(keyFiles, JSON.parse(text.toString('utf8')));
  } catch {
    return undefined;
  }
}
