import { evaluationAnswer } from '@countersign/protocol/evaluation';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { isAbout } from './test-issuance.ts';
import { inShard, organizationObject, recordOf, sqlInShard } from './test-objects.ts';
import { boundInShards, end, newUser, signInBody } from './test-users.ts';

// What the end of a user's bindings means for certificates, retries and sign-ins that wait, and what it leaves alone.

let client: TestClient;
let monitoring: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
  monitoring = await broker.registerClient({ enforcement: 'monitor' });
});
afterEach(() => {
  vi.useRealTimers();
});

async function enrolled(hardwareId?: FakeDevice['hardwareId']) {
  const device = await FakeDevice.create(hardwareId);
  await broker.enroll(device);
  return device;
}

async function send(as: TestClient, body: unknown) {
  const response = await broker.sendEvaluation(as, body);
  expect(response.status).toBe(200);
  return evaluationAnswer.parse(await response.json());
}

const statusesOf = async (device: FakeDevice) => {
  const { certificates } = await broker.device(device.deviceId ?? '');
  return certificates.map(({ status }) => status);
};

const reasonOf = async (as: TestClient, device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(as, device, user);
  return [decision, context.reason_code, context.device_trusted];
};

describe('a user whose bindings were ended', () => {
  it('is refused with every old certificate, and binds a new one once active', async () => {
    const { user, devices } = await boundInShards(client, [0, 4]);
    await end(user, 'deactivate');
    for (const device of devices) {
      expect(await reasonOf(client, device, user)).toEqual([false, 'subject_inactive', false]);
    }
    await broker.putUser(user, true);
    for (const device of devices) {
      expect(await reasonOf(client, device, user)).toEqual([false, 'user_revoked', false]);
    }
    const [device] = devices;
    expect((await broker.device(device?.deviceId ?? '')).certificates).toMatchObject([
      {
        status: 'revoked',
        revocation_reason: 'affiliationChanged',
        bound_user: user,
        binding_ended: true,
      },
    ]);
    const renewed = await enrolled(device?.hardwareId);
    expect(await reasonOf(client, renewed, user)).toEqual([true, 'trusted_device', true]);
    expect(await reasonOf(client, renewed, user)).toEqual([true, 'trusted_device', true]);
    const { certificates } = await broker.device(device?.deviceId ?? '');
    expect(certificates.map(({ binding_ended }) => binding_ended)).toEqual([true, undefined]);
    // A second end concerns the new one too, and never revives the old ones.
    await end(user, 'revoke');
    for (const each of [...devices, renewed]) {
      expect(await reasonOf(client, each, user)).toEqual([false, 'user_revoked', false]);
    }
  });

  it('leaves every other user alone, in the same shard and on the same device', async () => {
    const first = await enrolled();
    const second = await enrolled(first.hardwareId);
    const [ada, grace] = [newUser(), newUser()];
    await broker.signIn(client, first, ada);
    await broker.signIn(client, second, grace);
    await end(ada, 'deactivate');
    expect(await reasonOf(client, second, grace)).toEqual([true, 'trusted_device', true]);
    expect(await reasonOf(client, first, grace)).toEqual([false, 'certificate_revoked', false]);
  });

  it('is compared character by character', async () => {
    const user = newUser();
    const device = await enrolled();
    await broker.signIn(client, device, user);
    for (const other of [user.toUpperCase(), `${user} `, `${user}\u0000`, user.slice(0, -1)]) {
      await end(other, 'revoke');
    }
    expect(await reasonOf(client, device, user)).toEqual([true, 'trusted_device', true]);
  });

  it.each(['a/b', 'ä ö', '日本', '%2F', 'a\u0000b', '💻', '..a', "' OR 1=1 --", 'x'.repeat(256)])(
    'may be called %j',
    async (name) => {
      const device = await enrolled();
      expect(await reasonOf(client, device, name)).toEqual([true, 'trusted_device', true]);
      await end(name, 'deactivate');
      expect(await broker.user(name)).toMatchObject({
        user_id: name,
        active: false,
        bound_shards: 1,
      });
      expect(await reasonOf(client, device, name)).toEqual([false, 'subject_inactive', false]);
      await broker.putUser(name, true);
      expect(await reasonOf(client, device, name)).toEqual([false, 'user_revoked', false]);
    },
  );
});

describe('an inactive user', () => {
  it('signs in nowhere: not without a device, not where nothing is enforced', async () => {
    const user = newUser();
    const device = await enrolled();
    expect(await reasonOf(monitoring, device, user)).toEqual([true, 'trusted_device', true]);
    await end(user, 'deactivate');
    expect(await reasonOf(monitoring, device, user)).toEqual([false, 'subject_inactive', false]);
    const body = await signInBody(monitoring, device, user);
    const { evidence: _, ...context } = body.context;
    expect(await send(monitoring, { ...body, context })).toMatchObject({
      decision: false,
      context: { reason_code: 'subject_inactive' },
    });
  });
});

describe('unbound certificates', () => {
  it('of a device of the user are suspended, and of no other device', async () => {
    const { user, devices } = await boundInShards(client, [3]);
    const device = devices[0] ?? (await enrolled());
    const spare = await enrolled(device.hardwareId);
    const neighbour = (await boundInShards(client, [3])).devices[0] ?? (await enrolled());
    const spareOfNeighbour = await enrolled(neighbour.hardwareId);
    await end(user, 'revoke');
    expect(await statusesOf(device)).toEqual(['revoked', 'suspended']);
    expect(await statusesOf(neighbour)).toEqual(['bound', 'issued']);
    for (const somebody of [user, newUser()]) {
      expect(await reasonOf(client, spare, somebody)).toEqual([
        false,
        'certificate_suspended',
        false,
      ]);
    }
    expect(await reasonOf(client, spareOfNeighbour, newUser())).toEqual([
      true,
      'trusted_device',
      true,
    ]);
    // What is issued afterwards is as good as any.
    const fresh = await enrolled(device.hardwareId);
    expect(await statusesOf(device)).toEqual(['revoked', 'suspended', 'issued']);
    expect(await reasonOf(client, fresh, user)).toEqual([true, 'trusted_device', true]);
  });

  it('that were issued after the tombstone stay, although it is brought again', async () => {
    const { user, devices } = await boundInShards(client, [6]);
    const device = devices[0] ?? (await enrolled());
    await end(user, 'revoke');
    const fresh = await enrolled(device.hardwareId);
    for (const epoch of [1, 0, 1]) {
      expect(await inShard(6, (object) => object.buryUser(user, epoch))).toEqual({
        ok: true,
        revoked: 0,
        suspended: 0,
      });
    }
    expect(await statusesOf(device)).toEqual(['revoked', 'issued']);
    expect(await reasonOf(client, fresh, newUser())).toEqual([true, 'trusted_device', true]);
  });

  it('are suspended also where the binding itself was revoked before', async () => {
    const { user, devices } = await boundInShards(client, [2]);
    const device = devices[0] ?? (await enrolled());
    const { certificates } = await broker.device(device.deviceId ?? '');
    await broker.revoke(device.deviceId ?? '', certificates[0]?.fingerprint_sha256 ?? '');
    await enrolled(device.hardwareId);
    await end(user, 'deactivate');
    expect(await statusesOf(device)).toEqual(['revoked', 'suspended']);
  });

  it('count toward the five while they are suspended, and no longer once they are revoked', async () => {
    const { user, devices } = await boundInShards(client, [1]);
    const device = devices[0] ?? (await enrolled());
    for (let count = 0; count < 5; count++) await enrolled(device.hardwareId);
    await end(user, 'revoke');
    expect((await broker.device(device.deviceId ?? '')).unbound_certificates).toBe(5);
    await expect(enrolled(device.hardwareId)).rejects.toThrow('enrollment_limit_reached');
    const { certificates } = await broker.device(device.deviceId ?? '');
    const suspended = certificates.find(({ status }) => status === 'suspended');
    await broker.revoke(device.deviceId ?? '', suspended?.fingerprint_sha256 ?? '');
    expect(await reasonOf(client, await enrolled(device.hardwareId), user)).toEqual([
      true,
      'trusted_device',
      true,
    ]);
  });

  it('are suspended before they are signed, and the signature changes nothing', async () => {
    const { user, devices } = await boundInShards(client, [5]);
    const device = devices[0] ?? (await enrolled());
    const late = await FakeDevice.create(device.hardwareId);
    const sign = crypto.subtle.sign.bind(crypto.subtle);
    const signing = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    vi.spyOn(crypto.subtle, 'sign').mockImplementation(async (...parameters) => {
      if (!isAbout(late, parameters[2])) return await sign(...parameters);
      signing.resolve();
      await go.promise;
      return await sign(...parameters);
    });
    const token = await broker.createEnrollmentToken(device.hardwareId);
    const enrolling = broker.enroll(late, token.enrollment_token);
    await signing.promise;
    vi.restoreAllMocks();
    expect(await statusesOf(device)).toEqual(['bound', 'intent']);
    await end(user, 'deactivate');
    go.resolve();
    await enrolling;
    expect(await statusesOf(device)).toEqual(['revoked', 'suspended']);
    expect(await reasonOf(client, late, newUser())).toEqual([
      false,
      'certificate_suspended',
      false,
    ]);
  });
});

describe('a retry of an allow', () => {
  it.each(['deactivate', 'revoke'] as const)('is denied as revoked after: %s', async (how) => {
    const device = await enrolled();
    const user = newUser();
    const body = await signInBody(client, device, user);
    const first = await send(client, body);
    expect(first).toMatchObject({ decision: true, context: { reason_code: 'trusted_device' } });
    expect(await send(client, body)).toMatchObject({ decision: true });
    await end(user, how);
    const again = await send(client, body);
    expect(again).toMatchObject({ decision: false, context: { reason_code: 'revoked' } });
    expect(again.context).not.toHaveProperty('decision_token');
    const spent = await recordOf(first.context.decision_id);
    expect(await recordOf(again.context.decision_id)).toMatchObject({
      spent_id: spent.id,
      opened: false,
    });
    await broker.putUser(user, true);
    expect(await send(client, body)).toMatchObject({ context: { reason_code: 'revoked' } });
  });

  it('that rested on no device is denied while the user is inactive', async () => {
    const user = newUser();
    const device = await enrolled();
    await broker.signIn(client, device, newUser());
    const body = await signInBody(monitoring, device, user);
    expect(await send(monitoring, body)).toMatchObject({
      decision: true,
      context: { reason_code: 'monitor_only' },
    });
    await end(user, 'deactivate');
    expect(await send(monitoring, body)).toMatchObject({
      decision: false,
      context: { reason_code: 'revoked' },
    });
  });
});

describe('a sign-in that waits for a factor', () => {
  let demanding: TestClient;
  beforeAll(async () => {
    demanding = await broker.registerClient({ trusted_devices: 'step_up' });
  });

  /** Begins a sign-in that is not decided yet, and gives what completes it. */
  async function pending(device: FakeDevice, user: string) {
    const body = await signInBody(demanding, device, user);
    expect(await send(demanding, body)).toMatchObject({
      decision: false,
      context: { reason_code: 'step_up_required' },
    });
    return async () => {
      const response = await broker.post(
        '/v1/completions',
        { ...body, acr: 'phr' },
        { Authorization: `Basic ${btoa(`${demanding.clientId}:${demanding.clientSecret}`)}` },
      );
      expect(response.status).toBe(200);
      const { decision, context } = evaluationAnswer.parse(await response.json());
      return [decision, context.reason_code];
    };
  }

  it('ends with the binding that it would rest on', async () => {
    const { user, devices } = await boundInShards(client, [7]);
    const complete = await pending(devices[0] ?? (await enrolled()), user);
    await end(user, 'revoke');
    expect(await complete()).toEqual([false, 'user_revoked']);
  });

  it('ends although nothing is bound yet, and nothing is bound by it', async () => {
    const user = newUser();
    const device = await enrolled();
    const complete = await pending(device, user);
    await end(user, 'revoke');
    expect(await complete()).toEqual([false, 'user_revoked']);
    expect(await statusesOf(device)).toEqual(['issued']);
    // One that begins afterwards is another matter.
    expect(await (await pending(device, user))()).toEqual([true, 'step_up_completed']);
  });

  it('ends with the deactivation, and does not revive with the user', async () => {
    const user = newUser();
    const device = await enrolled();
    const [first, second] = [await pending(device, user), await pending(device, user)];
    await end(user, 'deactivate');
    expect(await first()).toEqual([false, 'subject_inactive']);
    await broker.putUser(user, true);
    expect(await second()).toEqual([false, 'user_revoked']);
    expect(await statusesOf(device)).toEqual(['issued']);
  });

  it('is not touched by the end of another user', async () => {
    const user = newUser();
    const complete = await pending(await enrolled(), user);
    await end(newUser(), 'deactivate');
    expect(await complete()).toEqual([true, 'step_up_completed']);
  });

  it('that was completed is no allow any more when it is asked for again', async () => {
    const user = newUser();
    const complete = await pending(await enrolled(), user);
    expect(await complete()).toEqual([true, 'step_up_completed']);
    expect(await complete()).toEqual([true, 'step_up_completed']);
    await end(user, 'revoke');
    expect(await complete()).toEqual([false, 'revoked']);
  });
});

it('a tombstone is kept for ever, with the newest epoch', async () => {
  const { user } = await boundInShards(client, [4]);
  await end(user, 'revoke');
  await end(user, 'revoke');
  await broker.putUser(user, true);
  await ringAlarm(organizationObject());
  expect(await sqlInShard(4, 'SELECT epoch FROM user_tombstones WHERE user_id = ?', user)).toEqual([
    { epoch: 2 },
  ]);
});
