// An older data folder that is put back: noticed by the mark outside of it, refused until somebody confirms it.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { EdgeServerError, type EdgeServerFailure } from '@countersign/edge-server';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { expectDenied, expectTrusted, readDecision } from '../support/expect-answer.ts';
import { runServerCommand } from '../support/server-command.ts';
import { certificateOf, enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
/** The data folder as it was when the device had signed in once. */
let older: string;

const beside = (name: string) => join(dirname(broker.dataDirectory), name);
const markPath = () => `${broker.dataDirectory}.high-water.json`;

/** Made once, and stopped: each test has a copy of its folder. */
let model: TestBroker;
beforeAll(async () => {
  model = await TestBroker.start();
  client = await model.client.registerClient();
  device = await enrollDevice(model);
  expectTrusted(await model.client.signIn(client, device));
  await model.stop();
});
afterAll(() => model?.stopAndRemove());

beforeEach(async () => {
  const parent = mkdtempSync(join(tmpdir(), 'countersign-restored-'));
  const data = join(parent, 'data');
  older = join(parent, 'older');
  for (const copy of [data, older]) cpSync(model.dataDirectory, copy, { recursive: true });
  cpSync(`${model.dataDirectory}.high-water.json`, `${data}.high-water.json`);
  broker = await model.startOn(data, model.shardCount);
});
afterEach(() => broker?.stopAndRemove());

function putBack(parts: readonly string[] = ['']): void {
  for (const part of parts) {
    const path = join(broker.dataDirectory, part);
    rmSync(path, { recursive: true });
    cpSync(join(older, part), path, { recursive: true });
  }
}

async function expectNoStart(failure: EdgeServerFailure, says: RegExp): Promise<string> {
  const error: unknown = await broker.startAgain().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EdgeServerError)) throw new Error(`it ended with ${error}`);
  expect(error.message).toMatch(says);
  expect(error.failure).toBe(failure);
  await expect(fetch(broker.url)).rejects.toThrow();
  return error.message;
}

async function revokeDevice(): Promise<void> {
  const { fingerprint_sha256 } = await certificateOf(broker, device);
  await broker.client.revoke(device.deviceId ?? '', fingerprint_sha256);
  expectDenied(await broker.client.signIn(client, device), 'certificate_revoked');
}

const keySetVersionOf = (directory: string) =>
  z
    .object({ version: z.int() })
    .parse(decodeJwt(readFileSync(join(directory, 'key-set.jws'), 'utf8').trim())).version;

it('the mark lies beside the folder, readable by its owner alone, and holds no name and no key', async () => {
  const text = readFileSync(markPath(), 'utf8');
  expect(statSync(markPath()).mode & 0o777).toBe(0o600);
  for (const secret of ['ada', broker.server.ownerToken, device.deviceId ?? '']) {
    expect(text).not.toContain(secret);
  }
});

describe('#45 an older folder', () => {
  it('is refused with what it lacks, until it is confirmed', async () => {
    const open = await openTransaction(broker, client);
    const evidence = await device.evidence(open.challenge, client.origin);
    await revokeDevice();
    await broker.stop();
    putBack();

    const message = await expectNoStart('state_older_than_mark', /older than the state/);
    // An enrollment is two rows of the chain, the sign-in and the revocation one each.
    expect(message).toMatch(/shard \d: 3 decisions instead of 5/);
    expect(message).toMatch(/shard \d: \d+ other changes \(.*revocations.*\) instead of \d+/);
    expect(message).toMatch(/keys of shard \d: 1 changes instead of 2/);
    expect(message).toContain('confirm-restore');
    await expectNoStart('state_older_than_mark', /older than the state/);

    const asked = await runServerCommand('confirm-restore', '--data', broker.dataDirectory);
    expect(asked).toMatchObject({ code: 1, output: '' });
    expect(asked.errors).toMatch(/3 decisions instead of 5[\s\S]*confirm-restore --yes/);
    await expectNoStart('state_older_than_mark', /older than the state/);

    const before = keySetVersionOf(broker.dataDirectory);
    const confirmed = await runServerCommand(
      ...['confirm-restore', '--yes', '--data', broker.dataDirectory],
    );
    expect(confirmed).toMatchObject({ code: 0, errors: '' });
    expect(keySetVersionOf(broker.dataDirectory)).toBe(before + 1);
    await broker.startAgain();
    // What was lost is lost, as the message has said.
    expectTrusted(await broker.client.signIn(client, device));
    // But no challenge from before counts.
    const body = broker.client.evaluationBody(client, {
      transaction: open.transaction,
      evidence,
    });
    expectDenied(
      await readDecision(await broker.client.sendEvaluation(client, body)),
      'challenge_key_unknown',
    );
    const [record = ''] = readFileSync(join(broker.dataDirectory, 'restores.jsonl'), 'utf8')
      .trimEnd()
      .split('\n');
    expect(JSON.parse(record)).toMatchObject({
      losses: expect.arrayContaining([expect.stringMatching(/3 decisions instead of 5/)]),
    });

    await broker.stop();
    const again = await runServerCommand('confirm-restore', '--data', broker.dataDirectory);
    expect(again).toMatchObject({ code: 0, output: expect.stringContaining('nothing to confirm') });
    await broker.startAgain();
  });

  const changes: Record<string, [change: () => Promise<unknown>, part: string, says: RegExp]> = {
    'a revocation': [revokeDevice, 'durable-objects/countersign-device-v1', /other changes/],
    'a spent token': [
      async () => {
        const waiting = await FakeDevice.create();
        await broker.client.enroll(waiting);
      },
      'durable-objects/countersign-device-v1',
      /0 certificates instead of 1|1 certificates instead of 2/,
    ],
    'a decision': [
      () => broker.client.signIn(client, device),
      'durable-objects/countersign-device-v1',
      /3 decisions instead of 4/,
    ],
    'a blocked key': [revokeDevice, 'durable-objects/countersign-key-v1', /keys of shard \d/],
    'a deactivated user': [
      () => broker.client.putUser('ada', false),
      'durable-objects/countersign-organization-v1',
      /organization: version \d+ instead of \d+[\s\S]*changes of users/,
    ],
    'a changed client': [
      () => broker.client.registerClient(),
      'durable-objects/countersign-organization-v1',
      /organization: version/,
    ],
  };
  it.each(Object.entries(changes))(
    'of one kind alone lacks %s',
    async (_, [change, part, says]) => {
      await change();
      await broker.stop();
      putBack([part]);
      await expectNoStart('state_older_than_mark', says);
    },
  );

  it('that was used again instead of the newest one has other decisions in its place', async () => {
    expectTrusted(await broker.client.signIn(client, device));
    await broker.stop();
    const mark = readFileSync(markPath());
    putBack();
    rmSync(markPath());
    await broker.startAgain();
    for (let signIn = 0; signIn < 3; signIn++) {
      expectTrusted(await broker.client.signIn(client, device));
    }
    await broker.stop();
    writeFileSync(markPath(), mark);
    await expectNoStart('state_older_than_mark', /other decisions than there were, up to row 4/);
  });

  it('is noticed by its key set', async () => {
    await broker.stop();
    const mark: unknown = JSON.parse(readFileSync(markPath(), 'utf8'));
    writeFileSync(markPath(), JSON.stringify({ ...Object(mark), key_set_version: 7 }));
    await expectNoStart('state_older_than_mark', /key set version 1 instead of 7/);
    await runServerCommand('confirm-restore', '--yes', '--data', broker.dataDirectory);
    expect(keySetVersionOf(broker.dataDirectory)).toBe(8);
    await broker.startAgain();
  });

  it('that has been through fewer imports is not compared by its numbers', async () => {
    await broker.stop();
    const mark = z.looseObject({ organization: z.looseObject({}) });
    const parsed = mark.parse(JSON.parse(readFileSync(markPath(), 'utf8')));
    const organization = { ...parsed.organization, imports: 1, import_id: 'A'.repeat(22) };
    writeFileSync(markPath(), JSON.stringify({ ...parsed, organization }));
    await expectNoStart('state_older_than_mark', /before any import.*after import 1/);
  });
});

describe('the mark', () => {
  it('that is missing is told and made', async () => {
    await broker.stop();
    rmSync(markPath());
    await broker.startAgain();
    expect(existsSync(markPath())).toBe(true);
    expect(broker.logLines.join('\n')).toContain('"event":"high_water_mark_missing"');
  });

  it('that is damaged stops the start, and is made again when that is confirmed', async () => {
    await broker.stop();
    writeFileSync(markPath(), '{"version":1');
    await expectNoStart('high_water_mark_unusable', /is damaged.*confirm-restore/);
    const confirmed = await runServerCommand(
      ...['confirm-restore', '--yes', '--data', broker.dataDirectory],
    );
    expect(confirmed.code).toBe(0);
    await broker.startAgain();
  });

  it('of another organization stops the start, unless there is nothing yet to lose', async () => {
    const other = await TestBroker.start();
    try {
      await other.client.registerClient();
      await other.stop();
      await broker.stop();
      cpSync(`${other.dataDirectory}.high-water.json`, markPath());
      await expectNoStart('state_older_than_mark', /is of organization/);
      rmSync(broker.dataDirectory, { recursive: true });
      await broker.startAgain();
      expect(broker.logLines.join('\n')).toContain('"event":"high_water_mark_replaced"');
    } finally {
      await other.stopAndRemove();
    }
  });

  it('can lie elsewhere, or nowhere', async () => {
    await broker.stop();
    const path = beside('elsewhere.json');
    await broker.startAgain({ highWaterMark: path });
    await broker.stop();
    expect(existsSync(path)).toBe(true);
    rmSync(path);
    rmSync(markPath());
    await broker.startAgain({ highWaterMark: 'none' });
    await revokeDevice();
    await broker.stop();
    expect(readdirSync(dirname(broker.dataDirectory)).toSorted()).toEqual(
      [basename(broker.dataDirectory), 'older'].toSorted(),
    );
    putBack();
    await broker.startAgain({ highWaterMark: 'none' });
  });

  it('that lies elsewhere has to be named to whoever confirms a restore', async () => {
    await broker.stop();
    rmSync(markPath());
    const path = beside('elsewhere.json');
    await broker.startAgain({ highWaterMark: path });
    await revokeDevice();
    await broker.stop();
    putBack();
    const confirm = (...mark: string[]) =>
      runServerCommand('confirm-restore', '--yes', '--data', broker.dataDirectory, ...mark);
    // Nothing is confirmed, and whoever asked for it is not told that all is well.
    const elsewhere = await confirm();
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.errors).toMatch(/There is no .*high-water\.json.*--high-water-mark/);
    expect(existsSync(markPath())).toBe(false);
    expect((await confirm('--high-water-mark', path)).code).toBe(0);
    await broker.startAgain({ highWaterMark: path });
  });

  it('that cannot be written stops the start, which names the way out', async () => {
    await broker.stop();
    await expect(
      broker.startAgain({ highWaterMark: beside('nowhere/mark.json') }),
    ).rejects.toMatchObject({
      failure: 'high_water_mark_unusable',
      message: expect.stringMatching(/--high-water-mark/),
    });
    await broker.startAgain();
  });

  it('follows a running server, and has it stop serving a state that has become older', async () => {
    await broker.stop();
    await broker.startAgain({ highWaterMarkIntervalMs: 20 });
    await revokeDevice();
    const revoked = z.looseObject({ shards: z.array(z.unknown()) });
    const noted = async () => {
      const { shards } = revoked.parse(JSON.parse(readFileSync(markPath(), 'utf8')));
      return JSON.stringify(shards).includes('"count":5');
    };
    await expect.poll(noted, { timeout: 20_000 }).toBe(true);
    const pid = broker.server.workerdPid();
    if (pid === undefined) throw new Error('workerd runs');
    // While nothing holds the databases open.
    process.kill(pid, 'SIGKILL');
    putBack(['durable-objects']);
    const serving = async () => (await broker.client.request('/healthz')).status;
    await expect
      .poll(() => broker.logLines.some((line) => line.includes('"state_older_than_mark"')), {
        timeout: 20_000,
      })
      .toBe(true);
    expect(await serving()).toBe(503);
  });
});

describe('a crash', () => {
  const rounds = Number(process.env.COUNTERSIGN_FAULT_ROUNDS ?? 5);
  it('raises no false alarm: the mark is never newer than the disk', {
    timeout: rounds * 10_000,
  }, async () => {
    for (let round = 0; round < rounds; round++) {
      await broker.stop();
      await broker.startAgain({ highWaterMarkIntervalMs: 1 });
      let isOver = false;
      const work = Array.from({ length: 6 }, async () => {
        while (!isOver) {
          await broker.client.signIn(client, device).catch(() => undefined);
          await enrollDevice(broker).catch(() => undefined);
        }
      });
      await new Promise((done) => setTimeout(done, 150 + 50 * round));
      const pid = broker.server.workerdPid();
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      isOver = true;
      await Promise.all(work);
    }
    await broker.stop();
    await broker.startAgain();
    expect(broker.logLines.join('\n')).not.toContain('state_older_than_mark');
    expect(await broker.brokenRows()).toEqual([]);
  });
});
