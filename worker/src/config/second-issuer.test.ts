import { generateKeyPairSync } from 'node:crypto';
import {
  type Authority,
  expectOk,
  issueUnder,
  makeCertificate,
} from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import {
  buildIssuingCaToBeSigned,
  buildScepRaToBeSigned,
  identifyPublicKey,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { environmentOf, idOf, pem, pkcs8 } from '../testing/settings-environment.ts';
import { readSettings } from './settings.ts';

let organization: FakeOrganization;
let foreign: FakeOrganization;
let good: Record<string, unknown>;

beforeAll(async () => {
  organization = await FakeOrganization.create();
  foreign = await FakeOrganization.create('https://other.example.com');
  good = await environmentOf(organization);
});

const wrongSetting = async (change: Record<string, unknown>) => {
  const result = await readSettings({ ...good, ...change });
  return result.ok ? 'none' : [result.setting, result.detail];
};

describe('settings with a second issuer', () => {
  const second = async (root = organization.root) => {
    const made = await makeCertificate(
      'MTLS Certificate Authority',
      Date.now(),
      (fields) => buildIssuingCaToBeSigned(fields, root.certificate),
      root,
    );
    return {
      made,
      bindings: {
        ISSUER_2_CERTIFICATE: pem(made.certificate.der),
        ISSUER_2_KEY: pkcs8(made.privateKey),
      },
    };
  };

  it('trusts both, in their order', async () => {
    const { made, bindings } = await second();
    const result = await readSettings({ ...good, ...bindings });
    if (!result.ok) throw new Error(`${result.setting} ${result.detail}`);
    expect(result.settings.issuers.map(({ issuerId }) => issuerId)).toEqual(
      [organization.issuer, made].map(({ certificate }) => idOf(certificate.der)),
    );
    expect(result.settings.issuers.every(({ issuerKey }) => !issuerKey.extractable)).toBe(true);
  });

  it('does not start with half of it, with another root, or with the first key again', async () => {
    const { bindings } = await second();
    const { ISSUER_2_CERTIFICATE, ISSUER_2_KEY } = bindings;
    expect(await wrongSetting({ ISSUER_2_CERTIFICATE })).toEqual(['ISSUER_2_KEY', 'is missing']);
    expect(await wrongSetting({ ISSUER_2_KEY })).toEqual(['ISSUER_2_CERTIFICATE', 'is missing']);
    expect(await wrongSetting({ ...bindings, ISSUER_2_KEY: good.ISSUER_KEY })).toEqual([
      'ISSUER_2_KEY',
      'is not the key of ISSUER_2_CERTIFICATE',
    ]);
    const elsewhere = await second(foreign.root);
    expect((await wrongSetting(elsewhere.bindings))[0]).toBe('ISSUER_2_CERTIFICATE');
    const again = {
      ISSUER_2_CERTIFICATE: good.ISSUER_CERTIFICATE,
      ISSUER_2_KEY: good.ISSUER_KEY,
    };
    expect(await wrongSetting(again)).toEqual([
      'ISSUER_2_CERTIFICATE',
      'has the key of ISSUER_CERTIFICATE',
    ]);
    expect(await wrongSetting({ ISSUER_2_CERTIFICATE: '', ISSUER_2_KEY: '' })).toBe('none');
  });

  it('reads the key of SCEP with its certificate under each of them', async () => {
    const { made, bindings } = await second();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    const subjectPublicKey = await identifyPublicKey(expectOk(parseSubjectPublicKeyInfo(spki)));
    const raUnder = (issuer: Authority) =>
      issueUnder(issuer, (serialNumber) =>
        buildScepRaToBeSigned(
          {
            serialNumber,
            commonName: 'SCEP',
            subjectPublicKey,
            notBeforeMs: Date.now(),
            notAfterMs: Date.now() + 86_400_000,
          },
          issuer.certificate,
        ),
      );
    const [one, other] = [raUnder(organization.issuer), raUnder(made)];
    const SCEP_RA_KEY = privateKey.export({ format: 'pem', type: 'pkcs8' });
    const SCEP_RA_CERTIFICATE = pem(one);
    const scep = { SCEP_RA_KEY, SCEP_RA_CERTIFICATE };
    const alone = await readSettings({ ...good, ...scep });
    expect(alone).toMatchObject({
      settings: { scep: { keyPem: SCEP_RA_KEY, certificate: one } },
    });
    const SCEP_RA_2_CERTIFICATE = pem(other);
    const both = await readSettings({ ...good, ...bindings, ...scep, SCEP_RA_2_CERTIFICATE });
    if (!both.ok) throw new Error(`${both.setting} ${both.detail}`);
    expect([...(both.settings.scep?.certificateByIssuer ?? [])]).toEqual([
      [idOf(organization.issuer.certificate.der), one],
      [idOf(made.certificate.der), other],
    ]);

    const wrongName = async (change: Record<string, unknown>) => (await wrongSetting(change))[0];
    expect(await wrongName({ SCEP_RA_CERTIFICATE })).toBe('SCEP_RA_KEY');
    expect(await wrongName({ SCEP_RA_KEY })).toBe('SCEP_RA_CERTIFICATE');
    expect(await wrongName({ ...bindings, ...scep })).toBe('SCEP_RA_2_CERTIFICATE');
    expect(await wrongName({ ...scep, SCEP_RA_CERTIFICATE: pem(other) })).toBe(
      'SCEP_RA_CERTIFICATE',
    );
    const leaf = await organization.issueCertificate(spki, 'A'.repeat(43));
    expect(await wrongName({ ...scep, SCEP_RA_CERTIFICATE: pem(leaf) })).toBe(
      'SCEP_RA_CERTIFICATE',
    );
    const anotherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const another = anotherKey.export({ format: 'pem', type: 'pkcs8' });
    expect(await wrongSetting({ ...scep, SCEP_RA_KEY: another })).toEqual([
      'SCEP_RA_CERTIFICATE',
      'is not of SCEP_RA_KEY',
    ]);
  });
});
