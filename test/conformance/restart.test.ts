// What the broker still knows after it was stopped, killed, or started with something changed.
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeServerError, type EdgeServerFailure } from '@countersign/edge-server';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { editDatabases } from '../support/backup-world.ts';
import {
  expectDenied,
  expectProblem,
  expectTrusted,
  readDecision,
} from '../support/expect-answer.ts';
import { fileSizes } from '../support/folder-size.ts';
import { certificateOf, enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stopAndRemove());

/** Waits until the broker answers again after its workerd was killed. */
async function untilHealthy(): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const response = await broker.client.request('/healthz');
    if (response.status === 200) return;
    await expectProblem(response, 503, 'storage_unavailable');
    await sleep(20);
  }
  throw new Error('the broker did not come back');
}

const interruptions: Record<string, () => Promise<void>> = {
  'a stop and a start': async () => {
    await broker.stop();
    await broker.startAgain();
  },
  'kill -9 of workerd': async () => {
    const before = broker.server.workerdPid();
    if (before === undefined) throw new Error('workerd runs');
    process.kill(before, 'SIGKILL');
    await untilHealthy();
    expect(broker.server.workerdPid()).not.toBe(before);
  },
};

describe.each(Object.entries(interruptions))('after %s', (_, interrupt) => {
  it('everything is as it was', async () => {
    const bound = await enrollDevice(broker);
    expectTrusted(await broker.client.signIn(client, bound, 'ada'));
    const revoked = await enrollDevice(broker);
    const { fingerprint_sha256 } = await certificateOf(broker, revoked);
    await broker.client.revoke(revoked.deviceId ?? '', fingerprint_sha256);
    const waiting = await FakeDevice.create();
    const token = await broker.client.createEnrollmentToken(waiting.hardwareId);

    const decided = await openTransaction(broker, client);
    const body = broker.client.evaluationBody(client, {
      transaction: decided.transaction,
      evidence: await bound.evidence(decided.challenge, client.origin),
    });
    const first = await readDecision(await broker.client.sendEvaluation(client, body));
    const open = await openTransaction(broker, client);
    const known = async () => ({
      bound: await broker.client.device(bound.deviceId ?? ''),
      revoked: await broker.client.device(revoked.deviceId ?? ''),
      decisions: await broker.recordedDecisions(),
      keys: await (await broker.client.request('/.well-known/jwks.json')).json(),
      keySet: await (await broker.client.request('/v1/key-set')).json(),
      organization: broker.server.organizationId,
    });
    const before = await known();

    await interrupt();
    expect(await known()).toEqual(before);

    // A decision is given again, its challenge stays spent, an open challenge is still good.
    const again = await readDecision(await broker.client.sendEvaluation(client, body));
    expect(again.context.decision_id).toBe(first.context.decision_id);
    expect(decodeJwt(again.context.decision_token ?? '')).toEqual(
      decodeJwt(first.context.decision_token ?? ''),
    );
    const other = { ...body, subject: { type: 'user', id: 'eve' } };
    expectDenied(
      await readDecision(await broker.client.sendEvaluation(client, other)),
      'challenge_already_used',
    );
    const evidence = await bound.evidence(open.challenge, client.origin);
    expectTrusted(
      await broker.client.evaluate(client, { transaction: open.transaction, evidence }),
    );

    expectDenied(await broker.client.signIn(client, revoked), 'certificate_revoked');
    expectDenied(
      await broker.client.signIn(client, bound, 'eve'),
      'certificate_bound_to_other_user',
    );
    const { certificate } = await broker.client.enroll(waiting, token.enrollment_token);
    expect((await broker.client.enroll(waiting, token.enrollment_token)).certificate).toBe(
      certificate,
    );
    expect(await broker.brokenRows()).toEqual([]);
  });
});

describe('while workerd is started again', () => {
  it('requests are refused with a time to wait, never decided', async () => {
    const device = await enrollDevice(broker);
    expectTrusted(await broker.client.signIn(client, device));
    const pid = broker.server.workerdPid();
    if (pid === undefined) throw new Error('workerd runs');
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await device.evidence(challenge, client.origin);
    const body = broker.client.evaluationBody(client, { transaction, evidence });
    process.kill(pid, 'SIGKILL');
    const responses = await Promise.all(
      Array.from({ length: 30 }, () => broker.client.sendEvaluation(client, body)),
    );
    for (const response of responses) {
      if (response.status === 200) continue;
      expect(response.headers.get('Retry-After')).toBe('1');
      await expectProblem(response, 503, 'storage_unavailable');
    }
    await untilHealthy();
    expectTrusted(await broker.client.evaluate(client, { transaction, evidence }));
  });
});

describe('a start', () => {
  const startFails = async (failure: EdgeServerFailure, says: RegExp, shardCount?: number) => {
    const options = shardCount === undefined ? {} : { shardCount };
    const error: unknown = await broker.startAgain(options).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof EdgeServerError)) throw new Error(`it ended with ${error}`);
    expect(error.message).toMatch(says);
    expect(error.failure).toBe(failure);
  };

  it('on a folder that a server runs on is refused, and that server goes on', async () => {
    const error: unknown = await broker.startAgain().catch((reason: unknown) => reason);
    if (!(error instanceof EdgeServerError)) throw new Error(`it ended with ${error}`);
    expect(error.failure).toBe('data_directory_in_use');
    expect(error.message).toContain(String(process.pid));
    await untilHealthy();
  });

  it('with another number of shards is refused and explained, and changes nothing', async () => {
    await broker.stop();
    const before = fileSizes(broker.dataDirectory);
    await startFails('deployment_mismatch', /created with 4 shards, not 8.*import --shards 8/, 8);
    expect(fileSizes(broker.dataDirectory)).toEqual(before);
    await broker.startAgain({ shardCount: broker.shardCount });
    expect(await broker.brokenRows()).toEqual([]);
  });

  it('with another key for device ids, or without a key, is refused and says which', async () => {
    await broker.stop();
    const path = join(broker.dataDirectory, 'keys', 'device-id.key');
    const key = readFileSync(path);
    writeFileSync(path, Buffer.alloc(key.length, 7));
    await startFails('deployment_mismatch', /device-id\.key.*import an export/);
    rmSync(path);
    await startFails('data_directory_incomplete', /device-id\.key[\s\S]*import an export/);
    writeFileSync(path, key, { mode: 0o600 });
    await broker.startAgain();
  });

  it.each(['device', 'key', 'organization'])(
    'on databases of a newer version is refused at once and says so, for a %s',
    async (object) => {
      await broker.stop();
      const uniqueKey = `countersign-${object}-v1`;
      editDatabases(broker.dataDirectory, uniqueKey, (database) =>
        database.exec("INSERT INTO schema_migrations (position, id) VALUES (99, '099_later')"),
      );
      const begunAt = performance.now();
      await startFails('deployment_mismatch', /newer than this version: it has 099_later/);
      expect(performance.now() - begunAt).toBeLessThan(15_000);
      editDatabases(broker.dataDirectory, uniqueKey, (database) =>
        database.exec("DELETE FROM schema_migrations WHERE id = '099_later'"),
      );
      await broker.startAgain();
      expect(await broker.brokenRows()).toEqual([]);
    },
  );

  it('on keys that others may read is refused', async () => {
    await broker.stop();
    const path = join(broker.dataDirectory, 'keys', 'issuer.pem');
    chmodSync(path, 0o644);
    await startFails('data_directory_permissions', /issuer\.pem/);
    chmodSync(path, 0o600);
    await broker.startAgain();
    for (const name of ['owner-token', 'keys/root.pem', 'keys/device-id.key']) {
      expect(statSync(join(broker.dataDirectory, name)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(broker.dataDirectory).mode & 0o777).toBe(0o700);
  });
});
