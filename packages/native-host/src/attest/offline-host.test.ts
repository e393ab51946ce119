import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Configuration } from '../configuration/configuration.ts';
import { enroll } from '../enrollment/enroll.ts';
import { readEnrollment } from '../enrollment/enrollment-record.ts';
import { readStoredKeySet } from '../key-set/stored-key-set.ts';
import { succeed } from '../result.ts';
import { attest, refreshKeySetIfDue } from './attest.ts';

/** A device that was switched off while the broker's keys, and what signs them, were replaced. */

const origin = 'https://sso.example.com';
const daySeconds = 86_400;
const monthSeconds = 31 * daySeconds;
const enrolledAt = Date.UTC(2027, 0, 1) / 1000;

let folder: string;
let broker: FakeEnrollmentBroker;
let configuration: Configuration;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-offline-'));
  broker = await startFakeEnrollmentBroker('fake-device-0000', enrolledAt * 1000);
  const signerExpiresAt = enrolledAt + 20 * daySeconds;
  await broker.organization.renewKeySetSigner(enrolledAt * 1000, signerExpiresAt * 1000);
  configuration = {
    path: join(folder, 'host.json'),
    origins: [origin],
    stateDirectory: join(folder, 'state'),
    keystore: { kind: 'file' },
    development: true,
  };
  const enrolled = await enroll({
    brokerUrl: broker.url,
    hardwareId: { serial_number: 'ABC1234' },
    stateDirectory: configuration.stateDirectory,
    readEnrollmentToken: async () => succeed('A'.repeat(43)),
    nowSeconds: enrolledAt,
    timeoutMs: 2000,
  });
  if (!enrolled.ok) throw new Error(enrolled.detail);
});
afterEach(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

const fetches = () => broker.calls.filter(({ path }) => path === '/v1/key-set').length;
const storedVersion = () => {
  const enrollment = readEnrollment(configuration.stateDirectory);
  if (!enrollment.ok || enrollment.value === undefined) throw new Error('no enrollment');
  const { keySetVersion } = enrollment.value;
  const stored = readStoredKeySet(configuration.stateDirectory, enrollment.value);
  return { accepted: keySetVersion, stored: stored?.claims.version };
};

async function signInAt(nowSeconds: number) {
  const challenge = await broker.organization.signChallenge(origin, nowSeconds);
  return await attest({ challenge, origin }, configuration, nowSeconds);
}

/** Another signer under the same root; the first one expires before the month is over. */
const renewSigner = () =>
  broker.organization.renewKeySetSigner((enrolledAt + 10 * daySeconds) * 1000);

function rotate(times: number): void {
  for (let rotation = 0; rotation < times; rotation++) broker.organization.rotateChallengeKey();
}

describe('a host that was offline for a month', () => {
  it('answers its first challenge, after one request', async () => {
    rotate(3);
    await renewSigner();
    const now = enrolledAt + monthSeconds;
    expect(await signInAt(now)).toMatchObject({ ok: true });
    expect(await signInAt(now + 1)).toMatchObject({ ok: true });
    expect(fetches()).toBe(1);
    expect(storedVersion()).toEqual({ accepted: 6, stored: 6 });
  });

  it('takes no key set of a signer that has expired, and recovers when the broker has another', async () => {
    const now = enrolledAt + monthSeconds;
    rotate(1);
    expect(await signInAt(now)).toMatchObject({ ok: false, reason: 'key_set_invalid' });
    await renewSigner();
    expect(await signInAt(now)).toMatchObject({ ok: true });
  });

  it('goes on with what it has while nothing was rotated, and asks afterwards, so that nobody waits', async () => {
    const now = enrolledAt + monthSeconds;
    await renewSigner();
    expect(await signInAt(now)).toMatchObject({ ok: true });
    expect(fetches()).toBe(0);
    expect(await refreshKeySetIfDue(configuration, now)).toMatchObject({ ok: true });
    expect(await refreshKeySetIfDue(configuration, now + daySeconds - 1)).toMatchObject({
      ok: true,
    });
    expect(fetches()).toBe(1);
    expect(await refreshKeySetIfDue(configuration, now + daySeconds)).toMatchObject({ ok: true });
    expect(fetches()).toBe(2);
  });

  it('says that it cannot reach the broker, and recovers at the next challenge', async () => {
    rotate(1);
    await renewSigner();
    const now = enrolledAt + monthSeconds;
    broker.interruptNext((response) => sendJson(response, 503, 'busy'));
    expect(await signInAt(now)).toMatchObject({ ok: false, reason: 'broker_unreachable' });
    expect(await signInAt(now + 60)).toMatchObject({ ok: true });
  });
});

describe('an attacker who replays an older key set', () => {
  it('is refused, with the key in it, whatever this host had lost', async () => {
    const { organization } = broker;
    await renewSigner();
    const oldKeySet = await organization.signKeySet();
    const oldKey = organization.challengeKey;
    rotate(2);
    const now = enrolledAt + monthSeconds;
    expect(await signInAt(now)).toMatchObject({ ok: true });
    const floor = storedVersion();

    // With the stolen old key, and in the broker's place.
    const forged = await organization.signChallenge(origin, now, {
      header: { kid: oldKey.kid },
      signWith: oldKey.privateKey,
    });
    for (const lost of [false, true]) {
      if (lost) rmSync(join(configuration.stateDirectory, 'key-set.json'));
      broker.interruptNext((response) => sendJson(response, 200, { key_set: oldKeySet }));
      expect(await attest({ challenge: forged, origin }, configuration, now)).toMatchObject({
        ok: false,
        reason: 'key_set_invalid',
        detail: expect.stringContaining('version 3 is older than 5'),
      });
    }
    expect(storedVersion().accepted).toBe(floor.accepted);
    expect(await signInAt(now + 1)).toMatchObject({ ok: true });
    expect(storedVersion()).toEqual(floor);
    // The true key set, which does not have it.
    expect(await attest({ challenge: forged, origin }, configuration, now)).toMatchObject({
      ok: false,
      reason: 'challenge_key_unknown',
    });
  });
});
