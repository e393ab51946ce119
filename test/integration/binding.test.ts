import { nameKey } from '@countersign/protocol/name-key';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeAll, describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';
import {
  organizationObject,
  recordOf,
  runInOrganization,
  shardOf,
  sqlInShard,
} from './test-objects.ts';

// When a certificate gets its user, and when it does not.

let client: TestClient;
let monitoring: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
  monitoring = await broker.registerClient({ enforcement: 'monitor' });
});

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

const boundUserOf = async (device: FakeDevice) => {
  const { certificates } = await broker.device(device.deviceId ?? '');
  return certificates[0]?.bound_user;
};

const putUser = (user: string, { active, epoch }: { active: 0 | 1; epoch: number }) =>
  runInOrganization((state) =>
    state.storage.sql
      .exec(
        'INSERT INTO users (user_id, active, epoch, name_key) VALUES (?, ?, ?, ?)',
        user,
        active,
        epoch,
        nameKey(user),
      )
      .toArray(),
  );

describe('the first binding', () => {
  it('is made in a trusted allow of an authenticated subject', async () => {
    const device = await enrolled();
    expect(await broker.signIn(client, device, 'ada')).toMatchObject({ decision: true });
    expect(await boundUserOf(device)).toBe('ada');
  });

  it('is made under monitor too, when the device is trusted', async () => {
    const device = await enrolled();
    expect(await broker.signIn(monitoring, device, 'ada')).toMatchObject({
      decision: true,
      context: { reason_code: 'trusted_device' },
    });
    expect(await boundUserOf(device)).toBe('ada');
  });

  type Case = readonly [
    what: string,
    asClient: () => TestClient,
    change: object,
    outcome: { readonly decision: boolean; readonly reason: string },
  ];
  const cases: readonly Case[] = [
    [
      'the subject is not authenticated',
      () => client,
      { subjectAuthenticated: false },
      { decision: false, reason: 'authentication_required' },
    ],
    [
      'the subject is not authenticated and the application monitors',
      () => monitoring,
      { subjectAuthenticated: false },
      { decision: true, reason: 'monitor_only' },
    ],
    [
      'the client may not ask about the application',
      () => ({ ...client, application: monitoring.application }),
      {},
      { decision: false, reason: 'client_not_allowed_for_application' },
    ],
    [
      'the application is unknown',
      () => ({ ...client, application: 'unknown' }),
      {},
      { decision: false, reason: 'application_unknown' },
    ],
  ];
  it.each(cases)('is not made where %s', async (_what, asClient, change, outcome) => {
    const device = await enrolled();
    const as = asClient();
    const transaction = randomText();
    const challenge = await broker.challenge(as, transaction);
    const evidence = await device.evidence(challenge, as.origin);
    const answer = await broker.evaluate(as, { transaction, evidence, ...change });
    expect([answer.decision, answer.context.reason_code]).toEqual([
      outcome.decision,
      outcome.reason,
    ]);
    expect(await recordOf(answer.context.decision_id)).toMatchObject({ bound_now: false });
    expect(await boundUserOf(device)).toBeUndefined();
    // And the device can still be bound afterwards.
    expect(await broker.signIn(client, device, 'grace')).toMatchObject({ decision: true });
    expect(await boundUserOf(device)).toBe('grace');
  });

  it.each<[what: string, change: object, reason: string]>([
    ['an unknown action', { action: { name: 'delete' } }, 'action_unknown'],
    [
      'a subject that is no user',
      { subject: { type: 'service', id: 'ada' } },
      'subject_type_unknown',
    ],
    [
      'a resource that is no application',
      { resource: { type: 'file', id: 'x' } },
      'resource_type_unknown',
    ],
  ])('is not made for %s', async (_what, change, reason) => {
    const device = await enrolled();
    const transaction = randomText();
    const challenge = await broker.challenge(monitoring, transaction);
    const evidence = await device.evidence(challenge, monitoring.origin);
    const body = { ...broker.evaluationBody(monitoring, { transaction, evidence }), ...change };
    const response = await broker.sendEvaluation(monitoring, body);
    expect(await response.json()).toMatchObject({
      decision: false,
      context: { reason_code: reason },
    });
    expect(await boundUserOf(device)).toBeUndefined();
  });

  it('is reserved first: an inactive user gets none', async () => {
    const user = `user-${randomText(8)}`;
    await putUser(user, { active: 0, epoch: 3 });
    const device = await enrolled();
    expect(await broker.signIn(client, device, user)).toMatchObject({
      decision: false,
      context: { reason_code: 'subject_inactive', device_trusted: false },
    });
    expect(await boundUserOf(device)).toBeUndefined();
    expect(await organizationObject().reserveBinding(user, 0)).toEqual({
      ok: false,
      code: 'subject_inactive',
    });
  });

  it('stores the epoch of the user, and the shard is reserved once', async () => {
    const user = `user-${randomText(8)}`;
    await putUser(user, { active: 1, epoch: 7 });
    const device = await enrolled();
    const answer = await broker.signIn(client, device, user);
    expect(await recordOf(answer.context.decision_id)).toMatchObject({ epoch: 7, bound_now: true });
    const shard = shardOf(device.deviceId);
    expect(
      await sqlInShard(
        shard,
        'SELECT bound_epoch FROM certificates WHERE device_id = ?',
        device.deviceId ?? '',
      ),
    ).toEqual([{ bound_epoch: 7 }]);
    expect(await organizationObject().reserveBinding(user, shard)).toEqual({
      ok: true,
      epoch: 7,
      sinceMs: 0,
    });
    const reservations = await runInOrganization((state) =>
      state.storage.sql
        .exec('SELECT shard, epoch FROM binding_reservations WHERE user_id = ?', user)
        .toArray(),
    );
    expect(reservations).toEqual([{ shard, epoch: 7 }]);
  });

  it('is never changed: the certificate stays with its user', async () => {
    const device = await enrolled();
    await broker.signIn(client, device, 'ada');
    for (const [user, reason_code] of [
      ['grace', 'certificate_bound_to_other_user'],
      ['Ada', 'certificate_bound_to_other_spelling'],
      ['ada ', 'certificate_bound_to_other_spelling'],
    ] as const) {
      expect(await broker.signIn(client, device, user)).toMatchObject({
        decision: false,
        context: { reason_code },
      });
    }
    expect(await broker.signIn(client, device, 'ada')).toMatchObject({ decision: true });
    expect(await boundUserOf(device)).toBe('ada');
  });
});
