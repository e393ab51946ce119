import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { describe, expect, it } from 'vitest';
import { type KeySetExpectations, verifyKeySet } from './verify-key-set.ts';

const nowMs = Date.UTC(2030, 0, 1);
const now = nowMs / 1000;
const organization = await FakeOrganization.create('https://broker.example.com', nowMs);
const stranger = await FakeOrganization.create('https://broker.example.com', nowMs);
const yearSeconds = 365 * 86_400;

const expected: KeySetExpectations = {
  rootCertificate: organization.root.certificate.der,
  organizationId: organization.organizationId,
  brokerUrl: organization.brokerUrl,
  lowestVersion: 1,
  signerValidAtSeconds: now,
};

const honest = await organization.signKeySet();
const key = JSON.parse(Buffer.from(honest.split('.')[1] ?? '', 'base64url').toString()).keys[0];
const x5cOf = (der: Uint8Array) => ({ x5c: [Buffer.from(der).toString('base64')] });

/** `verified`, or in words why not. */
function verify(keySet: string, changes: Partial<KeySetExpectations> = {}): string {
  const verified = verifyKeySet(keySet, { ...expected, ...changes });
  if (!verified.ok) expect(verified.reason).toBe('key_set_invalid');
  return verified.ok ? 'verified' : verified.detail;
}

describe('a key set is verified', () => {
  it('when its signer stands under the pinned root', () => {
    expect(verifyKeySet(honest, expected)).toMatchObject({
      ok: true,
      value: { version: 1, keys: [{ kid: organization.challengeKey.kid, purpose: 'challenge' }] },
    });
  });

  it('of the same version again, and of a newer one', async () => {
    const newer = await organization.signKeySet({ claims: { version: 8 } });
    expect(verify(honest, { lowestVersion: 1 })).toBe('verified');
    expect(verify(newer, { lowestVersion: 7 })).toBe('verified');
  });

  it.each([-86_400 - 600, 10 * yearSeconds + 600])(
    'at %d s, ten minutes outside of its signer’s time',
    (offset) => {
      expect(verify(honest, { signerValidAtSeconds: now + offset })).toBe('verified');
    },
  );

  it('at any time by a device that accepted it before', () => {
    const { signerValidAtSeconds: _, ...withoutTime } = expected;
    expect(verifyKeySet(honest, withoutTime)).toMatchObject({ ok: true });
  });
});

describe('a key set is refused', () => {
  it('under another root', () => {
    expect(verify(honest, { rootCertificate: stranger.root.certificate.der })).toMatch(
      'not issued by the pinned root',
    );
  });

  it('by the signer of another organization', async () => {
    const forged = await organization.signKeySet({
      header: x5cOf(stranger.keySetSigner.certificate.der),
      signWith: stranger.keySetSigner.privateKey,
    });
    expect(verify(forged)).toMatch('not issued by the pinned root');
  });

  it('by a certificate of this organization that is for something else', async () => {
    const device = makeTestKey();
    const leaf = await organization.issueCertificate(device.spki, 'device-0000000000');
    const { root, issuer } = organization;
    for (const [der, signWith, reason] of [
      [issuer.certificate.der, issuer.privateKey, 'may not sign'],
      [root.certificate.der, root.privateKey, 'may not sign'],
      [leaf, device.privateKey, 'not issued by the pinned root'],
    ] as const) {
      const forged = await organization.signKeySet({ header: x5cOf(der), signWith });
      expect(verify(forged)).toMatch(reason);
    }
  });

  it('by a device certificate, even if the pinned "root" were the issuing authority', async () => {
    const device = makeTestKey();
    const leaf = await organization.issueCertificate(device.spki, 'device-0000000000');
    const forged = await organization.signKeySet({
      header: x5cOf(leaf),
      signWith: device.privateKey,
    });
    const rootCertificate = organization.issuer.certificate.der;
    expect(verify(forged, { rootCertificate })).toMatch('may not sign key sets');
  });

  it('signed by another key than the certificate’s', async () => {
    const forged = await organization.signKeySet({ signWith: makeTestKey().privateKey });
    expect(verify(forged)).toBe('the key set: is not signed by its signer');
  });

  it.each([-86_400 - 601, 10 * yearSeconds + 601, Number.NaN])(
    'at %d s, outside of its signer’s time',
    (offset) => {
      expect(verify(honest, { signerValidAtSeconds: now + offset })).toMatch('not valid at');
    },
  );

  it('of an older version than one seen', () => {
    expect(verify(honest, { lowestVersion: 2 })).toMatch('version 1 is older than 2');
  });

  it.each<[what: string, changes: object, detail: string]>([
    ['alg none', { alg: 'none' }, 'header.alg'],
    ['the type of a challenge', { typ: 'challenge+jwt' }, 'header.typ'],
    ['a chain', { x5c: [...x5cOf(new Uint8Array(9)).x5c, 'MIIB'] }, 'header.x5c'],
    ['no certificate', { x5c: [] }, 'header.x5c'],
    ['a certificate that is none', { x5c: ['AAAA'] }, 'not a certificate'],
    ['base64url', { x5c: ['-_-_'] }, 'not base64'],
    ['a kid', { kid: 'a' }, 'header.kid'],
    ['a key', { jwk: organization.challengeKey.publicJwk }, 'header.jwk'],
  ])('with a header of %s', async (_, changes, detail) => {
    const [, payload, signature] = honest.split('.');
    const header = JSON.parse(Buffer.from(honest.split('.')[0] ?? '', 'base64url').toString());
    const changed = Buffer.from(JSON.stringify({ ...header, ...changes })).toString('base64url');
    expect(verify(`${changed}.${payload}.${signature}`)).toMatch(detail);
  });

  it('with bytes after the signer’s certificate', async () => {
    const der = Buffer.concat([organization.keySetSigner.certificate.der, Buffer.from([0])]);
    expect(verify(await organization.signKeySet({ header: x5cOf(der) }))).toMatch(
      'not a certificate',
    );
  });

  it.each<[claims: Record<string, unknown>, detail: string]>([
    [{ aud: 'org_another' }, 'another organization'],
    [{ iss: 'https://other.example.com' }, 'another broker'],
    [{ version: 0 }, 'version must be at least 1'],
    [{ version: '1' }, 'version must be of type'],
    [{ keys: [] }, 'keys must be at least 1'],
    [{ keys: [{ ...key, kid: 'A'.repeat(43) }] }, 'not the thumbprint'],
    [{ keys: [{ ...key, purpose: 'decision' }] }, 'keys.0.purpose'],
    [{ keys: [{ ...key, crv: 'P-384' }] }, 'keys.0.crv'],
    [{ keys: [key, { ...key, x: key.y }] }, 'not the thumbprint'],
  ])('that says %j', async (claims, detail) => {
    expect(verify(await organization.signKeySet({ claims }))).toMatch(detail);
  });

  it('of any size', () => {
    expect(verify('a'.repeat(40_000))).toMatch('too large');
  });
});
