import { env, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { problemDocument } from '@countersign/protocol/problem';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { beforeAll, describe, expect, it } from 'vitest';
import { GroupCommit } from '../../worker/src/storage/group-commit.ts';
import { brokerWith } from './test-app.ts';
import { broker } from './test-broker.ts';
import {
  inShard,
  organizationObject,
  shardCount,
  shardObject,
  shardOf,
  sqlInShard,
} from './test-objects.ts';
import { signInWithoutEvidence } from './test-sign-in.ts';

// What happens to a block of writes, and to an object, when something fails.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

/** An object of its own with an empty table. */
const withTable = <Result>(run: (storage: DurableObjectStorage) => Promise<Result>) =>
  runInDurableObject(env.KEY.get(env.KEY.newUniqueId()), async (_, { storage }) => {
    storage.sql.exec('CREATE TABLE things (name TEXT PRIMARY KEY)');
    return await run(storage);
  });

const namesIn = ({ sql }: DurableObjectStorage) =>
  sql
    .exec<{ name: string }>('SELECT name FROM things ORDER BY rowid')
    .toArray()
    .map((row) => row.name);

/** The same storage, with another `sync`. */
const withSync = (storage: DurableObjectStorage, sync: () => Promise<void>) =>
  new Proxy(storage, {
    get: (target, name) => {
      if (name === 'sync') return sync;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

describe('GroupCommit', () => {
  it('answers each block with its value, in order, and flushes once for many', async () => {
    await withTable(async (storage) => {
      let flushes = 0;
      const commit = new GroupCommit(
        withSync(storage, () => {
          flushes += 1;
          return storage.sync();
        }),
      );
      const insert = (index: number) => () => {
        storage.sql.exec('INSERT INTO things (name) VALUES (?)', `n${index}`);
        return index;
      };
      const indexes = Array.from({ length: 100 }, (_, index) => index);
      expect(await Promise.all(indexes.map((index) => commit.run(insert(index))))).toEqual(indexes);
      expect(namesIn(storage)).toEqual(indexes.map((index) => `n${index}`));
      expect(flushes).toBe(2);
      expect(await commit.run(insert(100))).toBe(100);
      expect(flushes).toBe(3);
    });
  });

  it('rolls back alone what throws', async () => {
    await withTable(async (storage) => {
      const commit = new GroupCommit(storage);
      const insert = (name: string, fail: boolean) =>
        commit.run(() => {
          storage.sql.exec('INSERT INTO things (name) VALUES (?)', name);
          if (fail) throw new Error(`no ${name}`);
          return name;
        });
      const results = await Promise.allSettled([
        insert('a', true),
        insert('b', false),
        insert('c', true),
        insert('b', false),
        insert('d', false),
      ]);
      expect(results.map((result) => result.status)).toEqual([
        'rejected',
        'fulfilled',
        'rejected',
        'rejected',
        'fulfilled',
      ]);
      expect(namesIn(storage)).toEqual(['b', 'd']);
    });
  });

  it('says that something was undone before the next block starts', async () => {
    await withTable(async (storage) => {
      const events: string[] = [];
      let failing = false;
      const commit = new GroupCommit(
        withSync(storage, () =>
          failing ? Promise.reject(new Error('disk full')) : storage.sync(),
        ),
        () => events.push(`undone, ${namesIn(storage).length} left`),
      );
      const insert = (name: string, fail: boolean) =>
        commit.run(() => {
          events.push(name);
          storage.sql.exec('INSERT INTO things (name) VALUES (?)', name);
          if (fail) throw new Error(name);
        });
      await Promise.allSettled([insert('a', false), insert('b', true), insert('c', false)]);
      expect(events).toEqual(['a', 'b', 'undone, 1 left', 'c']);
      failing = true;
      events.length = 0;
      await Promise.allSettled([insert('d', false), insert('e', false)]);
      expect(events).toEqual(['d', 'undone, 3 left', 'e', 'undone, 4 left']);
    });
  });

  it('answers nobody when the flush fails, and goes on afterwards', async () => {
    await withTable(async (storage) => {
      let failing = true;
      const commit = new GroupCommit(
        withSync(storage, () =>
          failing ? Promise.reject(new Error('disk full')) : storage.sync(),
        ),
      );
      const results = await Promise.allSettled([
        commit.run(() => 1),
        commit.run(() => 2),
        commit.run(() => 3),
      ]);
      expect(results.map((result) => result.status)).toEqual(Array(3).fill('rejected'));
      failing = false;
      expect(await commit.run(() => 4)).toBe(4);
    });
  });

  it('answers only when the flush is over', async () => {
    await withTable(async (storage) => {
      const flush = Promise.withResolvers<void>();
      const commit = new GroupCommit(withSync(storage, () => flush.promise));
      let answered = 0;
      const runs = [1, 2].map((value) =>
        commit
          .run(() => value)
          .then(() => {
            answered += 1;
          }),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(answered).toBe(0);
      flush.resolve();
      await Promise.all(runs);
      expect(answered).toBe(2);
    });
  });
});

describe('a shard', () => {
  const signInOf = (subject: string) => signInWithoutEvidence(client, { subject });

  it('decides the others when one of many cannot be recorded, and its chain verifies', async () => {
    const stub = shardObject(0);
    const before = (await broker.decisions(0)).head.count;
    // Half a surrogate pair has no canonical JSON: the block throws after it has begun.
    const subjects = Array.from({ length: 30 }, (_, index) => (index % 3 === 1 ? '\ud800' : 'ada'));
    const answers = await Promise.all(subjects.map((subject) => stub.decide(0, signInOf(subject))));
    expect(answers.map((answer) => ('ok' in answer ? answer.code : answer.kind))).toEqual(
      subjects.map((subject) => (subject === 'ada' ? 'decided' : 'storage_unavailable')),
    );
    const { rows, head } = await broker.decisions(0);
    expect(head.count).toBe(before + 20);
    expect(firstBrokenRow(rows, head)).toBeUndefined();
  });

  it('records nothing where a row is in the way, and goes on when it is gone', async () => {
    const stub = shardObject(1);
    await stub.decide(1, signInOf('ada'));
    const { head } = await broker.decisions(1);
    await sqlInShard(
      1,
      "INSERT INTO decisions (sequence, challenge_id, device_id, stage, record, hash) VALUES (?, 'x', '', 0, '{}', x'00')",
      head.count + 1,
    );
    expect(await stub.decide(1, signInOf('ada'))).toEqual({
      ok: false,
      code: 'storage_unavailable',
    });
    await sqlInShard(1, 'DELETE FROM decisions WHERE sequence = ?', head.count + 1);
    await evictDurableObject(stub);
    expect(await stub.decide(1, signInOf('ada'))).toMatchObject({ kind: 'decided' });
    const after = await broker.decisions(1);
    expect(after.head.count).toBe(head.count + 1);
    expect(firstBrokenRow(after.rows, after.head)).toBeUndefined();
  });

  it('reads its head again when something was undone', async () => {
    const stub = shardObject(2);
    await stub.decide(2, signInOf('ada'));
    await stub.decide(2, signInOf('ada'));
    const { head } = await broker.decisions(2);
    // As if the storage had undone more than the block that failed.
    await sqlInShard(2, 'DELETE FROM decisions WHERE sequence = ?', head.count);
    expect(await stub.decide(2, signInOf('\ud800'))).toMatchObject({ ok: false });
    expect(await stub.decide(2, signInOf('ada'))).toMatchObject({
      record: { sequence: head.count },
    });
    const after = await broker.decisions(2);
    expect(firstBrokenRow(after.rows, after.head)).toBeUndefined();
  });

  it('denies with 503 where a record is damaged, and decides what does not need it', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    await sqlInShard(
      shard,
      "UPDATE certificates SET status = 'strange' WHERE device_id = ?",
      device.deviceId ?? '',
    );
    const before = (await broker.decisions(shard)).head;
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = await device.evidence(challenge, client.origin);
    const body = broker.evaluationBody(client, { transaction, evidence });
    const response = await broker.sendEvaluation(client, body);
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '1']);
    expect(problemDocument.parse(await response.json()).code).toBe('storage_unavailable');
    expect((await broker.decisions(shard)).head).toEqual(before);
    const described = await broker.admin('GET', `/v1/admin/devices/${device.deviceId}`);
    expect(described.status).toBe(503);

    const withoutEvidence = evidenceWithoutResponse(challenge);
    const input = { transaction, evidence: withoutEvidence };
    expect(await broker.evaluate(client, input)).toMatchObject({ decision: false });
    expect(await broker.signIn(client, await enrolled())).toMatchObject({ decision: true });
    await inShard(shard, (_, { storage }) =>
      storage.sql.exec('DELETE FROM certificates WHERE device_id = ?', device.deviceId).toArray(),
    );
  });
});

describe('a deployment', () => {
  it('is stored when it is first seen, and anything else is told from it', async () => {
    const organization = env.ORGANIZATION.get(env.ORGANIZATION.newUniqueId());
    const deployment = { shardCount: 8, deviceIdKeyFingerprint: 'one' };
    expect(await organization.snapshot(deployment, 0)).toMatchObject({ ok: true, version: 1 });
    expect(await organization.snapshot(deployment, 1)).toEqual({
      ok: true,
      version: 1,
      snapshot: undefined,
    });
    for (const other of [
      { ...deployment, shardCount: 9 },
      { ...deployment, deviceIdKeyFingerprint: 'two' },
    ]) {
      expect(await organization.snapshot(other, 1)).toEqual({
        ok: false,
        code: 'deployment_mismatch',
        detail: expect.stringMatching(
          `^created with shards=8 device-id-key=one, started with shards=${other.shardCount} device-id-key=${other.deviceIdKeyFingerprint}\\. .*export and an import`,
        ),
      });
    }
  });

  it('is stored once when the first requests come at the same time', async () => {
    const organization = env.ORGANIZATION.get(env.ORGANIZATION.newUniqueId());
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        organization.snapshot({ shardCount: 1 + (index % 2), deviceIdKeyFingerprint: 'x' }, 0),
      ),
    );
    expect(answers.map((answer) => answer.ok)).toEqual(
      Array.from({ length: 10 }, (_, index) => index % 2 === 0),
    );
  });

  it('of this test run is the one that was stored', async () => {
    const health = await broker.request('/healthz');
    expect([health.status, await health.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'ok' }),
    ]);
    const other = { shardCount: shardCount + 1, deviceIdKeyFingerprint: 'x' };
    expect(await organizationObject().snapshot(other, 0)).toMatchObject({
      code: 'deployment_mismatch',
    });
  });
});

describe('a broker that was started for another number of shards', () => {
  it('answers deployment_mismatch to everybody, and writes nothing', async () => {
    const misplaced = await brokerWith({ SHARD_COUNT: String(shardCount + 1) });
    const device = await FakeDevice.create();
    const transaction = randomText();
    const body = misplaced.evaluationBody(client, { transaction });
    const question = { client_id: client.clientId, transaction };
    const answers = [
      await misplaced.request('/healthz'),
      await misplaced.post('/v1/challenges', question, { Origin: client.origin }),
      await misplaced.post('/v1/enrollments', device.enrollmentRequest('A'.repeat(43))),
      await misplaced.sendEvaluation(client, body),
      await misplaced.admin('GET', '/v1/admin/shards/0/decisions'),
      await misplaced.admin('PUT', '/v1/admin/applications/app', {
        name: 'app',
        enforcement: 'enforce',
      }),
    ];
    for (const answer of answers) {
      expect([answer.status, problemDocument.parse(await answer.json()).code]).toEqual([
        503,
        'deployment_mismatch',
      ]);
    }
  });
});
