import { describe, expect, it } from 'vitest';
import { ecdhKeys, ecdsaKeys, generateKeys, rsaKeys } from '../testing/generate-keys.ts';
import { importSecretKey, type KeyUse } from './import-key.ts';

async function pkcs8Of({ privateKey }: CryptoKeyPair): Promise<string> {
  const der = await crypto.subtle.exportKey('pkcs8', privateKey);
  if (!(der instanceof ArrayBuffer)) throw new TypeError('pkcs8 is an ArrayBuffer');
  return Buffer.from(der).toString('base64');
}

/** A key as workerd's `cryptoKey` binding hands it over. */
async function binding(
  algorithm: SubtleCryptoGenerateKeyAlgorithm,
  usages: string[],
  extractable = false,
): Promise<CryptoKey> {
  const key = await crypto.subtle.generateKey(algorithm, extractable, usages);
  return 'privateKey' in key ? key.privateKey : key;
}

const detailOf = async (raw: unknown, use: KeyUse) => {
  const result = await importSecretKey(raw, use);
  return result.ok ? 'ok' : result.detail;
};

describe('a key as text', () => {
  it('becomes a key of its use that cannot be exported', async () => {
    const keys: ReadonlyArray<[KeyUse, string, string]> = [
      ['sign-p256', await pkcs8Of(await ecdsaKeys()), 'sign'],
      ['derive-p256', await pkcs8Of(await ecdhKeys()), 'deriveBits'],
      ['mac', Buffer.alloc(32, 7).toString('base64url'), 'sign'],
    ];
    for (const [use, text, usage] of keys) {
      const result = await importSecretKey(text, use);
      if (!result.ok) throw new Error(`${use}: ${result.detail}`);
      expect([result.key.extractable, result.key.usages]).toEqual([false, [usage]]);
      // As a file that ends with a line break gives it.
      expect(await detailOf(`${text}\n`, use)).toBe('ok');
    }
  });

  it('is refused when it is something else', async () => {
    const p256 = await pkcs8Of(await ecdsaKeys());
    const p384 = await pkcs8Of(await ecdsaKeys('P-384'));
    const rsa = await pkcs8Of(await rsaKeys());
    const notP256 = 'must be a PKCS#8 private key on P-256';
    const notBase64 = 'must be base64 of PKCS#8 DER';
    const not32 = 'must be base64url of 32 bytes';
    const table: ReadonlyArray<[raw: unknown, use: KeyUse, detail: string]> = [
      [undefined, 'sign-p256', 'is missing'],
      ['', 'mac', 'is missing'],
      [null, 'sign-p256', 'must be a key or its text'],
      [{}, 'derive-p256', 'must be a key or its text'],
      [7, 'mac', 'must be a key or its text'],
      ['-----BEGIN PRIVATE KEY-----', 'sign-p256', notBase64],
      ['AAAA', 'sign-p256', notP256],
      [p256.slice(4), 'sign-p256', notP256],
      [p384, 'sign-p256', notP256],
      [rsa, 'sign-p256', notP256],
      [p384, 'derive-p256', notP256],
      [p256, 'mac', not32],
      [Buffer.alloc(31).toString('base64url'), 'mac', not32],
      [Buffer.alloc(33).toString('base64url'), 'mac', not32],
      [Buffer.alloc(32).toString('base64'), 'mac', not32],
    ];
    for (const [raw, use, detail] of table) expect(await detailOf(raw, use)).toBe(detail);
  });
});

describe('a key as a binding', () => {
  const signing = { name: 'ECDSA', namedCurve: 'P-256' };
  const agreement = { name: 'ECDH', namedCurve: 'P-256' };
  const mac = { name: 'HMAC', hash: 'SHA-256' };

  it('is taken as it is', async () => {
    const keys: ReadonlyArray<[KeyUse, CryptoKey]> = [
      ['sign-p256', await binding(signing, ['sign', 'verify'])],
      ['derive-p256', await binding(agreement, ['deriveBits'])],
      ['mac', await binding(mac, ['sign'])],
    ];
    for (const [use, key] of keys) {
      expect(await importSecretKey(key, use)).toEqual({ ok: true, key });
    }
  });

  it('is refused when its kind, curve, hash or usage is another, or when it can be exported', async () => {
    const { publicKey } = await ecdsaKeys();
    const notSigning = 'must be a private ECDSA key on P-256 that may sign';
    const notAgreement = 'must be a private ECDH key on P-256 that may deriveBits';
    const notMac = 'must be an HMAC key with SHA-256 that may sign';
    const table: ReadonlyArray<[CryptoKey, KeyUse, string]> = [
      [await binding(signing, ['sign', 'verify'], true), 'sign-p256', 'must not be extractable'],
      [await binding(mac, ['sign'], true), 'mac', 'must not be extractable'],
      [await binding({ ...signing, namedCurve: 'P-384' }, ['sign']), 'sign-p256', notSigning],
      [await binding(agreement, ['deriveBits']), 'sign-p256', notSigning],
      [await binding(mac, ['sign']), 'sign-p256', notSigning],
      [await binding(signing, ['sign', 'verify']), 'derive-p256', notAgreement],
      [await binding(agreement, ['deriveKey']), 'derive-p256', notAgreement],
      [
        await binding({ ...agreement, namedCurve: 'P-384' }, ['deriveBits']),
        'derive-p256',
        notAgreement,
      ],
      [await binding({ ...mac, hash: 'SHA-1' }, ['sign']), 'mac', notMac],
      [await binding(mac, ['verify']), 'mac', notMac],
      [await binding(signing, ['sign', 'verify']), 'mac', notMac],
    ];
    for (const [key, use, detail] of table) expect(await detailOf(key, use)).toBe(detail);
    expect(await detailOf(publicKey, 'sign-p256')).toBe('must not be extractable');
  });

  it('is not taken for a public key', async () => {
    const { publicKey } = await generateKeys(signing, ['sign', 'verify']);
    const jwk = await crypto.subtle.exportKey('jwk', publicKey);
    const closed = await crypto.subtle.importKey('jwk', jwk, signing, false, ['verify']);
    expect(await detailOf(closed, 'sign-p256')).toBe(
      'must be a private ECDSA key on P-256 that may sign',
    );
  });
});
