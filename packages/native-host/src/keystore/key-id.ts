import * as z from 'zod/mini';

/** Tells a key that took another's place from it; part of file names, so of one case. A device's first key has none. */
export const keyId = z.string().check(z.regex(/^[0-9a-f]{16}$/));

export function newKeyId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex');
}
