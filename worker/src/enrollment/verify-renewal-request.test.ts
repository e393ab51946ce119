import { FakeDevice, type RenewalChanges } from '@countersign/testkit/fake-device';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { beforeAll, describe, expect, it } from 'vitest';
import { PresentedCertificates } from '../challenge/presented-certificate.ts';
import { verifyRenewalRequest } from './verify-renewal-request.ts';

const nowMs = 1_800_000_000_000;
const brokerUrl = 'https://broker.example.com';
const deviceId = 'AAAAAAAAAAAAAAAAAAAAAA';

let device: FakeDevice;
let other: FakeDevice;

beforeAll(async () => {
  const organization = await FakeOrganization.create();
  device = await FakeDevice.create();
  device.certificate = await organization.issueCertificate(device.publicKey.spki, deviceId);
  other = await FakeDevice.create();
  other.certificate = await organization.issueCertificate(other.publicKey.spki, deviceId);
});

const sign = (changes: RenewalChanges = {}) =>
  device.renewalRequest(brokerUrl, { nowMs, ...changes });

const verify = (request: string) =>
  verifyRenewalRequest(request, { brokerUrl, certificates: new PresentedCertificates(), nowMs });

describe('a renewal request', () => {
  it('proves the key of the certificate in it', async () => {
    const verified = await verify(await sign());
    expect(verified).toMatchObject({ ok: true, presented: { claimedDeviceId: deviceId } });
  });

  it.each(['ec-p384', 'rsa-2048'] as const)('is verified for %s too', async (kind) => {
    const organization = await FakeOrganization.create();
    const made = await FakeDevice.create(undefined, kind);
    made.certificate = await organization.issueCertificate(made.publicKey.spki, deviceId);
    expect(await verify(await made.renewalRequest(brokerUrl, { nowMs }))).toMatchObject({
      ok: true,
    });
  });

  it('may carry the request of the key that is to follow', async () => {
    const rekey_csr = Buffer.from(other.csr).toString('base64url');
    expect(await verify(await sign({ claims: { rekey_csr } }))).toMatchObject({
      ok: true,
      claims: { rekey_csr },
    });
  });

  it('signed by another key than that of its certificate is refused', async () => {
    expect(await verify(await sign({ signWith: other.privateKey }))).toMatchObject({
      code: 'renewal_signature_invalid',
      field: 'renewal_request',
    });
  });

  it.each([-601, 601])('of a clock that is off by %i seconds is refused', async (seconds) => {
    const request = await sign({ claims: { iat: nowMs / 1000 + seconds } });
    expect(await verify(request)).toMatchObject({ code: 'enrollment_clock_skew' });
  });

  const malformed: ReadonlyArray<readonly [string, RenewalChanges]> = [
    ['for another broker', { claims: { aud: 'https://other.example.com' } }],
    ['without a time', { claims: { iat: undefined } }],
    ['with the typ of a sign-in', { header: { typ: 'device-response+jwt' } }],
    ['with a chain', { header: { x5c: ['AAAA', 'AAAA'] } }],
    ['with no certificate', { header: { x5c: [] } }],
    ['with something that is none', { header: { x5c: ['AAAA'] } }],
    ['with an empty signing request', { claims: { rekey_csr: '' } }],
  ];
  it.each(malformed)('%s is refused', async (_name, changes) => {
    expect(await verify(await sign(changes))).toMatchObject({ code: 'renewal_request_malformed' });
  });

  it.each(['', 'a.b.c', '{}'])('that is %j is refused', async (text) => {
    expect(await verify(text)).toMatchObject({ code: 'renewal_request_malformed' });
  });
});
