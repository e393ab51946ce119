import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { compactDecrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { concatKdf, encryptCompactJwe } from './compact-jwe.ts';

const recipientKey = makeTestKey();
const recipient = { kid: recipientKey.kid, jwk: recipientKey.publicJwk };

function encrypt(plaintext: Uint8Array): string {
  const jwe = encryptCompactJwe(plaintext, recipient);
  if (!jwe.ok) throw new Error(jwe.detail);
  return jwe.value;
}

describe('concatKdf', () => {
  it('gives the key of RFC 7518 appendix C', () => {
    const sharedSecret = Buffer.from(
      '9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4',
      'hex',
    );
    const key = concatKdf({
      sharedSecret,
      algorithmId: 'A128GCM',
      partyUInfo: 'Alice',
      partyVInfo: 'Bob',
      keyBits: 128,
    });
    expect(Buffer.from(key).toString('base64url')).toBe('VqqN6vgjbSBcIijNcacQGg');
  });
});

describe('encryptCompactJwe', () => {
  it.each([0, 1, 15, 16, 17, 4000])('is opened by jose: %d bytes', async (length) => {
    const plaintext = new Uint8Array(length).fill(7);
    const opened = await compactDecrypt(encrypt(plaintext), recipientKey.privateKey);
    expect(new Uint8Array(opened.plaintext)).toEqual(plaintext);
    expect(opened.protectedHeader).toEqual({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid: recipientKey.kid,
      epk: { kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String) },
    });
  });

  it('uses another key pair and another nonce each time', () => {
    const [first = '', second = ''] = [encrypt(Buffer.from('a')), encrypt(Buffer.from('a'))];
    for (const part of [0, 2, 3, 4]) {
      expect(first.split('.')[part]).not.toBe(second.split('.')[part]);
    }
  });

  it('is not opened when any part of it was changed', async () => {
    const parts = encrypt(Buffer.from('plaintext')).split('.');
    for (const index of [2, 3, 4]) {
      const changed = parts.map((part, at) => {
        const bytes = Buffer.from(part, 'base64url');
        if (at === index) bytes[0] = (bytes[0] ?? 0) ^ 1;
        return bytes.toString('base64url');
      });
      await expect(compactDecrypt(changed.join('.'), recipientKey.privateKey)).rejects.toThrow();
    }
  });

  it.each([
    ['a point that is not on the curve', { ...recipient.jwk, y: recipient.jwk.x }],
    ['the point at zero', { ...recipient.jwk, x: 'A'.repeat(43), y: 'A'.repeat(43) }],
  ])('refuses %s', (_, jwk) => {
    expect(encryptCompactJwe(Buffer.from('a'), { kid: 'k', jwk })).toEqual({
      ok: false,
      reason: 'recipient_key_invalid',
      detail: 'is not a point of P-256',
    });
  });
});
