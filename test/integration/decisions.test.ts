import { evictDurableObject } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { decide } from '../../worker/src/device/decide.ts';
import { readChainHead } from '../../worker/src/device/decision-record.ts';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { DeviceShard } from '../../worker/src/device/device-shard.ts';
import { RefusalLimit } from '../../worker/src/device/refusal-limit.ts';
import type { SignIn } from '../../worker/src/device/sign-in.ts';
import { OrganizationObject } from '../../worker/src/directory/organization-object.ts';
import { KeyObject } from '../../worker/src/enrollment/key-object.ts';
import { broker } from './test-broker.ts';
import {
  countRowsWritten,
  inShard,
  recordOf,
  shardCount,
  shardObject,
  shardOf,
  sqlInShard,
} from './test-objects.ts';
import { randomId, signInWithoutEvidence } from './test-sign-in.ts';

// The block that decides, its one row and its cost.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

/** A sign-in of the device as the Worker hands it to the shard. */
async function signInOf(device: FakeDevice, change: Partial<SignIn> = {}): Promise<SignIn> {
  const { certificate = new Uint8Array() } = device;
  const [row] = await sqlInShard(shardOf(device.deviceId), 'SELECT issuer_id FROM certificates');
  return signInWithoutEvidence(client, {
    shardOfCertificate: true,
    evidence: {
      ok: true,
      mtls: undefined,
      reportedUnavailable: undefined,
      response: {
        certificateSha256: new Uint8Array(
          await crypto.subtle.digest('SHA-256', new Uint8Array(certificate)),
        ),
        claims: {
          aud: broker.brokerUrl,
          challenge_id: randomId(),
          origin: client.origin,
          iat: 1,
          host_version: '0.1.0',
          key_protection: 'file',
          development: false,
          posture: { platform: 'linux', os_version: 'test' },
        },
      },
    },
    originRegistered: true,
    activeIssuerIds: [String(row?.issuer_id)],
    ...change,
  });
}

/** Works on a shard's storage past the object, which afterwards has to read it anew. */
async function besideTheObject<Result>(
  shard: number,
  run: (storage: DurableObjectStorage) => Result,
): Promise<Result> {
  try {
    return await inShard(shard, (_, { storage }) => run(storage));
  } finally {
    await evictDurableObject(shardObject(shard));
  }
}

const reserved = { ok: true, epoch: 1, sinceMs: 0 } as const;

describe('the snapshot', () => {
  const ages: ReadonlyArray<[ageMs: number, kind: string]> = [
    [0, 'decided'],
    [5000, 'decided'],
    [5001, 'needs_snapshot'],
    [86_400_000, 'needs_snapshot'],
    [-5000, 'decided'],
    [-5001, 'needs_snapshot'],
  ];
  it.each(ages)('of an age of %i ms is %s by the clock of the shard', async (ageMs, kind) => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    const signIn = await signInOf(device, { reservation: reserved });
    await besideTheObject(shard, (storage) => {
      const nowMs = Date.now();
      const head = readChainHead(storage.sql);
      const result = new DeviceShard(storage, shardCount).runBlock(storage.sql, (block) =>
        decide(Object.assign(block, { shard, nowMs, refusals: new RefusalLimit() }), {
          ...signIn,
          snapshot: { version: 1, readAtMs: nowMs - ageMs },
        }),
      );
      expect(result.kind).toBe(kind);
      expect(readChainHead(storage.sql).count).toBe(head.count + (kind === 'decided' ? 1 : 0));
    });
    const { certificates } = await broker.device(device.deviceId ?? '');
    expect(certificates[0]?.bound_user).toBe(kind === 'decided' ? 'ada' : undefined);
  });

  it('that grew too old on the way is read again, and the sign-in is decided once', async () => {
    const device = await enrolled();
    await broker.signIn(client, device);
    const shard = shardOf(device.deviceId);
    const before = (await broker.decisions(shard)).head.count;
    // A snapshot that is not new any more would be read behind this sign-in, too.
    await broker.putApplication('warm', { name: 'read', enforcement: 'enforce' });
    const read = vi.spyOn(OrganizationObject.prototype, 'snapshot');
    const { decide: original } = DeviceObject.prototype;
    const decided = vi.spyOn(DeviceObject.prototype, 'decide');
    decided.mockImplementationOnce(function (this: DeviceObject, ...parameters) {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6000 });
      return original.apply(this, parameters);
    });
    expect(await broker.signIn(client, device)).toMatchObject({ decision: true });
    expect(read).toHaveBeenCalledTimes(1);
    expect(decided).toHaveBeenCalledTimes(2);
    expect((await broker.decisions(shard)).head.count).toBe(before + 1);
  });
});

describe('a first binding', () => {
  it('needs the reservation before anything is written', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    const signIn = await signInOf(device);
    const before = (await broker.decisions(shard)).head;
    expect(await shardObject(shard).decide(shard, signIn)).toEqual({ kind: 'needs_reservation' });
    expect((await broker.decisions(shard)).head).toEqual(before);
    const described = await broker.device(device.deviceId ?? '');
    expect(described).toMatchObject({
      unbound_certificates: 1,
      certificates: [{ status: 'issued' }],
    });
  });

  it('repeats every check after the reservation', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    const signIn = await signInOf(device);
    expect(await shardObject(shard).decide(shard, signIn)).toEqual({ kind: 'needs_reservation' });
    const { certificates } = await broker.device(device.deviceId ?? '');
    await broker.revoke(device.deviceId ?? '', certificates[0]?.fingerprint_sha256 ?? '');
    const second = await shardObject(shard).decide(shard, { ...signIn, reservation: reserved });
    expect(second).toMatchObject({
      kind: 'decided',
      record: { decision: false, reason: 'certificate_revoked', bound_now: false },
    });
  });
});

describe('the cost of a decision', () => {
  /** The calls of objects that `run` leads to, in their order. */
  async function callsDuring(run: () => Promise<unknown>): Promise<string[]> {
    const spies = {
      decide: vi.spyOn(DeviceObject.prototype, 'decide'),
      reserveBinding: vi.spyOn(OrganizationObject.prototype, 'reserveBinding'),
      snapshot: vi.spyOn(OrganizationObject.prototype, 'snapshot'),
      claim: vi.spyOn(KeyObject.prototype, 'claim'),
    };
    await run();
    return Object.entries(spies)
      .flatMap(([name, { mock }]) => mock.invocationCallOrder.map((order) => ({ name, order })))
      .sort((a, b) => a.order - b.order)
      .map(({ name }) => name);
  }

  it('is one call of one object with a bound certificate and warm facts', async () => {
    const device = await enrolled();
    await broker.signIn(client, device);
    await broker.putApplication('warm', { name: 'warm', enforcement: 'enforce' });
    const calls = await callsDuring(() => broker.signIn(client, device));
    expect(calls).toEqual(['decide']);
  });

  it('is one call more of each for the first binding', async () => {
    const device = await enrolled();
    await broker.putApplication('warm', { name: 'warm again', enforcement: 'enforce' });
    const calls = await callsDuring(() => broker.signIn(client, device));
    expect(calls).toEqual(['decide', 'reserveBinding', 'decide']);
  });

  it('is two rows written with a bound certificate, three with the binding', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    const signIn = await signInOf(device, { reservation: reserved });
    const written = await besideTheObject(shard, (storage) => {
      const { sql, rowsWritten } = countRowsWritten(storage.sql);
      const rowsOf = (challengeId: string) => {
        const result = new DeviceShard(storage, shardCount).runBlock(sql, (block) =>
          decide(Object.assign(block, { shard, refusals: new RefusalLimit() }), {
            ...signIn,
            challenge: { id: challengeId, expiresAtMs: Date.now() + 60_000 },
          }),
        );
        expect(result.kind === 'decided' && result.record.decision).toBe(true);
        return rowsWritten();
      };
      return { first: rowsOf(randomId()), second: rowsOf(randomId()) };
    });
    expect(written).toEqual({ first: 3, second: 2 });
  });
});

describe('the hash chain', () => {
  it('verifies in every shard, and shows every kind of tampering', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    for (let count = 0; count < 4; count++) await broker.signIn(client, device);
    const { rows, head } = await broker.decisions(shard);
    expect(rows.length).toBeGreaterThanOrEqual(4);
    expect(firstBrokenRow(rows, head)).toBeUndefined();

    const tamper = async (statement: string, ...bindings: SqlStorageValue[]) => {
      const broken = await inShard(shard, (_, { storage }) => {
        let seen: number | undefined;
        try {
          storage.transactionSync(() => {
            storage.sql.exec(statement, ...bindings);
            const exported = storage.sql
              .exec<{ sequence: number; record: string; hash: ArrayBuffer }>(
                'SELECT sequence, record, hash FROM decisions ORDER BY sequence',
              )
              .toArray()
              .map((row) => ({ ...row, hash: encodeBase64url(new Uint8Array(row.hash)) }));
            seen = firstBrokenRow(exported, head);
            throw new Error('roll back');
          });
        } catch (error) {
          if (String(error) !== 'Error: roll back') throw error;
        }
        return seen;
      });
      return broken;
    };
    const last = rows.length;
    const flipped = `replace(record, '"decision":true', '"decision":false')`;
    expect(await tamper(`UPDATE decisions SET record = ${flipped} WHERE sequence = ?`, last)).toBe(
      last,
    );
    expect(await tamper('DELETE FROM decisions WHERE sequence = ?', last - 1)).toBe(last - 1);
    expect(await tamper('DELETE FROM decisions WHERE sequence = ?', last)).toBe(last);
    expect(await tamper('DELETE FROM decisions')).toBe(1);
    expect(
      await tamper(
        `UPDATE decisions SET record = (SELECT record FROM decisions AS other WHERE other.sequence = ?)
         WHERE sequence = ?`,
        last - 1,
        last,
      ),
    ).toBe(last);
    expect(await tamper("UPDATE decisions SET hash = x'00' WHERE sequence = 1")).toBe(1);
    // All of that was rolled back.
    const after = await broker.decisions(shard);
    expect(firstBrokenRow(after.rows, after.head)).toBeUndefined();
  });

  it('goes on where it was after the object has left the memory', async () => {
    const device = await enrolled();
    const shard = shardOf(device.deviceId);
    await broker.signIn(client, device);
    await evictDurableObject(shardObject(shard));
    await broker.signIn(client, device);
    const { rows, head } = await broker.decisions(shard);
    expect(firstBrokenRow(rows, head)).toBeUndefined();
    expect(head.count).toBe(rows.length);
  });

  it('is read page by page', async () => {
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = evidenceWithoutResponse(challenge);
    const answer = await broker.evaluate(client, { transaction, evidence });
    const [shard, sequence = Number.NaN] = answer.context.decision_id.split('.').map(Number);
    const path = `/v1/admin/shards/${shard}/decisions`;
    const page = await broker.admin('GET', `${path}?after=${sequence - 1}&limit=1`);
    expect(await page.json()).toMatchObject({ shard, decisions: [{ sequence }] });
    for (const [query, field] of [
      ['after=-1', 'after'],
      ['limit=0', 'limit'],
      ['limit=1001', 'limit'],
      ['after=1e3', 'after'],
    ]) {
      const refused = await broker.admin('GET', `${path}?${query}`);
      expect([refused.status, await refused.json()]).toEqual([
        400,
        expect.objectContaining({ code: 'field_invalid', field }),
      ]);
    }
  });
});

describe('what is in memory alone', () => {
  it('is not needed: an eviction between any two steps loses nothing', async () => {
    const device = await FakeDevice.create();
    const { device_id: deviceId, enrollment_token: token } = await broker.createEnrollmentToken(
      device.hardwareId,
    );
    const forget = () => evictDurableObject(shardObject(shardOf(deviceId)));
    await forget();
    await broker.enroll(device, token);
    await forget();
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = await device.evidence(challenge, client.origin);
    const first = await broker.evaluate(client, { transaction, evidence });
    expect(first).toMatchObject({ decision: true });
    await forget();
    const again = await broker.evaluate(client, { transaction, evidence });
    expect(again.context.decision_id).toBe(first.context.decision_id);
    expect(await recordOf(again.context.decision_id)).toMatchObject({ bound_now: true });
    await forget();
    expect(await broker.device(deviceId)).toMatchObject({
      unbound_certificates: 0,
      certificates: [{ status: 'bound', bound_user: 'ada' }],
    });
  });
});
