import { makeTestKey } from '@countersign/testkit/fake-authorities';
import fc from 'fast-check';
import { compactDecrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { encryptCompactJwe } from './compact-jwe.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 200);

const recipient = makeTestKey();
const stranger = makeTestKey();

function encrypt(plaintext: Uint8Array, kid: string): string {
  const jwe = encryptCompactJwe(plaintext, { kid, jwk: recipient.publicJwk });
  if (!jwe.ok) throw new Error(jwe.detail);
  return jwe.value;
}

describe('a compact JWE', () => {
  it('holds any bytes, for its recipient alone', async () => {
    const kid = fc.string({ unit: 'grapheme', maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), kid, async (plaintext, name) => {
        const jwe = encrypt(plaintext, name);
        const opened = await compactDecrypt(jwe, recipient.privateKey);
        expect(opened.plaintext).toEqual(plaintext);
        expect(opened.protectedHeader.kid).toBe(name);
        await expect(compactDecrypt(jwe, stranger.privateKey)).rejects.toThrow();
      }),
      { seed, numRuns },
    );
  });
});
