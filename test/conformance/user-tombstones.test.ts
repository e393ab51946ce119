// The end of a user's bindings, while the user keeps signing in everywhere: what is reported complete is complete.
import { setTimeout as sleep } from 'node:timers/promises';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import { decisionTokenTtlSeconds } from '@countersign/protocol/limits';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, type FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../support/seeded-random.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const shardCount = 8;
const seed = Number(process.env.COUNTERSIGN_FAULT_SEED ?? Date.now() % 1_000_000);
const random = seededRandom(seed);

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start({ shardCount });
});
afterAll(() => broker?.stopAndRemove());

const newUser = () => `user-${randomText(8)}`;

/** The body of one sign-in, ready to be sent, and to be sent again; without a device, one whose page has found none. */
async function bodyOf(as: TestClient, user: string, device?: FakeDevice) {
  const { transaction, challenge } = await openTransaction(broker, as);
  const evidence =
    device === undefined
      ? evidenceWithoutResponse(challenge, 'extension_not_installed')
      : await device.evidence(challenge, as.origin);
  return broker.client.evaluationBody(as, { subject: user, transaction, evidence });
}

async function send(as: TestClient, body: unknown): Promise<EvaluationAnswer> {
  const response = await broker.client.sendEvaluation(as, body);
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return evaluationAnswer.parse(await response.json());
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 40_000;
  while (!isSo() && performance.now() < deadline) await sleep(20);
}

/** Waits for the job, and says since when it was known to be complete, by this process's clock. */
async function untilComplete(jobId: string | undefined): Promise<number> {
  const deadline = performance.now() + 40_000;
  while (performance.now() < deadline) {
    const { status } = await broker.client.job(jobId ?? '');
    if (status === 'complete') return performance.now();
    await sleep(50);
  }
  throw new Error(`${jobId} is not complete`);
}

/** One device in each shard, found by its decisions: the first part of a decision's id is its shard. */
async function bindInEveryShard(client: TestClient, user: string): Promise<FakeDevice[]> {
  const devices = new Map<string, FakeDevice>();
  for (let attempt = 0; devices.size < shardCount; attempt++) {
    if (attempt > 40 * shardCount) throw new Error('some shard gets no device');
    const device = await enrollDevice(broker);
    const { context, decision } = await broker.client.signIn(client, device, user);
    expect(decision).toBe(true);
    devices.set(context.decision_id.split('.')[0] ?? '', device);
  }
  return [...devices.values()];
}

type Attempt = {
  readonly what: string;
  readonly beganAt: number;
  readonly answer: EvaluationAnswer;
  /** Whether the token of the allow that was sent again may have ended by then: it is a spent challenge like any other. */
  readonly isForgotten: boolean;
};

/** A token surely lives this long; when it ends is told in whole seconds. */
const rememberedMs = (decisionTokenTtlSeconds - 1) * 1000;

type Allowed = { readonly body: unknown; readonly beganAt: number };

const describeAttempt = ({ what, answer }: Attempt) =>
  `${what}: ${answer.context.decision_id} ${answer.context.reason_code}`;

/** Seldom enough for the refusals of a client that one shard records in a minute. */
const retryEveryMs = 350;

/** Signs in with each device, and without one, again and again until told to stop; sends old allows again as well. */
async function keepTrying(
  { user, devices, client, monitoring }: Case,
  attempts: Attempt[],
  isOver: () => boolean,
): Promise<void> {
  const attempt = async (what: string, as: TestClient, body: unknown, again?: Allowed) => {
    const beganAt = performance.now();
    const answer = await send(as, body);
    const isForgotten = again !== undefined && performance.now() - again.beganAt > rememberedMs;
    const made = { what, beganAt, answer, isForgotten };
    attempts.push(made);
    return made;
  };
  const retry = async (what: string, as: TestClient, again: Allowed | undefined) => {
    await attempt(what, as, again?.body, again);
  };
  const tryWith = async (device: FakeDevice | undefined) => {
    const as = device === undefined ? monitoring : client;
    // An allow is answered again while its token lives, a minute: long enough to outlive the job.
    const allowed: Allowed[] = [];
    let retriedAt = 0;
    while (!isOver()) {
      const body = await bodyOf(as, user, device);
      const { answer, beganAt } = await attempt('a sign-in', as, body);
      if (answer.decision) allowed.push({ body, beganAt });
      if (performance.now() - retriedAt < retryEveryMs) continue;
      retriedAt = performance.now();
      await retry('a retry', as, allowed[Math.floor(random() * allowed.length)]);
      await retry('a retry of the last allow', as, allowed.at(-1));
    }
  };
  await Promise.all([...devices, undefined].map(tryWith));
}

type Case = {
  readonly user: string;
  readonly devices: readonly FakeDevice[];
  readonly client: TestClient;
  /** Asks for no device: only whom nobody deactivated may sign in here. */
  readonly monitoring: TestClient;
};

async function prepareCase(): Promise<Case> {
  const client = await broker.client.registerClient();
  const monitoring = await broker.client.registerClient({ enforcement: 'monitor' });
  const user = newUser();
  return { user, devices: await bindInEveryShard(client, user), client, monitoring };
}

describe('#37 a user with a certificate in every shard', () => {
  it.concurrent.each(['deactivated', 'revoked'] as const)(
    `who is %s is allowed nothing that begins after complete (COUNTERSIGN_FAULT_SEED=${seed})`,
    async (how) => {
      const tried = await prepareCase();
      const { user } = tried;
      const attempts: Attempt[] = [];
      let isOver = false;
      const trying = keepTrying(tried, attempts, () => isOver);
      /** Something of everything: each device, with and without a retry. */
      const enough = 12 * (shardCount + 1);
      await Promise.race([trying, until(() => attempts.length >= enough)]);
      const changedAt = performance.now();
      const change = await (how === 'deactivated'
        ? broker.client.putUser(user, false)
        : broker.client.revokeUser(user));
      expect(change.status).toBe('pending');
      const completeAt = await untilComplete(change.job_id);
      const since = () => attempts.filter(({ beganAt }) => beganAt >= completeAt);
      await Promise.race([trying, until(() => since().length >= enough)]);
      isOver = true;
      await trying;

      // There was something to lose before, and something to refuse afterwards.
      const before = attempts.filter(({ beganAt }) => beganAt < changedAt);
      const after = since();
      expect(before.length).toBeGreaterThan(50);
      expect(after.length).toBeGreaterThan(50);
      const tooEarly = before
        .slice(0, -shardCount - 1)
        .filter(({ answer, isForgotten }) => !answer.decision && !isForgotten);
      expect(tooEarly.map(describeAttempt)).toEqual([]);

      const trusted = after.filter(({ answer }) => answer.context.device_trusted);
      expect(trusted.map(describeAttempt)).toEqual([]);
      const allowed = after.filter(({ answer }) => answer.decision);
      // Whom nobody deactivated may still sign in where no device is asked for.
      const expected = how === 'deactivated' ? [] : ['monitor_only'];
      expect([...new Set(allowed.map(({ answer }) => answer.context.reason_code))]).toEqual(
        expected,
      );
      expect(new Set(after.map(({ what }) => what)).size).toBe(3);
      const retries = after.filter(
        ({ what, answer, isForgotten }) => what !== 'a sign-in' && !answer.decision && !isForgotten,
      );
      expect(new Set(retries.map(({ answer }) => answer.context.reason_code))).toEqual(
        new Set(['revoked']),
      );
      expect((await broker.client.job(change.job_id ?? '')).shards).toEqual({
        total: shardCount,
        reached: shardCount,
      });
      expect(await broker.brokenRows()).toEqual([]);
    },
    180_000,
  );
});

async function inFours<Item>(items: readonly Item[], work: (item: Item) => Promise<void>) {
  for (let index = 0; index < items.length; index += 4) {
    await Promise.all(items.slice(index, index + 4).map(work));
  }
}

it(`#37 200 first bindings that race a deactivation (COUNTERSIGN_FAULT_SEED=${seed})`, async () => {
  const rounds = 200;
  const client = await broker.client.registerClient();
  const monitoring = await broker.client.registerClient({ enforcement: 'monitor' });
  let tie = 0;
  const race = async () => {
    const user = newUser();
    const device = await enrollDevice(broker);
    const body = await bodyOf(client, user, device);
    // Now one, now the other is ahead, around where both are equally fast on this machine.
    const lead = tie + random() * 12 - 6;
    const later = async <Result>(ms: number, work: () => Promise<Result>) => {
      if (ms > 0) await sleep(ms);
      return await work();
    };
    const [answer, change] = await Promise.all([
      later(-lead, () => send(client, body)),
      later(lead, () => broker.client.putUser(user, false)),
    ]);
    tie += answer.decision ? -0.5 : 0.5;
    return { user, device, body, answer, change };
  };
  const raced: Awaited<ReturnType<typeof race>>[] = [];
  while (raced.length < rounds) {
    raced.push(...(await Promise.all(Array.from({ length: 4 }, race))));
  }
  const bound = raced.filter(({ answer }) => answer.decision);
  // Both came first often enough for both to be tried.
  expect(bound.length).toBeGreaterThan(20);
  expect(bound.length).toBeLessThan(rounds - 20);
  const refused = raced.filter(({ answer }) => !answer.decision);
  for (const { answer } of refused) {
    expect(['subject_inactive', 'user_revoked']).toContain(answer.context.reason_code);
    expect(answer.context.device_trusted).toBe(false);
  }

  for (const { change } of raced) await untilComplete(change.job_id);
  await inFours(raced, async ({ user, device, body, answer }) => {
    const again = await send(client, body);
    expect([again.decision, again.context.device_trusted], answer.context.reason_code).toEqual([
      false,
      false,
    ]);
    for (const as of [client, monitoring]) {
      const { decision, context } = await broker.client.signIn(as, device, user);
      expect([decision, context.device_trusted, context.reason_code]).toEqual([
        false,
        false,
        'subject_inactive',
      ]);
    }
  });

  // Active again, whoever was bound in time stays refused, and nobody else was harmed.
  await inFours(raced, async ({ user, device, answer }) => {
    await broker.client.putUser(user, true);
    const { decision, context } = await broker.client.signIn(client, device, user);
    expect([decision, context.reason_code]).toEqual(
      answer.decision ? [false, 'user_revoked'] : [true, 'trusted_device'],
    );
  });
}, 180_000);
