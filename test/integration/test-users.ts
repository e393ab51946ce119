import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { expect, vi } from 'vitest';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import type { DecideResult, Reservation, SignIn } from '../../worker/src/device/sign-in.ts';
import { storageUnavailable } from '../../worker/src/storage/durable-store.ts';
import { broker } from './test-broker.ts';
import { inShard, organizationObject, shardObject, shardOf } from './test-objects.ts';

/** Users whose bindings are ended, step by step, in an order that the test chooses. */

export const newUser = () => `user-${randomText(8)}`;

/** The body of one sign-in by the device. */
export async function signInBody(client: TestClient, device: FakeDevice, subject: string) {
  const transaction = randomText();
  const challenge = await broker.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);
  return broker.evaluationBody(client, { subject, transaction, evidence });
}

/** A sign-in as the Worker asks the shard about it. The shard has not been asked: the test does that, when it likes. */
export async function prepareSignIn(
  client: TestClient,
  device: FakeDevice,
  user: string,
): Promise<SignIn> {
  const asked: SignIn[] = [];
  const spy = vi.spyOn(DeviceObject.prototype, 'decide').mockImplementation(async (_, signIn) => {
    asked.push(signIn);
    return storageUnavailable;
  });
  const response = await broker.sendEvaluation(client, await signInBody(client, device, user));
  spy.mockRestore();
  const [signIn] = asked;
  if (signIn === undefined) throw new Error(`${response.status} ${await response.text()}`);
  return signIn;
}

/** The steps of one prepared sign-in, as the Worker takes them. */
export class SteppedSignIn {
  readonly #device: FakeDevice;
  readonly #signIn: SignIn;
  #reservation: Reservation | undefined;

  private constructor(device: FakeDevice, signIn: SignIn) {
    this.#device = device;
    this.#signIn = signIn;
  }

  static async prepare(client: TestClient, device: FakeDevice, user: string) {
    return new SteppedSignIn(device, await prepareSignIn(client, device, user));
  }

  /**
   * Asks the shard, with the reservation once there is one, by a snapshot that is fresh enough and knows nothing of what
   * the test has done to the user.
   */
  async decide(): Promise<DecideResult> {
    const shard = shardOf(this.#device.deviceId);
    const answer = await shardObject(shard).decide(shard, {
      ...this.#signIn,
      snapshot: { ...this.#signIn.snapshot, readAtMs: Date.now() },
      structuralDenial: undefined,
      reservation: this.#reservation,
    });
    if ('ok' in answer) throw new Error(answer.code);
    return answer;
  }

  async reserve(): Promise<void> {
    const shard = shardOf(this.#device.deviceId);
    const answer = await organizationObject().reserveBinding(this.#signIn.subject, shard);
    if (!answer.ok && answer.code === 'storage_unavailable') throw new Error(answer.code);
    this.#reservation = answer.ok ? answer : { ok: false, reason: 'subject_inactive' };
  }
}

/** Keeps the fan-out from reaching any shard until `restore()`; `bury` still does. */
export function holdBurials() {
  const { buryUser } = DeviceObject.prototype;
  const spy = vi
    .spyOn(DeviceObject.prototype, 'buryUser')
    .mockImplementation(async () => storageUnavailable);
  return {
    restore: () => spy.mockRestore(),
    bury: (shard: number, user: string, epoch: number) =>
      inShard(shard, (object) => buryUser.call(object, user, epoch)),
  };
}

/** Ends the user's bindings, and waits until every shard has it. */
export async function end(user: string, how: 'deactivate' | 'revoke') {
  const change = await (how === 'deactivate'
    ? broker.putUser(user, false)
    : broker.revokeUser(user));
  await vi.waitFor(async () => {
    const { shards } = await broker.job(change.job_id ?? '');
    expect(shards.reached).toBe(shards.total);
  }, 30_000);
  return change;
}

/** A user with one bound certificate in each of these shards. */
export async function boundInShards(client: TestClient, shards: readonly number[]) {
  const user = newUser();
  const devices: FakeDevice[] = [];
  for (const shard of shards) devices.push(await enrolledInShard(shard));
  for (const device of devices) {
    const { decision } = await broker.signIn(client, device, user);
    if (!decision) throw new Error(`${user} could not bind a certificate`);
  }
  return { user, devices };
}

const spare = new Map<number, FakeDevice[]>();

/** A device whose certificate is in this shard. Where a device belongs follows from its hardware id alone. */
export async function enrolledInShard(shard: number): Promise<FakeDevice> {
  for (;;) {
    const device = spare.get(shard)?.pop();
    if (device !== undefined) return device;
    const made = await FakeDevice.create();
    await broker.enroll(made);
    const home = shardOf(made.deviceId);
    spare.set(home, [...(spare.get(home) ?? []), made]);
  }
}
