import { createHash, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { parseCertificationRequest } from '@countersign/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import type { KeyStores } from '../keystore/keystore.ts';
import { succeed } from '../result.ts';
import { type EnrollInput, enroll } from './enroll.ts';
import { type Enrollment, readEnrollment, writeEnrollment } from './enrollment-record.ts';

const now = Math.floor(Date.now() / 1000);
let top: string;
let stateDirectory: string;
let broker: FakeEnrollmentBroker;

beforeEach(async () => {
  top = mkdtempSync(join(tmpdir(), 'countersign-replace-'));
  stateDirectory = join(top, 'state');
  broker = await startFakeEnrollmentBroker();
});
afterEach(async () => {
  await broker.stop();
  rmSync(top, { recursive: true });
});

function run(changes: Partial<EnrollInput> = {}) {
  return enroll({
    brokerUrl: broker.url,
    hardwareId: { serial_number: 'ABC1234' },
    stateDirectory,
    readEnrollmentToken: async () => succeed('A'.repeat(43)),
    nowSeconds: now,
    timeoutMs: 2000,
    ...changes,
  });
}
const replace = (changes: Partial<EnrollInput> = {}) => run({ replace: true, ...changes });

/** The key of each request that was sent, oldest first. */
const keysSent = () =>
  broker.calls.map(({ body }) => {
    const csr = parseCertificationRequest(Buffer.from(JSON.parse(body).csr, 'base64url'));
    if (!csr.ok) throw new Error(csr.detail);
    return Buffer.from(csr.value.subjectPublicKey.spki).toString('hex');
  });

function files(): Record<string, string> {
  const names = readdirSync(stateDirectory).sort();
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(stateDirectory, name), 'latin1')]),
  );
}

function currentEnrollment(): Enrollment {
  const read = readEnrollment(stateDirectory);
  if (!read.ok || read.value === undefined) throw new Error('there is no enrollment');
  return read.value;
}

/** The device can sign for its certificate; gives the id of the key. */
async function expectWorking(): Promise<string | undefined> {
  const { leafCertificate, keyId } = currentEnrollment();
  const { publicKey } = new X509Certificate(leafCertificate);
  const key = await new FileKeyStores(stateDirectory).open(keyId).publicKeySpki();
  if (!key.ok) throw new Error(key.detail);
  expect(publicKey.export({ format: 'der', type: 'spki' }).equals(key.value)).toBe(true);
  return keyId;
}

/** Nothing is there but what belongs to a replaced enrollment. */
async function expectReplaced(): Promise<void> {
  const keyId = await expectWorking();
  if (keyId === undefined) throw new Error('it is the first key');
  expect(Object.keys(files())).toEqual([
    `device-key-${keyId}.json`,
    'enrollment.json',
    'key-set.json',
    `wrapping-${keyId}.key`,
  ]);
}

const problem = (code: string) => ({ type: 'about:blank', title: 'No', status: 409, code });
const refuseNext = (code: string) =>
  broker.interruptNext((response) => sendJson(response, 409, problem(code)));

describe('an enrollment that looks good from here', () => {
  it('is replaced with a new key, and the old one is deleted', async () => {
    await run();
    const steps: string[] = [];
    const replaced = await replace({ onStep: (step) => steps.push(step) });
    expect(replaced).toMatchObject({ ok: true, value: { wasEnrolled: false } });
    expect(steps).toEqual(['key', 'request', 'certificate', 'key_set', 'old_key']);
    const [first, second] = keysSent();
    expect(second).not.toBe(first);
    await expectReplaced();
    expect(await run()).toEqual({
      ...replaced,
      value: { ...(replaced.ok && replaced.value), wasEnrolled: true },
    });
  });

  it('is replaced each time that is asked for', async () => {
    await run();
    const ids: unknown[] = [];
    for (let count = 0; count < 3; count++) {
      await replace();
      await expectReplaced();
      ids.push(currentEnrollment().keyId);
    }
    expect(new Set([...keysSent(), ...ids]).size).toBe(7);
  });

  it('is in use until the new certificate is verified', async () => {
    await run();
    const before = files();
    broker.interruptNext((response) => {
      expect(files()).toMatchObject(before);
      response.destroy();
    });
    expect(await replace()).toMatchObject({ ok: false, reason: 'broker_unreachable' });
    expect(files()).toMatchObject(before);
  });

  it('stays as it is when the new key was lost while the broker was asked', async () => {
    await run();
    const before = files();
    broker.interruptNext(async (response) => {
      for (const name of readdirSync(stateDirectory)) {
        if (!(name in before)) rmSync(join(stateDirectory, name));
      }
      const spki = Buffer.from(keysSent().at(-1) ?? '', 'hex');
      sendJson(response, 200, await broker.organization.enrollmentAnswer(spki, 'fake-device-0000'));
    });
    expect(await replace()).toMatchObject({ ok: false, reason: 'key_unavailable' });
    expect(files()).toEqual(before);
  });

  it.each<[what: string, fail: () => void, changes: Partial<EnrollInput>, reason: string]>([
    [
      'the broker refuses',
      () => refuseNext('enrollment_token_spent'),
      {},
      'enrollment_token_spent',
    ],
    [
      'the answer is for another key',
      () =>
        broker.interruptNext(async (response) => {
          const spki = Buffer.from(keysSent()[0] ?? '', 'hex');
          sendJson(
            response,
            200,
            await broker.organization.enrollmentAnswer(spki, 'fake-device-0000'),
          );
        }),
      {},
      'broker_answer_malformed',
    ],
    [
      'the root is not the pinned one',
      () => undefined,
      { rootSha256: createHash('sha256').update('another root').digest('base64url') },
      'broker_root_mismatch',
    ],
  ])('stays as it is when %s, and the next attempt goes on', async (_, fail, changes, reason) => {
    await run();
    const before = files();
    fail();
    expect(await replace(changes)).toMatchObject({ ok: false, reason });
    expect(files()).toMatchObject(before);
    expect(await run()).toMatchObject({ ok: true, value: { wasEnrolled: true } });
    expect(await replace()).toMatchObject({ ok: true });
    const [, second, third] = keysSent();
    expect(third).toBe(second);
    await expectReplaced();
  });

  it('stays as it is, and nothing is sent, without a token', async () => {
    await run();
    const before = files();
    const refused = { ok: false, reason: 'usage_invalid', detail: 'no token' } as const;
    expect(await replace({ readEnrollmentToken: async () => refused })).toEqual(refused);
    expect(files()).toEqual(before);
    expect(broker.calls).toHaveLength(1);
  });

  it('is not replaced by one with another broker', async () => {
    await run();
    const before = files();
    const second = await startFakeEnrollmentBroker();
    const refused = await replace({ brokerUrl: second.url });
    await second.stop();
    expect(refused).toMatchObject({ ok: false, reason: 'already_enrolled_elsewhere' });
    expect(second.calls).toEqual([]);
    expect(files()).toEqual(before);
  });

  it('is replaced once by many at the same time', async () => {
    await run();
    const results = await Promise.all(Array.from({ length: 8 }, () => replace()));
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(new Set(keysSent()).size).toBe(2);
    await expectReplaced();
  });

  it('does not come back from a host that was just writing it', async () => {
    await run();
    const old = currentEnrollment();
    const keyStores = new FileKeyStores(stateDirectory);
    const late: KeyStores = {
      open: (keyId) => keyStores.open(keyId),
      removeAll: () => keyStores.removeAll(),
      removeOthers(keyId) {
        writeEnrollment(stateDirectory, { ...old, keySetVersion: 2 });
        return keyStores.removeOthers(keyId);
      },
    };
    expect(await replace({ keyStores: late })).toMatchObject({ ok: true });
    await expectReplaced();
  });

  it('is replaced, and says so, when its key cannot be deleted', async () => {
    await run();
    rmSync(join(stateDirectory, 'wrapping.key'));
    mkdirSync(join(stateDirectory, 'wrapping.key'));
    expect(await replace()).toMatchObject({
      ok: false,
      reason: 'state_unwritable',
      detail: expect.stringContaining('enrolled, but an old key is still there'),
    });
    expect(await expectWorking()).toBeDefined();
    rmSync(join(stateDirectory, 'wrapping.key'), { recursive: true });
    expect(await replace()).toMatchObject({ ok: true });
    expect(new Set(keysSent()).size).toBe(2);
    await expectReplaced();
  });
});

describe('what cannot be used any more is replaced too', () => {
  const path = (name: string) => join(stateDirectory, name);
  it.each<[what: string, damage: () => void]>([
    ['a key that is gone', () => rmSync(path('device-key.json'))],
    ['a key that is damaged', () => writeFileSync(path('device-key.json'), '{')],
    ['a key that others may read', () => chmodSync(path('device-key.json'), 0o644)],
    ['a wrapping key that others may read', () => chmodSync(path('wrapping.key'), 0o644)],
    ['a record that is damaged', () => writeFileSync(path('enrollment.json'), '{"version":')],
  ])('%s', async (_, damage) => {
    await run();
    damage();
    expect(await replace()).toMatchObject({ ok: true, value: { wasEnrolled: false } });
    await expectReplaced();
  });

  it('but nothing is sent from a folder that others may enter', async () => {
    await run();
    chmodSync(stateDirectory, 0o755);
    expect(await replace()).toMatchObject({ ok: false, reason: 'state_unwritable' });
    expect(broker.calls).toHaveLength(1);
  });
});

describe.each(['key_of_other_device', 'key_blocked'])('a key refused with %s', (code) => {
  it('is not used again by a device that is not enrolled', async () => {
    refuseNext(code);
    expect(await run()).toMatchObject({ ok: false, reason: code });
    refuseNext(code);
    expect(await run()).toMatchObject({ ok: false, reason: code });
    expect(await replace()).toMatchObject({ ok: true });
    const [first, second, third] = keysSent();
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    await expectReplaced();
  });

  it('makes room for another at once when an earlier attempt left it', async () => {
    await run();
    broker.interruptNext((response) => void response.destroy());
    await replace();
    refuseNext(code);
    expect(await replace()).toMatchObject({ ok: true });
    const [, second, third, fourth] = keysSent();
    expect(third).toBe(second);
    expect(fourth).not.toBe(third);
    await expectReplaced();
  });

  it('is reported when it is a new one, and not tried for ever', async () => {
    await run();
    refuseNext(code);
    expect(await replace()).toMatchObject({ ok: false, reason: code });
    refuseNext(code);
    refuseNext(code);
    expect(await replace()).toMatchObject({ ok: false, reason: code });
    expect(broker.calls).toHaveLength(4);
    expect(await expectWorking()).toBeUndefined();
  });
});

it('enrolls a device that was never enrolled', async () => {
  expect(await replace()).toMatchObject({ ok: true, value: { wasEnrolled: false } });
  await expectReplaced();
});
