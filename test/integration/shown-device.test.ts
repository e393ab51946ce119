import { encodeBase64url } from '@countersign/protocol';
import { accessAnswer, entitySearchAnswer, evaluationsAnswer } from '@countersign/protocol/authzen';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { broker } from './test-broker.ts';
import { shardObject, shardOf, sqlInShard } from './test-objects.ts';
import { theftOrder, travelDays } from './test-renewals.ts';
import { newUser } from './test-users.ts';

// What a decision token tells of a device inside of applications is asked of the device's shard, each time.

let client: TestClient;
let user: string;
let device: FakeDevice;
let token: string;
let shard: number;
let fingerprint: Uint8Array;
beforeEach(async () => {
  client = await broker.registerClient();
  const access = {
    resource_types: [{ type: 'document', actions: ['read', 'write'] }],
    resources: [{ type: 'document', id: 'page' }],
    rules: [
      { id: 'trusted', when: { actions: ['write'], device_trust: 'trusted' }, effect: 'allow' },
      { id: 'others', when: { actions: ['write'], device_trust: 'not_trusted' }, effect: 'deny' },
      { id: 'everybody', when: { actions: ['read'] }, effect: 'allow' },
    ],
  };
  const path = `/v1/admin/applications/${client.application}/access`;
  const response = await broker.admin('PUT', path, { access });
  expect(response.status, await response.text()).toBe(200);
  user = newUser();
  device = await FakeDevice.create();
  await broker.enroll(device);
  token = await signIn();
  const deviceId = device.deviceId ?? '';
  shard = shardOf(deviceId);
  const [row] = await sqlInShard(
    shard,
    'SELECT certificate_sha256 FROM certificates WHERE device_id = ?',
    deviceId,
  );
  const sha256 = row?.certificate_sha256;
  if (!(sha256 instanceof ArrayBuffer)) throw new TypeError('the device has no certificate');
  fingerprint = new Uint8Array(sha256);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function signIn(): Promise<string> {
  const { decision, context } = await broker.signIn(client, device, user);
  expect([decision, context.device_trusted]).toEqual([true, true]);
  return context.decision_token ?? '';
}

const authorization = () => ({
  Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
});
const question = (action = 'write', decision_token = token) => ({
  subject: { type: 'user', id: user },
  action: { name: action },
  resource: { type: 'document', id: 'page' },
  context: { decision_token },
});
const send = (path: string, body: object) =>
  broker.post(`/access/v1/${path}`, body, authorization());
const ask = async (...asked: Parameters<typeof question>) =>
  accessAnswer.parse(await (await send('evaluation', question(...asked))).json());

/** What the rule saw of the device. */
async function seen(): Promise<[boolean, string | undefined]> {
  const { decision, context } = await ask();
  return [decision, context.policy.criteria[1]?.seen];
}

const deviceId = () => device.deviceId ?? '';

describe('a device whose sign-in is shown', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    [
      'was revoked',
      () => shardObject(shard).revokeDevice(deviceId(), theftOrder),
      'certificate_revoked',
    ],
    [
      'was blocked',
      () => shardObject(shard).revokeDevice(deviceId(), theftOrder, 'stolen'),
      'device_blocked',
    ],
    [
      'has its certificate revoked',
      () => broker.revoke(deviceId(), encodeBase64url(fingerprint)),
      'certificate_revoked',
    ],
    [
      'has its certificate held',
      () => shardObject(shard).holdCertificate(deviceId(), fingerprint, theftOrder.actor),
      'certificate_suspended',
    ],
    [
      'was of a user whose bindings were ended',
      () => shardObject(shard).buryUser(user, 1),
      'user_revoked',
    ],
  ])('and that %s since is no trusted one in the very next evaluation', async (_, end, reason) => {
    expect(await seen()).toEqual([true, 'trusted']);
    await end();
    expect(await seen()).toEqual([false, `not trusted: ${reason}`]);
    expect((await ask('read')).decision).toBe(true);
  });

  it('is a trusted one again where its certificate is released', async () => {
    const object = shardObject(shard);
    await object.holdCertificate(deviceId(), fingerprint, theftOrder.actor);
    expect((await ask()).decision).toBe(false);
    await object.releaseCertificate(deviceId(), fingerprint, theftOrder.actor);
    expect((await ask()).decision).toBe(true);
  });

  it('stays a trusted one when its certificate is renewed', async () => {
    travelDays(336);
    token = await signIn();
    expect(await broker.renew(device)).toMatchObject({ renewed: true });
    const statuses = await sqlInShard(
      shard,
      'SELECT status FROM certificates WHERE device_id = ? ORDER BY certificate_number',
      deviceId(),
    );
    expect(statuses.map(({ status }) => status)).toEqual(['superseded', 'bound']);
    expect(await seen()).toEqual([true, 'trusted']);
  });

  it('is told with its reason on record', async () => {
    await shardObject(shard).revokeDevice(deviceId(), theftOrder, 'stolen');
    const [row = 0, sequence] = (await ask()).context.decision_id.split('.').map(Number);
    const { rows } = await broker.decisions(row);
    const record = rows.find((each) => each.sequence === sequence)?.record;
    expect(JSON.parse(record ?? '{}')).toMatchObject({
      evaluations: [{ decision: false, device_trusted: false, untrusted_reason: 'device_blocked' }],
    });
  });

  it('is searched for as it is now, too', async () => {
    const found = async () => {
      const { subject, action, context } = question();
      const body = { subject, action, context, resource: { type: 'document' } };
      return entitySearchAnswer.parse(await (await send('search/resource', body)).json()).results;
    };
    const portal = async () => {
      const { subject, context } = question();
      const body = {
        subject,
        context,
        action: { name: 'sign_in' },
        resource: { type: 'application' },
      };
      return entitySearchAnswer.parse(await (await send('search/resource', body)).json()).results;
    };
    expect([await found(), await portal()]).toEqual([
      [{ type: 'document', id: 'page' }],
      [{ type: 'application', id: client.application }],
    ]);
    await shardObject(shard).revokeDevice(deviceId(), theftOrder);
    expect([await found(), await portal()]).toEqual([[], []]);
  });
});

describe('the shard of a device', () => {
  it('is asked once for a request, however many evaluations it has, and never without need', async () => {
    const find = vi.spyOn(DeviceObject.prototype, 'findShownSignIn');
    const calls = async (body: object) => {
      find.mockClear();
      const { evaluations } = evaluationsAnswer.parse(
        await (await send('evaluations', body)).json(),
      );
      return [evaluations.filter(({ decision }) => decision).length, find.mock.calls.length];
    };
    const many = Array.from({ length: 30 }, () => ({}));
    expect(await calls({ ...question(), evaluations: many })).toEqual([30, 1]);
    const other = await signIn();
    expect(
      await calls({
        ...question(),
        evaluations: [...many, ...many.map(() => ({ context: { decision_token: other } }))],
      }),
    ).toEqual([60, 2]);
    const none = { ...question('read'), context: {}, evaluations: many };
    expect(await calls(none)).toEqual([30, 0]);
    const ofNobody = { ...question(), subject: { type: 'user', id: 'bob' }, evaluations: many };
    expect(await calls(ofNobody)).toEqual([0, 0]);
  });

  it.each<[string, () => void]>([
    [
      'fails',
      () =>
        void vi
          .spyOn(DeviceObject.prototype, 'findShownSignIn')
          .mockRejectedValue(new Error('overloaded')),
    ],
    [
      'cannot read',
      () =>
        void vi
          .spyOn(DeviceObject.prototype, 'findShownSignIn')
          .mockResolvedValue({ ok: false, code: 'storage_unavailable' }),
    ],
  ])('that %s lets nobody do anything, and says so', async (_, fail) => {
    fail();
    const single = await send('evaluation', question('read'));
    expect(problemDocument.parse(await single.json())).toMatchObject({
      status: 503,
      code: 'storage_unavailable',
    });
    const several = await send('evaluations', {
      ...question('read'),
      evaluations: [{}, { context: {} }],
    });
    expect(evaluationsAnswer.parse(await several.json()).evaluations).toMatchObject([
      { decision: false, context: { error: { status: 503, code: 'storage_unavailable' } } },
      { decision: true },
    ]);
    const { subject, action, context } = question();
    const search = { subject, action, context, resource: { type: 'document' } };
    expect((await send('search/resource', search)).status).toBe(503);
    vi.restoreAllMocks();
    expect((await ask()).decision).toBe(true);
  });

  it('knows a sign-in by number and token alone', async () => {
    const { jti, decision_id } = decodeJwt<{ decision_id: string }>(token);
    const [, sequence = 0] = decision_id.split('.').map(Number);
    const tokenId = jti ?? '';
    const find = (row: { sequence: number; tokenId: string }) =>
      shardObject(shard).findShownSignIn(row, { activeIssuerIds: [], integrations: [] });
    expect(await find({ sequence, tokenId })).toMatchObject({
      ok: true,
      shown: { record: { subject: user }, lost: 'issuer_not_active' },
    });
    for (const other of [
      { sequence, tokenId: 'A'.repeat(22) },
      { sequence: sequence + 1, tokenId },
      { sequence: 1_000_000, tokenId },
    ]) {
      expect(await find(other)).toEqual({ ok: true, shown: undefined });
    }
  });
});
