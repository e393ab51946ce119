import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBase64url } from '@countersign/protocol';
import { keySetClaims } from '@countersign/protocol/key-set';
import { describe, expect, it } from 'vitest';
import { readPublicKeys } from '../rotation/token-key-files.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { keepKeySetSigner, signerAwaitsRoot } from './keep-key-set-signer.ts';
import { jwkThumbprint, keepKeySet } from './key-set.ts';
import { ensureDataDirectory } from './open-data-directory.ts';

const nowMs = Date.UTC(2026, 10, 21);
const brokerUrl = 'http://127.0.0.1:8780';
const yearMs = 365 * 86_400_000;

async function setUp() {
  const data = await ensureDataDirectory(join(temporaryDirectory(), 'data'), { brokerUrl, nowMs });
  const signer = await keepKeySetSigner(data, nowMs);
  const content = {
    brokerUrl,
    organizationId: data.deployment.organizationId,
    challengeKeys: readPublicKeys(data.paths, data.tokenKeys, 'challenge'),
    auditKeys: readPublicKeys(data.paths, data.tokenKeys, 'audit'),
  };
  return { data, signer, content };
}

function open(keySet: string) {
  const [header = '', payload = '', signature = ''] = keySet.split('.');
  const json = (part: string) => JSON.parse(new TextDecoder().decode(decodeBase64url(part)));
  const certificate = new X509Certificate(Buffer.from(json(header).x5c[0], 'base64'));
  return {
    header: json(header),
    claims: keySetClaims.parse(json(payload)),
    certificate,
    isSigned: verify(
      'sha256',
      Buffer.from(`${header}.${payload}`),
      { key: certificate.publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    ),
  };
}

// RFC 7638 section 3.1 has an RSA example only; the value was computed separately, for the base point of P-256.
it('computes the thumbprint over the required members in order', () => {
  const { kty, crv, x, y } = createPublicKey(
    `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----`,
  ).export({ format: 'jwk' });
  const key = { y: y ?? '', x: x ?? '', crv: 'P-256' as const, kty: 'EC' as const };
  expect([kty, crv]).toEqual(['EC', 'P-256']);
  expect(jwkThumbprint(key)).toBe('xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M');
});

describe('the key set', () => {
  it('is signed under the root, for hosts of this organization and broker', async () => {
    const { data, content } = await setUp();
    const { header, claims, certificate, isSigned } = open(
      readFileSync(data.paths.keySet, 'utf8').trimEnd(),
    );
    expect(header).toEqual({ alg: 'ES256', typ: 'key-set+jwt', x5c: [expect.any(String)] });
    expect(isSigned).toBe(true);
    expect(certificate.verify(new X509Certificate(data.rootCertificatePem).publicKey)).toBe(true);
    expect(claims).toEqual({
      iss: brokerUrl,
      aud: data.deployment.organizationId,
      version: 1,
      iat: nowMs / 1000,
      keys: content.challengeKeys.map((key) => ({
        ...key,
        kid: jwkThumbprint(key),
        alg: 'ES256',
        use: 'sig',
        purpose: 'challenge',
      })),
      audit_keys: content.auditKeys.map((key) => ({
        ...key,
        kid: jwkThumbprint(key),
        alg: 'ES256',
        use: 'sig',
        purpose: 'audit',
      })),
    });
  });

  it('stays the same, byte for byte, while it says what it should', async () => {
    const { data, signer, content } = await setUp();
    const stored = readFileSync(data.paths.keySet, 'utf8');
    const kept = keepKeySet(data.paths.keySet, content, signer, nowMs + yearMs);
    expect(kept).toEqual({ keySet: stored.trimEnd(), changedFrom: undefined });
    expect(readFileSync(data.paths.keySet, 'utf8')).toBe(stored);
  });

  it('gets a higher version with a new broker URL, also back to the old one', async () => {
    const { data, signer, content } = await setUp();
    const moved = { ...content, brokerUrl: 'https://broker.example.com' };
    const second = keepKeySet(data.paths.keySet, moved, signer, nowMs + 1000);
    expect(second.changedFrom).toBe(brokerUrl);
    expect(open(second.keySet)).toMatchObject({
      isSigned: true,
      claims: { version: 2, iss: 'https://broker.example.com', iat: nowMs / 1000 + 1 },
    });
    const third = keepKeySet(data.paths.keySet, content, signer, nowMs + 2000);
    expect(open(third.keySet).claims).toMatchObject({ version: 3, iss: brokerUrl });
  });

  it('gets a higher version with another key for receipts', async () => {
    const { data, signer, content } = await setUp();
    const auditKeys = [...content.auditKeys, ...content.challengeKeys];
    const { keySet } = keepKeySet(data.paths.keySet, { ...content, auditKeys }, signer, nowMs);
    const { claims } = open(keySet);
    expect(claims.version).toBe(2);
    expect(claims.audit_keys?.map(({ kid }) => kid)).toEqual(
      auditKeys.map(jwkThumbprint).toSorted(),
    );
  });

  it('gets a new signer certificate in the last year of the old one, and a higher version', async () => {
    const { data, content } = await setUp();
    const later = nowMs + 9.5 * yearMs;
    const renewed = await keepKeySetSigner(data, later);
    const { keySet, changedFrom } = keepKeySet(data.paths.keySet, content, renewed, later);
    const { claims, certificate, isSigned } = open(keySet);
    expect(claims.version).toBe(2);
    expect(changedFrom).toBeUndefined();
    expect(isSigned).toBe(true);
    expect(Date.parse(certificate.validTo)).toBeGreaterThan(later + 9 * yearMs);
  });

  it('keeps its signer as it is where the root is kept elsewhere, and says in its last year that it waits', async () => {
    const { data } = await setUp();
    const rootKey = data.paths.privateKey('root');
    const later = nowMs + 9.5 * yearMs;
    expect(signerAwaitsRoot(data, later)).toBe(false);
    rmSync(rootKey);
    expect(signerAwaitsRoot(data, nowMs)).toBe(false);
    expect(signerAwaitsRoot(data, later)).toBe(true);
    const stored = data.certificatePem('key-set-signer');
    expect((await keepKeySetSigner(data, later)).certificatePem).toBe(stored);
  });

  it('cannot be numbered without the older one', async () => {
    const { data, signer, content } = await setUp();
    writeFileSync(data.paths.keySet, 'garbage');
    expect(() => keepKeySet(data.paths.keySet, content, signer, nowMs)).toThrow(
      expect.objectContaining({ failure: 'data_directory_unusable' }),
    );
  });
});
