import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  jwtVerify,
} from 'jose';
import { describe, expect, test } from 'vitest';
import { authorizeAs } from './client-authentication.ts';

const audience = 'https://broker.example.com';
const now = () => 1_800_000_000_500;

describe('authorizeAs', () => {
  test('sends a secret as HTTP Basic', async () => {
    const authorize = authorizeAs('sso', audience, { clientSecret: 'c2VjcmV0' }, now);
    expect(await authorize()).toBe(`Basic ${btoa('sso:c2VjcmV0')}`);
  });

  test.each(['', 'with space', 'line\n', 'ümlaut'])('refuses the secret %j', (clientSecret) => {
    expect(() => authorizeAs('sso', audience, { clientSecret }, now)).toThrow(
      expect.objectContaining({ code: 'options_invalid', field: 'authentication.clientSecret' }),
    );
  });

  test('signs an assertion with a key object, a JWK or PEM, a new one each time', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const forms = [privateKey, await exportJWK(privateKey), await exportPKCS8(privateKey)];
    const ids = new Set<string | undefined>();
    for (const form of forms) {
      const authorize = authorizeAs('sso', audience, { privateKey: form, keyId: 'k1' }, now);
      for (let call = 0; call < 2; call++) {
        const [scheme, assertion = ''] = (await authorize()).split(' ');
        expect(scheme).toBe('Bearer');
        expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'ES256', kid: 'k1', typ: 'JWT' });
        await jwtVerify(assertion, publicKey, { audience, currentDate: new Date(now()) });
        const { jti, ...claims } = decodeJwt(assertion);
        expect(claims).toEqual({
          iss: 'sso',
          sub: 'sso',
          aud: audience,
          iat: 1_800_000_000,
          exp: 1_800_000_060,
        });
        expect(jti).toMatch(/^[\w-]{22}$/);
        ids.add(jti);
      }
    }
    expect(ids.size).toBe(6);
  });

  test('names a key that cannot sign', async () => {
    const { publicKey } = await generateKeyPair('ES256');
    const { privateKey: rsaKey } = await generateKeyPair('RS256', { extractable: true });
    const wrong = { code: 'options_invalid', field: 'authentication.privateKey' };
    for (const privateKey of ['no PEM', publicKey, await exportPKCS8(rsaKey)]) {
      const authorize = authorizeAs('sso', audience, { privateKey, keyId: 'k1' }, now);
      await expect(authorize()).rejects.toMatchObject(wrong);
    }
    const keyId = '';
    expect(() => authorizeAs('sso', audience, { privateKey: publicKey, keyId }, now)).toThrow(
      expect.objectContaining({ code: 'options_invalid', field: 'authentication.keyId' }),
    );
  });
});
