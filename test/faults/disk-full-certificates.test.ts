// A disk without space while certificates are renewed and revoked: each order is done or refused, and what was done
// stays so. Once there is space again everything goes on, and what could not be told is told.
import { encodeBase64url } from '@countersign/protocol';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { SmallDiskBroker } from '../support/faults/small-disk-broker.ts';
import { publishedStatus } from '../support/published-status.ts';

let broker: SmallDiskBroker;
let client: TestClient;
beforeAll(async () => {
  broker = await SmallDiskBroker.start(32);
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stop());

type Bound = {
  readonly device: FakeDevice;
  readonly user: string;
  readonly enrolled: EnrollmentAnswer;
};
type Order = Bound & {
  readonly send: () => Promise<Response>;
  /** What the first success was answered with; every later one is answered with the same. */
  answer?: string;
};

async function bindDevice(index: number): Promise<Bound> {
  const device = await FakeDevice.create();
  const enrolled = await broker.client.enroll(device);
  const user = `user-${index}`;
  expect((await broker.client.signIn(client, device, user)).decision).toBe(true);
  return { device, user, enrolled };
}

/** To a key of its own, since nothing is due yet. */
async function renewal(bound: Bound): Promise<Order> {
  const next = await FakeDevice.create(bound.device.hardwareId);
  const claims = { rekey_csr: encodeBase64url(next.csr) };
  const renewal_request = await bound.device.renewalRequest(broker.client.brokerUrl, { claims });
  return { ...bound, send: () => broker.client.post('/v1/renewals', { renewal_request }) };
}

async function revocation(bound: Bound): Promise<Order> {
  const { certificates } = await broker.client.device(bound.device.deviceId ?? '');
  const path = `/v1/admin/devices/${bound.device.deviceId}/certificates/${certificates[0]?.fingerprint_sha256}/revoke`;
  const send = () => broker.client.admin('POST', path, { reason: 'keyCompromise' });
  return { ...bound, send };
}

/** @returns whether it was done; refused, it was refused for want of space, in the form that clients know */
async function give(order: Order): Promise<boolean> {
  const response = await order.send();
  const text = await response.text();
  if (response.ok) {
    const { certificate } = { certificate: '', ...JSON.parse(text) };
    expect(certificate).toBe(order.answer ?? certificate);
    order.answer = certificate;
    return true;
  }
  expect(text).toMatch(/"code":"(storage|snapshot)_unavailable"/);
  expect(problemDocument.parse(JSON.parse(text)).status).toBe(503);
  expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
  return false;
}

const certificatesOf = async ({ device }: Bound) =>
  (await broker.client.device(device.deviceId ?? '')).certificates;

async function expectRenewed(order: Order): Promise<void> {
  const certificates = await certificatesOf(order);
  expect(certificates.map(({ status }) => status)).toEqual(['superseded', 'bound']);
  expect(certificates.map(({ bound_user }) => bound_user)).toEqual([order.user, order.user]);
  const { decision, context } = await broker.client.signIn(client, order.device, order.user);
  expect(decision, context.reason_code).toBe(true);
}

async function expectRevoked(order: Order): Promise<void> {
  expect((await certificatesOf(order)).map(({ status }) => status)).toEqual(['revoked']);
  const { context } = await broker.client.signIn(client, order.device, order.user);
  expect(context.reason_code).toBe('certificate_revoked');
  const told = await publishedStatus(broker.client.brokerUrl, order.enrolled);
  expect(told).toEqual({ ocsp: 'revoked', isListed: true });
  const { enrollment_token } = await broker.client.createEnrollmentToken(order.device.hardwareId);
  const request = order.device.enrollmentRequest(enrollment_token);
  const again = await broker.client.post('/v1/enrollments', request);
  expect(await again.text()).toContain('"code":"key_blocked"');
}

async function checkRecords(renewals: readonly Order[], revocations: readonly Order[]) {
  for (const order of renewals) await expectRenewed(order);
  for (const order of revocations) {
    // Whoever could not be told while there was no space is told soon.
    await vi.waitFor(() => expectRevoked(order), { timeout: 30_000, interval: 200 });
  }
  for (let shard = 0; shard < broker.shardCount; shard++) {
    const { rows, head } = await broker.client.decisions(shard);
    expect(firstBrokenRow(rows, head)).toBeUndefined();
  }
}

it('refuses with 503 or does what it is asked, undoes nothing, and tells what it could not tell', async () => {
  const bound: Bound[] = [];
  for (let index = 0; index < 48; index++) bound.push(await bindDevice(index));
  const renewals = await Promise.all(bound.slice(0, 24).map(renewal));
  const revocations = await Promise.all(bound.slice(24).map(revocation));

  broker.fill();
  expect(broker.freeBytes).toBe(0);
  const refused = { renewals: 0, revocations: 0 };
  // What SQLite has set aside takes a few more rows.
  for (let round = 0; round < 20 && Math.min(...Object.values(refused)) < 20; round++) {
    await Promise.all([
      ...renewals.map(async (order) => {
        if (!(await give(order))) refused.renewals += 1;
      }),
      ...revocations.map(async (order) => {
        if (!(await give(order))) refused.revocations += 1;
      }),
    ]);
  }
  expect(Math.min(...Object.values(refused)), JSON.stringify(refused)).toBeGreaterThanOrEqual(20);

  const doneBefore = revocations.filter(({ answer }) => answer !== undefined);
  broker.freeSpace();
  // What was answered is so without being asked again.
  for (const order of doneBefore) {
    expect((await certificatesOf(order)).map(({ status }) => status)).toEqual(['revoked']);
  }
  for (const order of [...renewals, ...revocations]) expect(await give(order)).toBe(true);
  await checkRecords(renewals, revocations);

  // It was on disk, and not in memory alone.
  await broker.server.killWorkerd();
  await checkRecords(renewals, revocations);
}, 120_000);
