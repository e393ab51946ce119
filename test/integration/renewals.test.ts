import { renewalAnswer } from '@countersign/protocol/enrollment';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice, type RenewalChanges } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { shardOf, sqlInShard } from './test-objects.ts';

// Renewals as devices ask for them, over HTTP.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.useRealTimers();
});

const dayMs = 86_400_000;
/** Lets the broker's clock, and the test's, stand this many days later. */
const travel = (days: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * dayMs });
};

async function enrolled(): Promise<FakeDevice> {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

async function refusalOf(response: Response) {
  const { status, code } = problemDocument.parse(await response.json());
  return [status, code];
}

const fingerprints = async (device: FakeDevice) =>
  (await broker.device(device.deviceId ?? '')).certificates.map(
    ({ fingerprint_sha256 }) => fingerprint_sha256,
  );

describe('a renewal', () => {
  it('that is not due gives the same certificate again', async () => {
    const device = await enrolled();
    const before = device.certificate;
    const answer = await broker.renew(device);
    expect(answer.renewed).toBe(false);
    expect(device.certificate).toEqual(before);
    expect(Date.parse(answer.renew_after)).toBeGreaterThan(Date.now() + 300 * dayMs);
  });

  it('that is due gives a successor for the same key, bound to the same user', async () => {
    const device = await enrolled();
    expect((await broker.signIn(client, device)).decision).toBe(true);
    const before = device.certificate;
    travel(340);
    const answer = await broker.renew(device);
    expect(answer.renewed).toBe(true);
    expect(device.certificate).not.toEqual(before);
    expect((await broker.signIn(client, device)).decision).toBe(true);
    const { certificates, unbound_certificates } = await broker.device(device.deviceId ?? '');
    expect(certificates.map(({ status }) => status)).toEqual(['superseded', 'bound']);
    expect(certificates.map(({ bound_user }) => bound_user)).toEqual(['ada', 'ada']);
    expect(new Set(certificates.map(({ lineage }) => lineage)).size).toBe(1);
    expect(unbound_certificates).toBe(0);
  });

  it('leaves the old certificate good for two weeks, and no longer', async () => {
    const device = await enrolled();
    await broker.signIn(client, device);
    const before = device.certificate;
    travel(340);
    await broker.renew(device);
    const after = device.certificate;
    device.certificate = before;
    travel(13.9);
    expect((await broker.signIn(client, device)).decision).toBe(true);
    travel(0.2);
    const late = await broker.signIn(client, device);
    expect(late).toMatchObject({
      decision: false,
      context: { reason_code: 'certificate_superseded' },
    });
    // Its key is the one that is certified still: who missed every answer gets the newest one.
    const missed = await broker.renew(device);
    expect(missed.renewed).toBe(false);
    expect(device.certificate).toEqual(after);
    device.certificate = after;
    expect((await broker.signIn(client, device)).decision).toBe(true);
  });

  it('whose answer got lost is answered again, whichever certificate asks', async () => {
    const device = await enrolled();
    const before = device.certificate;
    travel(340);
    const lost = await (await broker.sendRenewal(device)).json();
    const again = await broker.renew(device);
    expect(lost).toMatchObject({ certificate: again.certificate, renewed: true });
    expect(again.renewed).toBe(false);
    expect((await fingerprints(device)).length).toBe(2);
    expect(device.certificate).not.toEqual(before);
    expect((await broker.renew(device)).certificate).toBe(again.certificate);
  });

  it('asked for fifty times at once is one', async () => {
    const device = await enrolled();
    travel(340);
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () =>
        renewalAnswer.parse(await (await broker.sendRenewal(device)).json()),
      ),
    );
    expect(
      new Set(
        answers.map((answer) => JSON.stringify(answer)).map((text) => JSON.parse(text).certificate),
      ).size,
    ).toBe(1);
    expect((await fingerprints(device)).length).toBe(2);
  });

  it('with another key goes over to it; the old key asks in vain once the overlap has ended', async () => {
    const device = await enrolled();
    await broker.signIn(client, device);
    const next = await FakeDevice.create(device.hardwareId);
    const rekey_csr = Buffer.from(next.csr).toString('base64url');
    const ask = async () =>
      renewalAnswer.parse(
        await (await broker.sendRenewal(device, { claims: { rekey_csr } })).json(),
      );
    const answer = await ask();
    expect(answer).toMatchObject({ renewed: true });
    const again = await ask();
    expect(again.certificate).toBe(answer.certificate);
    next.certificate = Buffer.from(answer.certificate, 'base64url');
    next.deviceId = device.deviceId;
    expect((await broker.signIn(client, next)).decision).toBe(true);
    travel(15);
    expect(await broker.signIn(client, device)).toMatchObject({
      context: { reason_code: 'certificate_superseded' },
    });
    expect((await broker.signIn(client, next)).decision).toBe(true);
    expect(await refusalOf(await broker.sendRenewal(device))).toEqual([
      409,
      'renewal_certificate_superseded',
    ]);
  });

  it('with the key of another device is refused', async () => {
    const [device, other] = [await enrolled(), await enrolled()];
    const rekey_csr = Buffer.from(other.csr).toString('base64url');
    expect(await refusalOf(await broker.sendRenewal(device, { claims: { rekey_csr } }))).toEqual([
      409,
      'key_of_other_device',
    ]);
    expect((await fingerprints(device)).length).toBe(1);
  });

  it('of a revoked, a held and an expired certificate is refused, each with its reason', async () => {
    const revoked = await enrolled();
    const [sha256 = ''] = await fingerprints(revoked);
    await broker.revoke(revoked.deviceId ?? '', sha256);
    expect(await refusalOf(await broker.sendRenewal(revoked))).toEqual([
      403,
      'renewal_certificate_revoked',
    ]);

    const held = await enrolled();
    const [heldSha256] = await fingerprints(held);
    const path = `/v1/admin/devices/${held.deviceId}/certificates/${heldSha256}`;
    expect(await (await broker.admin('POST', `${path}/hold`)).json()).toEqual({
      status: 'complete',
      changed: 1,
    });
    expect(await refusalOf(await broker.sendRenewal(held))).toEqual([
      403,
      'renewal_certificate_suspended',
    ]);
    await broker.admin('POST', `${path}/release`);
    expect((await broker.sendRenewal(held)).status).toBe(200);

    const expired = await enrolled();
    travel(366);
    expect(await refusalOf(await broker.sendRenewal(expired))).toEqual([
      403,
      'renewal_certificate_expired',
    ]);
  });

  it('after the device was reported stolen is refused, and so is an enrollment until it is unblocked', async () => {
    const device = await enrolled();
    const path = `/v1/admin/devices/${device.deviceId}`;
    const order = { reason: 'keyCompromise', block: 'stolen' };
    expect(await (await broker.admin('POST', `${path}/revoke`, order)).json()).toEqual({
      status: 'complete',
      changed: 1,
    });
    expect((await refusalOf(await broker.sendRenewal(device)))[0]).toBe(403);
    const fresh = await FakeDevice.create(device.hardwareId);
    const { enrollment_token } = await broker.createEnrollmentToken(device.hardwareId);
    const request = fresh.enrollmentRequest(enrollment_token);
    expect(await refusalOf(await broker.post('/v1/enrollments', request))).toEqual([
      403,
      'device_blocked',
    ]);
    await broker.admin('POST', `${path}/unblock`);
    expect((await broker.post('/v1/enrollments', request)).status).toBe(201);
    const { enrollment_token: second } = await broker.createEnrollmentToken(device.hardwareId);
    expect(
      await refusalOf(await broker.post('/v1/enrollments', device.enrollmentRequest(second))),
    ).toEqual([403, 'key_blocked']);
  });

  it('of a deactivated user is refused', async () => {
    const device = await enrolled();
    const user = `user-${crypto.randomUUID()}`;
    expect((await broker.signIn(client, device, user)).decision).toBe(true);
    await broker.putUser(user, false);
    expect((await refusalOf(await broker.sendRenewal(device)))[0]).toBe(403);
  });

  it('of a certificate that is not on record is refused', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    await sqlInShard(shard, 'DELETE FROM certificates WHERE device_id = ?', device.deviceId ?? '');
    expect(await refusalOf(await broker.sendRenewal(device))).toEqual([
      403,
      'renewal_certificate_unknown',
    ]);
  });

  const malformed: ReadonlyArray<readonly [string, RenewalChanges, number, string]> = [
    [
      'another audience',
      { claims: { aud: 'https://x.example' } },
      400,
      'renewal_request_malformed',
    ],
    ['an old date', { claims: { iat: 1_000_000_000 } }, 403, 'enrollment_clock_skew'],
    ['another typ', { header: { typ: 'device-response+jwt' } }, 400, 'renewal_request_malformed'],
    ['a wrong signing request', { claims: { rekey_csr: 'AAAA' } }, 400, 'csr_malformed'],
  ];
  it.each(malformed)('with %s is refused', async (_name, changes, status, code) => {
    const device = await enrolled();
    expect(await refusalOf(await broker.sendRenewal(device, changes))).toEqual([status, code]);
  });

  it('leaves an event, and its refusal one too', async () => {
    const device = await enrolled();
    travel(340);
    await broker.renew(device);
    const [, sha256 = ''] = await fingerprints(device);
    await broker.revoke(device.deviceId ?? '', sha256);
    await broker.sendRenewal(device);
    const { rows } = await broker.decisions(shardOf(device.deviceId));
    const events = rows
      .map(({ record }) => JSON.parse(record))
      .filter(({ debug_data }) => debug_data?.device_id === device.deviceId)
      .map(({ event_type, outcome, reason }) => [event_type, outcome, reason ?? '']);
    expect(events).toEqual([
      ['user.credential.enroll', 'SUCCESS', ''],
      ['pki.cert.issue', 'SUCCESS', ''],
      ['pki.cert.renew', 'SUCCESS', ''],
      ['pki.cert.revoke', 'SUCCESS', 'keyCompromise'],
      ['pki.cert.revoke', 'SUCCESS', 'keyCompromise'],
      ['pki.cert.renew', 'FAILURE', 'renewal_certificate_revoked'],
    ]);
  });
});
