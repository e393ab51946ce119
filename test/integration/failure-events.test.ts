import { randomText } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';
import { issued } from './test-issuance.ts';
import { shardCount } from './test-objects.ts';
import { signInBody } from './test-users.ts';

// What failed is in the log: whoever sent it, and however often.

/** An address of its own, so that no test counts for another. */
const newAddress = () => `2001:db8:${Math.floor(Math.random() * 0xffff).toString(16)}:1::/64`;
const networkOf = (address: string) => address.replace('::/64', '::1');

const post = (path: string, body: unknown, address: string) =>
  broker.request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'CF-Connecting-IP': networkOf(address) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

type Event = {
  readonly event_type: string;
  readonly outcome: string;
  readonly reason: string;
  readonly debug_data: Readonly<Record<string, string>>;
};

/** Events that name this address, of all shards. */
async function eventsFrom(address: string): Promise<string[]> {
  const events: Event[] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    const { rows } = await broker.decisions(shard);
    events.push(...rows.map(({ record }) => JSON.parse(record)));
  }
  return events
    .filter(({ debug_data }) => debug_data?.address === address)
    .map(({ event_type, outcome, reason, debug_data: { of, not_recorded } }) =>
      [event_type, outcome, reason, of, not_recorded].filter(Boolean).join(' '),
    );
}

describe('an event is made of', () => {
  it.each([
    ['/v1/enrollments', 'user.credential.enroll'],
    ['/v1/attestations', 'user.credential.enroll'],
    ['/v1/renewals', 'pki.cert.renew'],
  ])('a body that cannot be read: %s', async (path, type) => {
    const address = newAddress();
    await post(path, '{', address);
    await post(path, {}, address);
    expect((await eventsFrom(address)).toSorted()).toEqual([
      `${type} FAILURE field_invalid`,
      `${type} FAILURE json_malformed`,
    ]);
  });

  it('a renewal that nothing proves, and one by a certificate that is not on record', async () => {
    const address = newAddress();
    await post('/v1/renewals', { renewal_request: 'a.b.c' }, address);
    const device = await issued();
    const { certificate } = await issued();
    const renewal_request = await device.renewalRequest(broker.brokerUrl);
    device.certificate = certificate;
    const forged = await device.renewalRequest(broker.brokerUrl);
    await post('/v1/renewals', { renewal_request: forged }, address);
    expect((await eventsFrom(address)).toSorted()).toEqual([
      'pki.cert.renew FAILURE renewal_request_malformed',
      'pki.cert.renew FAILURE renewal_signature_invalid',
    ]);
    expect((await post('/v1/renewals', { renewal_request }, address)).status).toBe(200);
  });
});

describe('what comes too often from one address', () => {
  it('is counted by orders of magnitude, and closes no enrollment', async () => {
    const address = newAddress();
    for (let sent = 0; sent < 45; sent += 1) await post('/v1/enrollments', '{', address);
    const malformed = 'user.credential.enroll FAILURE json_malformed';
    const suppressed = 'log.failure.suppress FAILURE json_malformed user.credential.enroll';
    expect((await eventsFrom(address)).toSorted()).toEqual([
      `${suppressed} 1`,
      `${suppressed} 10`,
      ...Array.from({ length: 30 }, () => malformed),
    ]);
    const device = await FakeDevice.create();
    const { enrollment_token } = await broker.createEnrollmentToken(device.hardwareId);
    const request = device.enrollmentRequest(enrollment_token);
    expect((await post('/v1/enrollments', request, address)).status).toBe(201);
  });

  it('is said with the reason that it is hidden behind', async () => {
    const address = newAddress();
    for (let sent = 0; sent < 31; sent += 1) {
      const device = await FakeDevice.create();
      await post('/v1/enrollments', device.enrollmentRequest(randomText()), address);
    }
    const events = await eventsFrom(address);
    expect(events).toHaveLength(31);
    expect(events).toContain(
      'log.failure.suppress FAILURE enrollment_token_invalid user.credential.enroll 1',
    );
  });
});

it('refusals of a client beyond its allowance are counted in the log, by order of magnitude', async () => {
  const client = await broker.registerClient();
  const body = await signInBody(client, await issued(), 'ada');
  const unopened = { ...body, context: { ...body.context, evidence: randomText() } };
  const first = await broker.sendEvaluation(client, unopened);
  const { context } = (await first.json()) as { context: { decision_id: string } };
  const shard = Number(context.decision_id.split('.')[0]);
  for (let sent = 0; sent < 131; sent += 1) await broker.sendEvaluation(client, unopened);
  const { rows } = await broker.decisions(shard);
  const events = rows.map(({ record }) => JSON.parse(record));
  const suppressed = events.filter(({ debug_data }) => debug_data?.client_id === client.clientId);
  expect(suppressed.map(({ debug_data }) => debug_data.not_recorded)).toEqual(['1', '10']);
});
