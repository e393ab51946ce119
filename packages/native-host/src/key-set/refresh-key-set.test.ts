import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Enrollment,
  readEnrollment,
  writeEnrollment,
} from '../enrollment/enrollment-record.ts';
import { isRefreshDue, refreshKeySet } from './refresh-key-set.ts';
import { readStoredKeySet } from './stored-key-set.ts';

const now = Math.floor(Date.now() / 1000);
let broker: FakeEnrollmentBroker;
let stateDirectory: string;
let enrollment: Enrollment;

beforeEach(async () => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'countersign-key-set-'));
  broker = await startFakeEnrollmentBroker();
  const { organization } = broker;
  enrollment = {
    brokerUrl: broker.url,
    requestedUrl: broker.url,
    organizationId: organization.organizationId,
    deviceId: 'device-0000000000',
    leafCertificate: new Uint8Array(1),
    issuerCertificate: new Uint8Array(1),
    rootCertificate: organization.root.certificate.der,
    keySetVersion: 1,
  };
});
afterEach(async () => {
  await broker.stop();
  rmSync(stateDirectory, { recursive: true });
});

const refresh = (timeoutMs = 2000) =>
  refreshKeySet({ enrollment, stateDirectory, nowSeconds: now, timeoutMs });
const storedVersion = () => readStoredKeySet(stateDirectory, enrollment)?.claims.version;

describe('a refresh', () => {
  it('keeps what the broker serves, for the owner alone', async () => {
    broker.organization.keySetVersion = 3;
    expect(await refresh()).toMatchObject({ ok: true, value: { version: 3 } });
    expect(readStoredKeySet(stateDirectory, enrollment)).toMatchObject({
      claims: { version: 3 },
      fetchedAtSeconds: now,
    });
    expect(statSync(join(stateDirectory, 'key-set.json')).mode & 0o777).toBe(0o600);
  });

  it('never goes back to an older version', async () => {
    broker.organization.keySetVersion = 3;
    await refresh();
    broker.organization.keySetVersion = 2;
    expect(await refresh()).toMatchObject({ ok: false, reason: 'key_set_invalid' });
    expect(storedVersion()).toBe(3);
  });

  it('never goes below the version of the enrollment, even when the file is lost', async () => {
    enrollment = { ...enrollment, keySetVersion: 5 };
    broker.organization.keySetVersion = 4;
    expect(await refresh()).toMatchObject({ ok: false, reason: 'key_set_invalid' });
    expect(existsSync(join(stateDirectory, 'key-set.json'))).toBe(false);
  });

  it('changes nothing when the broker serves what it did not sign', async () => {
    await refresh();
    const before = readFileSync(join(stateDirectory, 'key-set.json'));
    const other = await startFakeEnrollmentBroker();
    const foreign = await other.organization.signKeySet();
    await other.stop();
    broker.interruptNext((response) => sendJson(response, 200, { key_set: foreign }));
    expect(await refresh()).toMatchObject({ ok: false, reason: 'key_set_invalid' });
    expect(readFileSync(join(stateDirectory, 'key-set.json'))).toEqual(before);
  });

  it.each<[what: string, status: number, body: unknown, reason: string]>([
    ['something else', 200, { keys: [] }, 'key_set_invalid'],
    ['a redirect', 302, {}, 'key_set_invalid'],
    ['a page that is not there', 404, 'not found', 'key_set_invalid'],
    ['an overload', 503, 'busy', 'broker_unreachable'],
    [
      'a problem document',
      503,
      { type: 'about:blank', title: 'No', status: 503, code: 'configuration_invalid' },
      'broker_unreachable',
    ],
  ])('reports %s', async (_, status, body, reason) => {
    broker.interruptNext((response) => sendJson(response, status, body));
    expect(await refresh()).toMatchObject({ ok: false, reason });
  });

  it('reports a broker that does not answer in time', async () => {
    broker.interruptNext(() => new Promise(() => undefined));
    expect(await refresh(100)).toMatchObject({
      ok: false,
      reason: 'broker_unreachable',
      detail: expect.stringContaining('no answer in time'),
    });
  });

  it('reports a broker that is not there', async () => {
    await broker.stop();
    expect(await refresh()).toMatchObject({
      ok: false,
      reason: 'broker_unreachable',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe('the highest version that was accepted', () => {
  /** What this device knows when it is asked next. */
  function reread(): Enrollment {
    const read = readEnrollment(stateDirectory);
    if (!read.ok || read.value === undefined) throw new Error('there is no enrollment');
    return read.value;
  }
  async function refreshAt(version: number) {
    broker.organization.keySetVersion = version;
    enrollment = reread();
    return refresh();
  }
  const lose = () => rmSync(join(stateDirectory, 'key-set.json'), { recursive: true });
  const older = { ok: false, reason: 'key_set_invalid', detail: expect.stringContaining('older') };
  beforeEach(() => {
    writeEnrollment(stateDirectory, enrollment);
  });

  it('stays known when the key set is lost', async () => {
    expect(await refreshAt(7)).toMatchObject({ ok: true });
    expect(reread()).toEqual({ ...enrollment, keySetVersion: 7 });
    lose();
    expect(await refreshAt(6)).toMatchObject(older);
    expect(existsSync(join(stateDirectory, 'key-set.json'))).toBe(false);
    expect(await refreshAt(7)).toMatchObject({ ok: true });
    expect(await refreshAt(9)).toMatchObject({ ok: true });
    expect(reread().keySetVersion).toBe(9);
    expect(statSync(join(stateDirectory, 'enrollment.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(stateDirectory).sort()).toEqual(['enrollment.json', 'key-set.json']);
  });

  it('is not raised by a key set that is refused, nor written again without need', async () => {
    await refreshAt(7);
    const { ino } = statSync(join(stateDirectory, 'enrollment.json'));
    const other = await startFakeEnrollmentBroker();
    other.organization.keySetVersion = 99;
    const foreign = await other.organization.signKeySet();
    await other.stop();
    broker.interruptNext((response) => sendJson(response, 200, { key_set: foreign }));
    expect(await refreshAt(8)).toMatchObject({ ok: false });
    expect(await refreshAt(7)).toMatchObject({ ok: true });
    expect(statSync(join(stateDirectory, 'enrollment.json')).ino).toBe(ino);
  });

  it('is on the disk before the key set is', async () => {
    mkdirSync(join(stateDirectory, 'key-set.json'));
    expect(await refreshAt(7)).toMatchObject({ ok: true, value: { version: 7 } });
    lose();
    expect(await refreshAt(6)).toMatchObject(older);
  });

  it('of an enrollment that was replaced meanwhile says nothing about the new one', async () => {
    const replaced = { ...enrollment, leafCertificate: new Uint8Array(2) };
    broker.interruptNext(async (response) => {
      writeEnrollment(stateDirectory, replaced);
      sendJson(response, 200, { key_set: await broker.organization.signKeySet() });
    });
    expect(await refreshAt(7)).toMatchObject({ ok: true });
    expect(reread()).toEqual(replaced);
  });

  it('stops no sign-in when it cannot be kept', async () => {
    broker.interruptNext(async (response) => {
      chmodSync(join(stateDirectory, 'enrollment.json'), 0o644);
      sendJson(response, 200, { key_set: await broker.organization.signKeySet() });
    });
    expect(await refreshAt(7)).toMatchObject({ ok: true, value: { version: 7 } });
    expect(storedVersion()).toBe(7);
    chmodSync(join(stateDirectory, 'enrollment.json'), 0o600);
    expect(reread().keySetVersion).toBe(1);
    expect(await refreshAt(7)).toMatchObject({ ok: true });
    expect(reread().keySetVersion).toBe(7);
  });
});

describe('the stored key set', () => {
  it.each([
    ['is cut off', (text: string) => text.slice(0, 40)],
    [
      'is another version of the file',
      (text: string) => text.replace('"version": 1', '"version": 2'),
    ],
    ['was changed', (text: string) => text.replace(/\.[^."]{10}/, '.AAAAAAAAAA')],
  ])('counts as none when it %s', async (_, change) => {
    await refresh();
    const path = join(stateDirectory, 'key-set.json');
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    expect(readStoredKeySet(stateDirectory, enrollment)).toBeUndefined();
  });

  it('counts as none for another enrollment', async () => {
    await refresh();
    const other = { ...enrollment, organizationId: 'org_another' };
    expect(readStoredKeySet(stateDirectory, other)).toBeUndefined();
  });
});

describe('a refresh is due', () => {
  it.each([
    [0, false],
    [86_399, false],
    [86_400, true],
    [-1, true],
    [Number.NaN, true],
  ])('after %d s: %s', (age, due) => {
    expect(isRefreshDue(now - age, now)).toBe(due);
  });
});
