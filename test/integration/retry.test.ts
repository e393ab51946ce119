import { encodeBase64url } from '@countersign/protocol';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { countDecisions, recordOf, shardOf, sqlInShard, total } from './test-objects.ts';

// The same request again: after a lost answer it must get the recorded one, and anything else must get nothing.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets the broker's clock, and the test's, stand this much later. */
const travel = (seconds: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
};

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

/** The body of one sign-in by the device. */
async function bodyOf(device: FakeDevice, as: TestClient = client, subject = 'ada') {
  const transaction = randomText();
  const challenge = await broker.challenge(as, transaction);
  const evidence = await device.evidence(challenge, as.origin);
  return broker.evaluationBody(as, { subject, transaction, evidence });
}

async function send(body: unknown, as: TestClient = client) {
  const response = await broker.sendEvaluation(as, body);
  expect(response.status).toBe(200);
  return evaluationAnswer.parse(await response.json());
}

const tokenOf = (answer: Awaited<ReturnType<typeof send>>) =>
  decodeJwt(answer.context.decision_token ?? '');

describe('a retry', () => {
  it('gets the recorded decision with the same token claims, and nothing is recorded', async () => {
    const body = await bodyOf(await enrolled());
    const first = await send(body);
    const before = total(await countDecisions());
    travel(30);
    const again = await send(body);
    expect(total(await countDecisions())).toBe(before);
    expect({ ...again.context, decision_token: '' }).toEqual({
      ...first.context,
      decision_token: '',
    });
    expect(tokenOf(again)).toEqual(tokenOf(first));
  });

  it('is the same request in any order of members, with any unknown ones', async () => {
    const body = await bodyOf(await enrolled());
    const first = await send(body);
    const { subject, action, resource, context } = body;
    const { transaction, evidence, subject_authenticated } = context;
    const reordered = {
      extra: { a: 1 },
      context: { subject_authenticated, time: 'now', evidence, transaction },
      resource: { id: resource.id, type: resource.type, properties: {} },
      action: { ...action, properties: { b: 2 } },
      subject: { id: subject.id, type: subject.type, properties: { c: 3 } },
    };
    expect(await send(reordered)).toMatchObject({
      decision: true,
      context: { decision_id: first.context.decision_id },
    });
    expect(await send(JSON.stringify(body, undefined, 2))).toMatchObject({ decision: true });
  });

  it('is the same request with other headers and another authentication of the same client', async () => {
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    if (!('privateKey' in keys)) throw new TypeError('a key pair was asked for');
    const exported = await crypto.subtle.exportKey('jwk', keys.publicKey);
    if (exported instanceof ArrayBuffer) throw new TypeError('a JWK was asked for');
    const body = await bodyOf(await enrolled());
    const first = await send(body);
    const { x = '', y = '' } = exported;
    await broker.putClient(client.clientId, {
      name: 'now with keys',
      origins: [client.origin],
      applications: [client.application],
      authentication: {
        method: 'private_key_jwt',
        keys: [{ kty: 'EC', crv: 'P-256', x, y, kid: 'k1' }],
      },
    });
    const now = Math.floor(Date.now() / 1000);
    const part = (value: object) =>
      encodeBase64url(new TextEncoder().encode(JSON.stringify(value)));
    const input = `${part({ alg: 'ES256', kid: 'k1' })}.${part({ iss: client.clientId, sub: client.clientId, aud: broker.brokerUrl, iat: now, exp: now + 60, jti: randomText(16) })}`;
    const signature = await crypto.subtle.sign(
      { name: 'ECDSA', hash: 'SHA-256' },
      keys.privateKey,
      new TextEncoder().encode(input),
    );
    const response = await broker.post('/access/v1/evaluation', body, {
      Authorization: `Bearer ${input}.${encodeBase64url(new Uint8Array(signature))}`,
      'User-Agent': 'another program',
      'X-Request-ID': 'second',
    });
    expect(evaluationAnswer.parse(await response.json())).toMatchObject({
      decision: true,
      context: { decision_id: first.context.decision_id },
    });
    client = await broker.registerClient();
  });

  it.each<[what: string, change: (body: Awaited<ReturnType<typeof bodyOf>>) => unknown]>([
    ['another subject', (body) => ({ ...body, subject: { type: 'user', id: 'grace' } })],
    [
      'another word on authentication',
      (body) => ({ ...body, context: { ...body.context, subject_authenticated: false } }),
    ],
    [
      'another application',
      (body) => ({ ...body, resource: { type: 'application', id: 'other' } }),
    ],
    ['another action', (body) => ({ ...body, action: { name: 'delete' } })],
    [
      'the same evidence with a code',
      (body) => ({
        ...body,
        context: { ...body.context, evidence: `${body.context.evidence}host_timeout` },
      }),
    ],
  ])('is not one with %s', async (_what, change) => {
    const device = await enrolled();
    const body = await bodyOf(device);
    const first = await send(body);
    const other = await send(change(body));
    expect(other).toMatchObject({
      decision: false,
      context: { reason_code: 'challenge_already_used', device_trusted: false },
    });
    expect(other.context).not.toHaveProperty('decision_token');
    const [spent, refusal] = [
      await recordOf(first.context.decision_id),
      await recordOf(other.context.decision_id),
    ];
    expect(refusal).toMatchObject({
      opened: false,
      spent_id: spent.id,
      device_id: device.deviceId,
    });
    expect(refusal.id).not.toBe(spent.id);
    // What was recorded first stays what a true retry gets.
    expect(await send(body)).toMatchObject({
      decision: true,
      context: { decision_id: first.context.decision_id },
    });
  });

  it('is refused from the second in which its token expires', async () => {
    const body = await bodyOf(await enrolled());
    const first = await send(body);
    const exp = tokenOf(first).exp ?? 0;
    vi.useFakeTimers({ toFake: ['Date'], now: exp * 1000 - 1 });
    expect(await send(body)).toMatchObject({ decision: true });
    vi.useFakeTimers({ toFake: ['Date'], now: exp * 1000 });
    const late = await send(body);
    expect(late).toMatchObject({
      decision: false,
      context: { reason_code: 'challenge_already_used' },
    });
    expect(late.context.decision_id).not.toBe(first.context.decision_id);
  });
});

describe('a retry of what no longer stands', () => {
  const losses: ReadonlyArray<[what: string, lose: (device: FakeDevice) => Promise<unknown>]> = [
    ['the certificate was revoked', (device) => revokeAll(device)],
    ['the certificate was superseded', (device) => change(device, "status = 'superseded'")],
    ['the certificate has expired', (device) => change(device, 'not_after_ms = 1')],
    ['the issuer is no longer active', (device) => change(device, "issuer_id = 'retired'")],
    ['the binding is of another user', (device) => change(device, "bound_user = 'grace'")],
    [
      'the binding is of another epoch',
      (device) => change(device, 'bound_epoch = bound_epoch + 1'),
    ],
    [
      'the binding is gone',
      (device) => change(device, "status = 'issued', bound_user = NULL, bound_epoch = NULL"),
    ],
    ['the certificate is gone', (device) => change(device, "certificate_sha256 = x'00'")],
  ];
  const change = (device: FakeDevice, assignment: string) =>
    sqlInShard(
      shardOf(device.deviceId),
      `UPDATE certificates SET ${assignment} WHERE device_id = ?`,
      device.deviceId ?? '',
    );
  async function revokeAll(device: FakeDevice) {
    const { certificates } = await broker.device(device.deviceId ?? '');
    for (const { fingerprint_sha256 } of certificates) {
      await broker.revoke(device.deviceId ?? '', fingerprint_sha256);
    }
  }

  it.each(losses.slice(0, 7))('is denied as revoked, and recorded: %s', async (_what, lose) => {
    const device = await enrolled();
    const body = await bodyOf(device);
    const first = await send(body);
    expect(first.decision).toBe(true);
    await lose(device);
    const second = await send(body);
    expect(second).toMatchObject({ decision: false, context: { reason_code: 'revoked' } });
    expect(second.context).not.toHaveProperty('decision_token');
    const spent = await recordOf(first.context.decision_id);
    expect(await recordOf(second.context.decision_id)).toMatchObject({
      reason: 'revoked',
      opened: false,
      spent_id: spent.id,
    });
  });

  it('is no retry where the certificate is not on record any more', async () => {
    const device = await enrolled();
    const body = await bodyOf(device);
    await send(body);
    await losses[7]?.[1](device);
    expect(await send(body)).toMatchObject({
      decision: false,
      context: { reason_code: 'certificate_unknown' },
    });
  });

  it('stays a denial where it was one, whatever happened since', async () => {
    const device = await enrolled();
    const other = await broker.registerClient();
    const body = await bodyOf(device);
    const denied = { ...body, resource: { type: 'application', id: other.application } };
    const first = await send(denied);
    expect(first).toMatchObject({
      decision: false,
      context: { reason_code: 'client_not_allowed_for_application', device_trusted: true },
    });
    expect(await send(denied)).toMatchObject({
      context: { decision_id: first.context.decision_id },
    });
    await revokeAll(device);
    expect(await send(denied)).toMatchObject({
      context: {
        decision_id: first.context.decision_id,
        reason_code: 'client_not_allowed_for_application',
      },
    });
  });

  it('asks nothing of what a monitored sign-in did not rest on', async () => {
    const monitoring = await broker.registerClient({ enforcement: 'monitor' });
    const device = await enrolled();
    await broker.signIn(client, device, 'grace');
    const body = await bodyOf(device, monitoring);
    const first = await send(body, monitoring);
    expect(first).toMatchObject({
      decision: true,
      context: { reason_code: 'monitor_only', device_trusted: false },
    });
    await revokeAll(device);
    expect(await send(body, monitoring)).toMatchObject({
      decision: true,
      context: { decision_id: first.context.decision_id },
    });
  });
});

describe('at the same time', () => {
  it('50 identical requests are decided once', async () => {
    const device = await enrolled();
    const body = await bodyOf(device);
    const before = total(await countDecisions());
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(body)));
    expect(total(await countDecisions())).toBe(before + 1);
    expect(new Set(answers.map((answer) => answer.context.decision_id)).size).toBe(1);
    expect(new Set(answers.map((answer) => tokenOf(answer).jti)).size).toBe(1);
    expect(answers.every((answer) => answer.decision)).toBe(true);
  });

  it('two users who race for an unbound certificate bind one', async () => {
    for (let round = 0; round < 5; round++) {
      const device = await enrolled();
      const users = ['ada', 'grace', 'edsger', 'barbara'];
      const bodies = await Promise.all(users.map((user) => bodyOf(device, client, user)));
      const answers = await Promise.all(bodies.map((body) => send(body)));
      const winners = users.filter((_, index) => answers[index]?.decision);
      expect(winners).toHaveLength(1);
      const losers = answers.filter((answer) => !answer.decision);
      expect(losers.map((answer) => answer.context.reason_code)).toEqual(
        losers.map(() => 'certificate_bound_to_other_user'),
      );
      const { certificates, unbound_certificates } = await broker.device(device.deviceId ?? '');
      expect(certificates).toMatchObject([{ status: 'bound', bound_user: winners[0] }]);
      expect(unbound_certificates).toBe(0);
    }
  });
});
