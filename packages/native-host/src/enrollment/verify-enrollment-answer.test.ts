import { createHash } from 'node:crypto';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { describe, expect, it } from 'vitest';
import { type AnswerExpectations, verifyEnrollmentAnswer } from './verify-enrollment-answer.ts';

const nowMs = Date.UTC(2030, 0, 1);
const now = nowMs / 1000;
const day = 86_400;
const deviceId = 'device-0000000000';
const brokerUrl = 'https://broker.example.com';
const organization = await FakeOrganization.create(brokerUrl, nowMs);
const stranger = await FakeOrganization.create(brokerUrl, nowMs);
const { spki } = makeTestKey();
const honest = await organization.enrollmentAnswer(spki, deviceId);
const foreign = await stranger.enrollmentAnswer(spki, deviceId);
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

function verify(
  changes: Readonly<Partial<Record<keyof EnrollmentAnswer, unknown>>>,
  expected: Partial<AnswerExpectations> = {},
) {
  return verifyEnrollmentAnswer(
    { ...honest, ...changes },
    { spki, requestedUrl: 'https://alias.example.com', nowSeconds: now, ...expected },
  );
}

async function expectRefused(
  refused: ReturnType<typeof verify>,
  reason: string,
  detail: string,
): Promise<void> {
  expect(await refused).toEqual({ ok: false, reason, detail: expect.stringContaining(detail) });
}

const certificateFor = async (key: Uint8Array, validity = {}) => ({
  certificate: base64url(await organization.issueCertificate(key, deviceId, validity)),
});

describe('an answer is verified', () => {
  it('when everything in it stands under its root', async () => {
    expect(await verify({})).toEqual({
      ok: true,
      value: {
        enrollment: {
          brokerUrl,
          requestedUrl: 'https://alias.example.com',
          organizationId: organization.organizationId,
          deviceId,
          leafCertificate: new Uint8Array(Buffer.from(honest.certificate, 'base64url')),
          issuerCertificate: organization.issuer.certificate.der,
          rootCertificate: organization.root.certificate.der,
          keySetVersion: 1,
          renewAfterSeconds: Date.parse(honest.renew_after) / 1000,
        },
        keySet: honest.key_set,
      },
    });
  });

  it('under the pinned root', async () => {
    const rootSha256 = createHash('sha256')
      .update(organization.root.certificate.der)
      .digest('base64url');
    expect(await verify({}, { rootSha256 })).toMatchObject({ ok: true });
  });

  it('under either of two issuers, as the one that has issued comes with it', async () => {
    const rolled = await FakeOrganization.create(brokerUrl, nowMs);
    const rootSha256 = createHash('sha256').update(rolled.root.certificate.der).digest('base64url');
    const first = await rolled.enrollmentAnswer(spki, deviceId);
    await rolled.rollIssuer(nowMs);
    const second = await rolled.enrollmentAnswer(spki, deviceId);
    expect(second.issuer_certificate).not.toBe(first.issuer_certificate);
    for (const answer of [first, second]) {
      expect(await verify(answer, { rootSha256 })).toMatchObject({ ok: true });
    }
    const { issuer_certificate } = first;
    await expectRefused(
      verify({ ...second, issuer_certificate }, { rootSha256 }),
      'broker_answer_malformed',
      'certificate: ',
    );
  });

  it.each([-600, 0, 600])(
    'by a clock that is %d s off, at the moment of issuance',
    async (skew) => {
      const justIssued = await certificateFor(spki, { notBeforeMs: nowMs });
      expect(await verify(justIssued, { nowSeconds: now + skew })).toMatchObject({ ok: true });
    },
  );

  it('with members that a later version may add', async () => {
    const answer = { ...honest, later: 1 };
    expect(
      await verifyEnrollmentAnswer(answer, { spki, requestedUrl: brokerUrl, nowSeconds: now }),
    ).toMatchObject({ ok: true });
  });
});

describe('an answer is refused', () => {
  it.each<[field: keyof EnrollmentAnswer, value: unknown, detail: string]>([
    ['certificate', undefined, 'certificate must be of type string'],
    ['certificate', '***', 'certificate must be base64url'],
    ['certificate', 'AAAA', 'certificate: '],
    ['certificate', `${honest.certificate}AA`, 'certificate'],
    ['issuer_certificate', 'AAAA', 'issuer_certificate: '],
    ['root_certificate', 'AAAA', 'root_certificate: '],
    ['device_id', 'another-device-00', 'certificate does not name device_id'],
    ['broker_url', 'http://broker.example.com', 'broker_url must be https'],
    ['broker_url', `${brokerUrl}/`, 'broker_url must end after the host'],
    ['certificate', foreign.certificate, 'certificate: '],
    ['issuer_certificate', foreign.issuer_certificate, 'issuer_certificate: '],
    ['root_certificate', foreign.root_certificate, 'issuer_certificate: '],
    ['root_certificate', honest.issuer_certificate, 'root_certificate: '],
    ['issuer_certificate', honest.root_certificate, 'issuer_certificate: '],
    ['certificate', honest.issuer_certificate, 'certificate: '],
  ])('with %s %j', async (field, value, detail) => {
    await expectRefused(verify({ [field]: value }), 'broker_answer_malformed', detail);
  });

  it.each<[field: keyof EnrollmentAnswer, value: unknown, detail: string]>([
    ['organization_id', 'org_another', 'is for another organization'],
    ['broker_url', 'https://other.example.com', 'is from another broker'],
    ['key_set', 'a.b.c', 'is not three parts'],
    ['key_set', foreign.key_set, 'not issued by the pinned root'],
  ])('when %s %j does not fit the key set', async (field, value, detail) => {
    await expectRefused(verify({ [field]: value }), 'key_set_invalid', detail);
  });

  it('when it is not an object at all', async () => {
    const expected = { spki, requestedUrl: brokerUrl, nowSeconds: now };
    for (const answer of [undefined, null, [], 'text', {}]) {
      expect(await verifyEnrollmentAnswer(answer, expected)).toMatchObject({
        ok: false,
        reason: 'broker_answer_malformed',
      });
    }
  });

  it('with a certificate for another key', async () => {
    const answer = await certificateFor(makeTestKey().spki);
    await expectRefused(
      verify(answer),
      'broker_answer_malformed',
      "certificate is not for this device's key",
    );
  });

  it('under another root than the pinned one', async () => {
    const rootSha256 = createHash('sha256').update('another root').digest('base64url');
    await expectRefused(
      verify({}, { rootSha256 }),
      'broker_root_mismatch',
      'root_sha256 of the broker is ',
    );
  });

  it.each([-3600 - 601, 365 * day + 601, -20 * 365 * day, Number.NaN])(
    'by a device whose clock is %d s off',
    async (offset) => {
      await expectRefused(
        verify({}, { nowSeconds: now + offset }),
        'clock_skew',
        'the certificate is valid from 2029-12-31T23:00:00.000Z to 2031-01-01T00:00:00.000Z',
      );
    },
  );
});
