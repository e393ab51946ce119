import { createHash } from 'node:crypto';
import {
  type Authority,
  expectOk,
  issueUnder,
  makeAuthorities,
  makeTestKey,
} from '@countersign/testkit/fake-authorities';
import {
  buildScepRaToBeSigned,
  createLeafTemplate,
  identifyPublicKey,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { ClientCertificates } from './client-certificate.ts';

const nowMs = Date.parse('2026-11-01T12:00:00Z');
const hourMs = 3_600_000;
const deviceId = 'A'.repeat(43);

let ours: Authority;
let other: Authority;
let root: Authority;

beforeAll(async () => {
  const authorities = await makeAuthorities(nowMs);
  ours = authorities.issuer;
  root = authorities.root;
  other = (await makeAuthorities(nowMs)).issuer;
});

async function issue(
  issuer: Authority,
  validity = { notBeforeMs: nowMs - hourMs, notAfterMs: nowMs + hourMs },
): Promise<Uint8Array> {
  const template = expectOk(createLeafTemplate(issuer.certificate));
  const subjectPublicKey = await identifyPublicKey(
    expectOk(parseSubjectPublicKeyInfo(makeTestKey().spki)),
  );
  return issueUnder(issuer, (serialNumber) =>
    template({ serialNumber, commonName: 'Device', deviceId, subjectPublicKey, ...validity }),
  );
}

const cfOf = (der: Uint8Array, changes: object = {}) => ({
  tlsClientAuth: {
    certPresented: '1',
    certVerified: 'SUCCESS',
    certRevoked: '0',
    certRFC9440: `:${Buffer.from(der).toString('base64')}:`,
    certRFC9440TooLarge: false,
    ...changes,
  },
});

const reader = (...issuers: Authority[]) =>
  new ClientCertificates(issuers.map(({ certificate }) => certificate.der));

describe('a client certificate', () => {
  it('of ours is known by its bytes and names its device', async () => {
    const der = await issue(ours);
    expect(await reader(ours).read(cfOf(der), nowMs)).toEqual({
      ok: true,
      certificate: { deviceId, sha256: createHash('sha256').update(der).digest('base64url') },
    });
  });

  it('of any of several issuers is ours', async () => {
    const both = reader(other, ours);
    expect(await both.read(cfOf(await issue(ours)), nowMs)).toMatchObject({ ok: true });
    expect(await both.read(cfOf(await issue(other)), nowMs)).toMatchObject({ ok: true });
  });

  it('of an authority under our issuer that is no device is not ours', async () => {
    const subjectPublicKey = await identifyPublicKey(
      expectOk(parseSubjectPublicKeyInfo(makeTestKey().spki)),
    );
    const validity = { notBeforeMs: nowMs - hourMs, notAfterMs: nowMs + hourMs };
    const der = issueUnder(ours, (serialNumber) =>
      buildScepRaToBeSigned(
        { serialNumber, commonName: 'SCEP', subjectPublicKey, ...validity },
        ours.certificate,
      ),
    );
    expect(await reader(ours).read(cfOf(der), nowMs)).toMatchObject({
      code: 'mtls_certificate_foreign',
    });
  });

  it('of another issuer with the same name is not, whatever the front says', async () => {
    expect(await reader(ours).read(cfOf(await issue(other)), nowMs)).toMatchObject({
      ok: false,
      code: 'mtls_certificate_foreign',
    });
    expect(await reader().read(cfOf(await issue(ours)), nowMs)).toMatchObject({
      code: 'mtls_certificate_foreign',
    });
  });

  it('that is an authority of ours is no device', async () => {
    for (const authority of [ours, root]) {
      const result = await reader(ours, root).read(cfOf(authority.certificate.der), nowMs);
      expect(result).toMatchObject({ ok: false, code: 'mtls_certificate_foreign' });
    }
  });

  it('is judged by the clock of each request, also when it is remembered', async () => {
    const certificates = reader(ours);
    const validity = { notBeforeMs: nowMs, notAfterMs: nowMs + hourMs };
    const cf = cfOf(await issue(ours, validity));
    const codeAt = async (ms: number) => {
      const result = await certificates.read(cf, ms);
      return result.ok ? 'ok' : result.code;
    };
    expect(await codeAt(nowMs - 1)).toBe('mtls_certificate_not_yet_valid');
    expect(await codeAt(nowMs)).toBe('ok');
    // The second that notAfter names counts whole.
    expect(await codeAt(nowMs + hourMs + 999)).toBe('ok');
    expect(await codeAt(nowMs + hourMs + 1000)).toBe('mtls_certificate_expired');
    expect(await codeAt(Number.NaN)).toBe('mtls_certificate_not_yet_valid');
    expect(await codeAt(nowMs)).toBe('ok');
  });

  it('is not known because another one is', async () => {
    const certificates = reader(ours);
    const der = await issue(ours);
    expect(await certificates.read(cfOf(der), nowMs)).toMatchObject({ ok: true });
    const changed = Buffer.from(der);
    changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
    expect(await certificates.read(cfOf(changed), nowMs)).toMatchObject({
      code: 'mtls_certificate_foreign',
    });
    const unverified = cfOf(der, { certVerified: 'FAILED' });
    expect(await certificates.read(unverified, nowMs)).toMatchObject({
      code: 'mtls_certificate_not_verified',
    });
  });

  it('that is too large is never parsed', async () => {
    const huge = cfOf(new Uint8Array(8_000));
    expect(await reader(ours).read(huge, nowMs)).toMatchObject({
      code: 'mtls_certificate_not_verified',
    });
  });
});
