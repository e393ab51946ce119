import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { organizationObject, shardOf, sqlInShard } from './test-objects.ts';
import { boundInShards, holdBurials, newUser, SteppedSignIn } from './test-users.ts';

// A first binding against the end of its user's epoch: every order of their steps, one after the other.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
let burials: ReturnType<typeof holdBurials>;
beforeEach(() => {
  burials = holdBurials();
});
afterEach(() => {
  burials.restore();
  vi.useRealTimers();
});

/**
 * A sign-in: `ask` the shard, which wants a reservation; `reserve` at the organization; `bind`. The end of the epoch:
 * `end` at the organization; `bury` in the shard; and perhaps `reactivate`, which waits for no burial.
 */
type Step = 'ask' | 'reserve' | 'bind' | 'end' | 'bury' | 'reactivate';

const signInSteps: readonly Step[] = ['ask', 'reserve', 'bind'];

/** Every order of all steps in which each of the chains keeps its own order. */
function ordersOf(chains: ReadonlyArray<readonly Step[]>): Step[][] {
  const steps = new Set(chains.flat());
  if (steps.size === 0) return [[]];
  const firsts = [...steps].filter((step) =>
    chains.every((chain) => !chain.includes(step) || chain[0] === step),
  );
  return firsts.flatMap((first) =>
    ordersOf(chains.map((chain) => chain.filter((step) => step !== first))).map((rest) => [
      first,
      ...rest,
    ]),
  );
}

/** What must come of `order`, told by its steps alone. */
function expected(order: readonly Step[], staysActive: boolean) {
  const before = (a: Step, b: Step) => order.includes(a) && order.indexOf(a) < order.indexOf(b);
  if (before('reserve', 'end')) {
    return before('bury', 'bind')
      ? { reason: 'user_revoked', epoch: undefined }
      : { reason: 'trusted_device', epoch: 1 };
  }
  return staysActive || before('reactivate', 'reserve')
    ? { reason: 'trusted_device', epoch: 2 }
    : { reason: 'subject_inactive', epoch: undefined };
}

const table = (chains: ReadonlyArray<readonly Step[]>) =>
  ordersOf(chains).map((order) => [order.join(', '), order] as const);

async function take(order: readonly Step[], end: (user: string) => Promise<unknown>) {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  const user = newUser();
  const signIn = await SteppedSignIn.prepare(client, device, user);
  const shard = shardOf(device.deviceId);
  const steps: Readonly<Record<Step, () => Promise<unknown>>> = {
    ask: async () => expect(await signIn.decide()).toEqual({ kind: 'needs_reservation' }),
    reserve: () => signIn.reserve(),
    bind: () => signIn.decide(),
    end: () => end(user),
    bury: () => burials.bury(shard, user, 1),
    reactivate: () => organizationObject().setUserActive('owner', user, true),
  };
  const outcomes = new Map<Step, unknown>();
  for (const step of order) outcomes.set(step, await steps[step]());
  const [certificate] = await sqlInShard(
    shard,
    'SELECT status, bound_user, bound_epoch FROM certificates WHERE device_id = ?',
    device.deviceId ?? '',
  );
  return { device, user, decided: outcomes.get('bind'), certificate };
}

function expectBinding(
  { user, decided, certificate }: Awaited<ReturnType<typeof take>>,
  { reason, epoch }: ReturnType<typeof expected>,
) {
  expect(decided).toMatchObject({
    kind: 'decided',
    record: {
      reason,
      decision: epoch !== undefined,
      device_trusted: epoch !== undefined,
      bound_now: epoch !== undefined,
    },
  });
  expect(certificate).toEqual(
    epoch === undefined
      ? { status: 'issued', bound_user: null, bound_epoch: null }
      : { status: epoch === 1 ? 'revoked' : 'bound', bound_user: user, bound_epoch: epoch },
  );
}

/** Whoever signs in with a binding of the ended epoch is refused, by the tombstone alone if it must be. */
async function expectAfterwards(
  { device, user }: Awaited<ReturnType<typeof take>>,
  { epoch }: ReturnType<typeof expected>,
) {
  const later = await SteppedSignIn.prepare(client, device, user);
  const answer = await later.decide();
  if (epoch === undefined) expect(answer).toEqual({ kind: 'needs_reservation' });
  else {
    expect(answer).toMatchObject({
      record: {
        reason: epoch === 1 ? 'user_revoked' : 'trusted_device',
        device_trusted: epoch === 2,
      },
    });
  }
}

describe('#37 a first binding against a deactivation', () => {
  const deactivate = (user: string) => organizationObject().setUserActive('owner', user, false);

  it.each(table([signInSteps, ['end', 'bury']]))('%s', async (_, order) => {
    const taken = await take(order, deactivate);
    expectBinding(taken, expected(order, false));
    // Nobody inactive gets as far as the certificate once the snapshot tells it.
    expect(await broker.signIn(client, taken.device, taken.user)).toMatchObject({
      decision: false,
      context: { reason_code: expect.stringMatching(/^(subject_inactive|user_revoked)$/) },
    });
  });

  it.each(table([signInSteps, ['end', 'bury'], ['end', 'reactivate']]))('%s', async (_, order) => {
    const taken = await take(order, deactivate);
    expectBinding(taken, expected(order, false));
    await expectAfterwards(taken, expected(order, false));
  });
});

describe('#37 a first binding against a revocation by user', () => {
  it.each(table([signInSteps, ['end', 'bury']]))('%s', async (_, order) => {
    const taken = await take(order, (user) =>
      organizationObject().revokeUser('owner', user, 'unspecified'),
    );
    expectBinding(taken, expected(order, true));
    await expectAfterwards(taken, expected(order, true));
  });
});

describe('#37 the unbound certificate of a device whose binding has ended', () => {
  it('is not bound under the new epoch while the tombstone is still on its way', async () => {
    const { user, devices } = await boundInShards(client, [3]);
    const [device] = devices;
    const spare = await FakeDevice.create(device?.hardwareId);
    await broker.enroll(spare);
    await organizationObject().revokeUser('owner', user, 'unspecified');
    const signIn = await SteppedSignIn.prepare(client, spare, user);
    expect(await signIn.decide()).toEqual({ kind: 'needs_reservation' });
    await signIn.reserve();
    expect(await signIn.decide()).toMatchObject({
      record: { decision: false, reason: 'certificate_suspended', bound_now: false },
    });
    await burials.bury(3, user, 1);
    expect(
      await sqlInShard(
        3,
        'SELECT status FROM certificates WHERE device_id = ? ORDER BY certificate_number',
        spare.deviceId ?? '',
      ),
    ).toEqual([{ status: 'revoked' }, { status: 'suspended' }]);
    // What is issued from now on is as good as any.
    const renewed = await FakeDevice.create(device?.hardwareId);
    await broker.enroll(renewed);
    const next = await SteppedSignIn.prepare(client, renewed, user);
    await next.reserve();
    expect(await next.decide()).toMatchObject({ record: { reason: 'trusted_device' } });
  });
});

it('lets a user whose bindings ended bind anew although the clock went back since', async () => {
  const user = newUser();
  await organizationObject().revokeUser('owner', user, 'unspecified');
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
  const device = await FakeDevice.create();
  await broker.enroll(device);
  const signIn = await SteppedSignIn.prepare(client, device, user);
  await signIn.reserve();
  expect(await signIn.decide()).toMatchObject({ record: { reason: 'trusted_device' } });
});

it.each([{ enforcement: 'monitor' }, { other_devices: 'step_up' }] as const)(
  'refuses a user of whom the organization says sooner than the snapshot that they are inactive: %o',
  async (policy) => {
    const user = newUser();
    const device = await FakeDevice.create();
    await broker.enroll(device);
    const lenient = await broker.registerClient(policy);
    const signIn = await SteppedSignIn.prepare(lenient, device, user);
    await organizationObject().setUserActive('owner', user, false);
    await signIn.reserve();
    expect(await signIn.decide()).toMatchObject({
      record: { decision: false, reason: 'subject_inactive', token: expect.anything() },
    });
  },
);
