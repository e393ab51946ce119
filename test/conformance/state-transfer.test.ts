// Export, and import into other numbers of shards: what was bound, unbound, revoked, blocked and spent stays so.
import { readFileSync, statSync } from 'node:fs';
import { packEvidence } from '@countersign/protocol';
import { archivedChains, archivedDecisionPage } from '@countersign/protocol/state';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { type BackupWorld, fillBroker } from '../support/backup-world.ts';
import {
  expectDenied,
  expectProblem,
  expectTrusted,
  readDecision,
} from '../support/expect-answer.ts';
import { normalizedContent } from '../support/export-content.ts';
import { BackupFolder } from '../support/server-command.ts';
import { certificateOf, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const shardCounts = [1, 4, 7, 16];

let origin: TestBroker;
let world: BackupWorld;
let folder: BackupFolder;
let exported: string;
/** Chains of the exported broker, by shard. */
let oldChains: Awaited<ReturnType<TestBroker['client']['decisions']>>[];

beforeAll(async () => {
  folder = new BackupFolder();
  origin = await TestBroker.start();
  world = await fillBroker(origin, shardCounts.length);
  await origin.startAgain();
  oldChains = [];
  for (let shard = 0; shard < origin.shardCount; shard++) {
    oldChains.push(await origin.client.decisions(shard));
  }
  // While it serves.
  exported = await folder.export(origin.dataDirectory);
  await origin.stop();
});
afterAll(async () => {
  for (const host of world?.hosts ?? []) host.remove();
  folder?.remove();
  await origin?.stopAndRemove();
});

const keySetVersion = async (broker: TestBroker) => {
  const answer = z
    .object({ key_set: z.string() })
    .parse(await (await broker.client.request('/v1/key-set')).json());
  return z.object({ version: z.int() }).parse(decodeJwt(answer.key_set)).version;
};

async function archivedRows(broker: TestBroker, chainId: string) {
  const path = `/v1/admin/archived-chains/${chainId}/decisions?limit=1000`;
  return archivedDecisionPage.parse(await (await broker.client.admin('GET', path)).json());
}

it('an export can be read by its owner alone, and shows no key', () => {
  expect(statSync(exported).mode & 0o777).toBe(0o600);
  const text = readFileSync(exported, 'utf8');
  expect(text).not.toContain(origin.server.ownerToken);
  expect(text).not.toContain('PRIVATE KEY');
  expect(text).not.toContain(Buffer.from('PRIVATE KEY').toString('base64url').slice(0, 12));
});

describe.each(shardCounts)('imported into %d shards', (shardCount) => {
  let broker: TestBroker;
  beforeAll(async () => {
    const name = `into-${shardCount}`;
    const result = await folder.import(exported, name, '--shards', String(shardCount));
    expect(result).toMatchObject({ code: 0, errors: '' });
    expect(result.output).toContain(`with ${shardCount} shards`);
    expect(result.output).not.toContain('does not verify');
    broker = await origin.startOn(folder.file(name), shardCount);
  });
  afterAll(() => broker?.stop());
  const signIn = (device: FakeDevice, user?: string) =>
    broker.client.signIn(world.client, device, user);

  it('is the same organization under a newer key set', async () => {
    expect(broker.server.organizationId).toBe(origin.server.organizationId);
    expect(broker.server.ownerToken).toBe(origin.server.ownerToken);
    expect(broker.server.rootCertificatePem).toBe(origin.server.rootCertificatePem);
    expect(await keySetVersion(broker)).toBe(2);
  });

  it('knows every device, in the shard that it belongs to now', async () => {
    expectTrusted(await signIn(world.bound));
    expectTrusted(await signIn(world.renewed));
    expectDenied(await signIn(world.bound, 'eve'), 'subject_inactive');
    expectDenied(await signIn(world.bound, 'bob'), 'certificate_bound_to_other_user');
  });

  it('is served by native hosts as they are, which ask for the newer key set by themselves', async () => {
    const { transaction, challenge } = await openTransaction(broker, world.client);
    const host = world.hosts[shardCounts.indexOf(shardCount)];
    const answer = await host?.attest(challenge, world.client.origin);
    if (answer?.type !== 'attest') throw new Error(JSON.stringify(answer));
    const evidence = packEvidence({
      unverifiedChallenge: challenge,
      unverifiedResponse: answer.response,
    });
    expectTrusted(await broker.client.evaluate(world.client, { transaction, evidence }));
  });

  it('#45 keeps revoked what was revoked, and blocked what was blocked', async () => {
    expectDenied(await signIn(world.revoked), 'certificate_revoked');
    const { enrollment_token } = await broker.client.createEnrollmentToken(
      world.revoked.hardwareId,
    );
    const again = await broker.client.post(
      '/v1/enrollments',
      world.revoked.enrollmentRequest(enrollment_token),
    );
    await expectProblem(again, 403, 'key_blocked');
    const elsewhere = { serial_number: `OTHER${crypto.randomUUID()}` };
    for (const [device, code, status] of [
      [world.revoked, 'key_blocked', 403],
      [world.bound, 'key_of_other_device', 409],
    ] as const) {
      const token = await broker.client.createEnrollmentToken(elsewhere);
      const response = await broker.client.post('/v1/enrollments', {
        ...device.enrollmentRequest(token.enrollment_token),
        hardware_id: elsewhere,
      });
      await expectProblem(response, status, code);
    }
  });

  it('#45 keeps ended what was ended, also where it had not reached every shard', async () => {
    expectDenied(await signIn(world.ofEve, 'eve'), 'subject_inactive');
    expectDenied(await signIn(world.suspended, 'ada'), 'certificate_suspended');
    expectDenied(await signIn(world.ofMallory, 'mallory'), 'user_revoked');
    await broker.client.putUser('eve', true);
    expectDenied(await signIn(world.ofEve, 'eve'), 'user_revoked');
    expect((await broker.client.user('mallory')).jobs).toEqual([]);
  });

  it('keeps a replaced certificate replaced, in its lineage', async () => {
    expectDenied(await signIn(world.superseded), 'certificate_superseded');
    const { certificates } = await broker.client.device(world.superseded.deviceId ?? '');
    expect(certificates.map(({ status }) => status)).toEqual(['superseded', 'bound']);
  });

  it('counts unbound certificates on', async () => {
    const [first, ...others] = world.unbound;
    if (first === undefined) throw new Error('there are three');
    expect((await broker.client.device(first.deviceId ?? '')).unbound_certificates).toBe(3);
    for (const device of [first, ...others]) device.deviceId = first.deviceId;
    const next = () => FakeDevice.create(first.hardwareId);
    await broker.client.enroll(await next());
    await broker.client.enroll(await next());
    const { enrollment_token } = await broker.client.createEnrollmentToken(first.hardwareId);
    const sixth = await broker.client.post(
      '/v1/enrollments',
      (await next()).enrollmentRequest(enrollment_token),
    );
    await expectProblem(sixth, 409, 'enrollment_limit_reached');
  });

  it('keeps tokens spent or to be spent', async () => {
    const { client } = broker;
    const stranger = await FakeDevice.create(world.bound.hardwareId);
    await expectProblem(
      await client.post('/v1/enrollments', stranger.enrollmentRequest(world.spentToken)),
      403,
      'enrollment_token_spent',
    );
    const repeated = await client.enroll(world.bound, world.spentToken);
    expect(repeated.device_id).toBe(world.bound.deviceId);
    const { fingerprint_sha256 } = await certificateOf(broker, world.bound);
    expect(fingerprint_sha256).toBe(
      Buffer.from(
        await crypto.subtle.digest('SHA-256', new Uint8Array(world.bound.certificate ?? [])),
      ).toString('base64url'),
    );
    const waiting = await FakeDevice.create(world.waiting.hardwareId);
    await client.enroll(waiting, world.pendingToken);
    expectTrusted(await signIn(waiting));
  });

  it('finishes a certificate whose signature was lost before', async () => {
    const before = world.intentOf.certificate;
    const again = await broker.client.enroll(world.intentOf, world.intentToken);
    expect(again.device_id).toBe(world.intentOf.deviceId);
    expect(world.intentOf.certificate?.length).toBeGreaterThan(100);
    // The same bytes are signed; only the signature is another.
    expect(world.intentOf.certificate?.slice(4, 200)).toEqual(before?.slice(4, 200));
    expectTrusted(await signIn(world.intentOf));
  });

  it('#45 accepts no challenge from before, neither a spent one nor an open one', async () => {
    for (const body of [world.decidedBody, world.openBody]) {
      const answer = await readDecision(await broker.client.sendEvaluation(world.client, body));
      expectDenied(answer, 'challenge_key_unknown');
    }
  });

  it('keeps the old chains as they were, and begins new ones with their heads', async () => {
    const listed = archivedChains.parse(
      await (await broker.client.admin('GET', '/v1/admin/archived-chains')).json(),
    );
    const expected = oldChains.flatMap(({ rows, head }, shard) =>
      rows.length === 0 ? [] : [{ suffix: `.${shard}`, rows, head }],
    );
    expect(listed.chains.map(({ count, hash }) => ({ count, hash }))).toEqual(
      expected.map(({ head }) => head),
    );
    for (const [index, { rows, head, suffix }] of expected.entries()) {
      const id = listed.chains[index]?.chain_id ?? '';
      expect(id.endsWith(suffix)).toBe(true);
      const archived = await archivedRows(broker, id);
      expect(archived.decisions).toEqual(rows);
      expect(firstBrokenRow(archived.decisions, head, archived.start)).toBeUndefined();
    }
    const starts: unknown[] = [];
    for (let shard = 0; shard < shardCount; shard++) {
      const { start } = await broker.client.decisions(shard);
      const parsed = z
        .object({ v: z.literal(1), shard: z.int(), chains: z.array(z.unknown()) })
        .parse(JSON.parse(start ?? ''));
      expect(parsed.shard).toBe(shard);
      starts.push(...parsed.chains);
    }
    expect(new Set(starts.map((chain) => JSON.stringify(chain)))).toEqual(
      new Set(
        listed.chains.map(({ chain_id, count, hash }) => JSON.stringify({ chain_id, count, hash })),
      ),
    );
    expect(await broker.brokenRows()).toEqual([]);
    await expectProblem(
      await broker.client.admin('GET', `/v1/admin/archived-chains/${'A'.repeat(22)}.0/decisions`),
      404,
      'not_found',
    );
  });
});

describe('an export of an import', () => {
  it('has the same content, apart from numbers and places', async () => {
    const ids: string[] = [];
    let source = exported;
    for (const shards of [5, 2, 3]) {
      const result = await folder.import(source, `again-${shards}`, '--shards', String(shards));
      expect(result).toMatchObject({ code: 0, errors: '' });
      const next = await folder.export(folder.file(`again-${shards}`), `again-${shards}.jsonl`);
      const [before, after] = [normalizedContent(source), normalizedContent(next)];
      // The first import mends what a crash had left.
      if (source !== exported) expect(after.rows).toEqual(before.rows);
      expect(after.rows.certificates?.length).toBeGreaterThan(9);
      // Every chain there was, and those that the import ended; that of the organization goes on, with the import in it.
      const { organization: goesOn = [], ...ended } = after.chains;
      const { organization: was = [], ...chains } = before.chains;
      // What an import mends is in a chain that it begins.
      expect(ended).toMatchObject(chains);
      expect(Object.keys(ended).length).toBeGreaterThan(1);
      expect(was.length).toBeGreaterThan(1);
      expect(goesOn.slice(0, -1)).toEqual(was);
      expect(goesOn.at(-1)).toContain('admin.state.import');
      ids.push(before.exportId);
      source = next;
    }
    expect(new Set(ids).size).toBe(3);
  }, 180_000);
});

describe('an export of a broker that is busy', () => {
  it('holds together: what it has of one thing is there of the others', async () => {
    const busy = await TestBroker.start({ shardCount: 3 });
    try {
      const client = await busy.client.registerClient();
      const devices: FakeDevice[] = [];
      let isOver = false;
      const work = Array.from({ length: 4 }, async () => {
        while (!isOver) {
          const device = await FakeDevice.create();
          await busy.client.enroll(device);
          devices.push(device);
          await busy.client.signIn(client, device, `user-${devices.length}`);
          const { certificates } = await busy.client.device(device.deviceId ?? '');
          if (devices.length % 3 === 0) {
            const { fingerprint_sha256 = '' } = certificates[0] ?? {};
            await busy.client.revoke(device.deviceId ?? '', fingerprint_sha256);
          }
        }
      });
      await expect.poll(() => devices.length, { timeout: 60_000 }).toBeGreaterThan(20);
      const exports = [];
      for (const name of ['busy-1', 'busy-2']) {
        exports.push(await folder.export(busy.dataDirectory, `${name}.jsonl`));
      }
      isOver = true;
      await Promise.all(work);
      await busy.stop();
      for (const [index, path] of exports.entries()) {
        const name = `busy-${index}`;
        const result = await folder.import(
          path,
          name,
          '--shards',
          '5',
          '--high-water-mark',
          'none',
        );
        expect(result).toMatchObject({ code: 0, errors: '' });
        expect(result.output).not.toContain('does not verify');
        const { rows } = normalizedContent(path);
        const parsed = (table: string) =>
          (rows[table] ?? []).map((row) =>
            z.record(z.string(), z.unknown()).parse(JSON.parse(row)),
          );
        const keyText = (value: unknown) => JSON.stringify(value);
        const claimed = new Set(parsed('keys').map((key) => keyText(key.spki_sha256)));
        const users = new Set(parsed('users').map((user) => user.user_id));
        const machines = new Set(parsed('devices').map((machine) => machine.device_id));
        const certificates = parsed('certificates');
        expect(certificates.length).toBeGreaterThan(20);
        for (const certificate of certificates) {
          expect(claimed).toContain(keyText(certificate.spki_sha256));
          expect(machines).toContain(certificate.device_id);
          if (certificate.bound_user !== null) expect(users).toContain(certificate.bound_user);
        }
        const spent = new Set(
          parsed('enrollment_tokens').map((token) => keyText(token.spent_by_spki_sha256)),
        );
        for (const { spki_sha256 } of certificates) expect(spent).toContain(keyText(spki_sha256));
      }
    } finally {
      await busy.stopAndRemove();
    }
  }, 180_000);
});
