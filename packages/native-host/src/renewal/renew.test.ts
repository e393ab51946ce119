import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renewalRequestTyp } from '@countersign/protocol/enrollment';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { compactVerify, decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { enroll } from '../enrollment/enroll.ts';
import { readEnrollment } from '../enrollment/enrollment-record.ts';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import { succeed } from '../result.ts';
import { type RenewInput, renew } from './renew.ts';
import { readAttempts } from './renewal-attempts.ts';

const now = Math.floor(Date.now() / 1000);
let top: string;
let stateDirectory: string;
let broker: FakeEnrollmentBroker;

beforeEach(async () => {
  top = mkdtempSync(join(tmpdir(), 'countersign-renew-'));
  stateDirectory = join(top, 'state');
  broker = await startFakeEnrollmentBroker();
});
afterEach(async () => {
  await broker.stop();
  rmSync(top, { recursive: true });
});

async function enrollDevice() {
  const enrolled = await enroll({
    brokerUrl: broker.url,
    hardwareId: { serial_number: 'ABC1234' },
    stateDirectory,
    readEnrollmentToken: async () => succeed('A'.repeat(43)),
    nowSeconds: now,
    timeoutMs: 2000,
  });
  if (!enrolled.ok) throw new Error(enrolled.detail);
  return currentEnrollment();
}

const run = (changes: Partial<RenewInput> = {}) =>
  renew({
    stateDirectory,
    keyStores: new FileKeyStores(stateDirectory),
    nowSeconds: now,
    timeoutMs: 2000,
    ...changes,
  });

function currentEnrollment() {
  const read = readEnrollment(stateDirectory);
  if (!read.ok || read.value === undefined) throw new Error('there is no enrollment');
  return read.value;
}

/** Files that say what the device is, without those about tries. */
function identity() {
  const names = readdirSync(stateDirectory).filter((name) => name !== 'renewal-attempts.json');
  return names.sort().map((name) => [name, readFileSync(join(stateDirectory, name), 'latin1')]);
}

const lastRequest = () => JSON.parse(broker.calls.at(-1)?.body ?? '').renewal_request as string;

describe('a renewal', () => {
  it('is asked for by the current key, as another implementation verifies', async () => {
    const before = await enrollDevice();
    expect(await run()).toMatchObject({ ok: true, value: { renewed: true } });
    const certificate = new X509Certificate(before.leafCertificate);
    const { protectedHeader, payload } = await compactVerify(lastRequest(), certificate.publicKey);
    expect(protectedHeader).toEqual({
      alg: 'ES256',
      typ: renewalRequestTyp,
      x5c: [certificate.raw.toString('base64')],
    });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      aud: broker.url,
      iat: now,
      jti: expect.stringMatching(/^[\w-]{22}$/),
    });
  });

  it('keeps the new certificate, for the same key', async () => {
    const before = await enrollDevice();
    await run();
    const after = currentEnrollment();
    expect(Buffer.from(after.leafCertificate).equals(before.leafCertificate)).toBe(false);
    const keys = [before, after].map(({ leafCertificate }) =>
      new X509Certificate(leafCertificate).publicKey.export({ format: 'pem', type: 'spki' }),
    );
    expect(keys[0]).toBe(keys[1]);
    expect(after.keyId).toBe(before.keyId);
    expect(after.deviceId).toBe(before.deviceId);
  });

  it('with a new key goes over to it and deletes the old one', async () => {
    const before = await enrollDevice();
    expect(await run({ rekey: true })).toMatchObject({ ok: true });
    const after = currentEnrollment();
    expect(after.keyId).toBeDefined();
    const { publicKey } = new X509Certificate(after.leafCertificate);
    const key = await new FileKeyStores(stateDirectory).open(after.keyId).publicKeySpki();
    expect(key.ok && publicKey.export({ format: 'der', type: 'spki' }).equals(key.value)).toBe(
      true,
    );
    const old = await new FileKeyStores(stateDirectory).open(before.keyId).publicKeySpki();
    expect(old).toMatchObject({ ok: false, reason: 'key_missing' });
    expect(decodeJwt(lastRequest()).rekey_csr).toBeDefined();
  });

  it('with a new key whose answer got lost goes on with that key', async () => {
    await enrollDevice();
    broker.interruptNext((response) => {
      response.destroy();
    });
    expect(await run({ rekey: true })).toMatchObject({ ok: false, reason: 'broker_unreachable' });
    const first = decodeJwt(lastRequest()).rekey_csr;
    expect(readAttempts(stateDirectory)).toMatchObject({ rekeyIsOpen: true });
    expect(await run({ rekey: true })).toMatchObject({ ok: true });
    expect(decodeJwt(lastRequest()).rekey_csr).toBe(first);
  });

  const failures: ReadonlyArray<readonly [string, string, () => void]> = [
    [
      'the broker refuses',
      'read_only',
      () =>
        broker.interruptNext((response) =>
          sendJson(response, 503, {
            type: 'urn:countersign:problem:read_only',
            title: 'read-only',
            status: 503,
            code: 'read_only',
            user_text: 'later',
          }),
        ),
    ],
    [
      'nobody answers',
      'broker_unreachable',
      () =>
        broker.interruptNext((response) => {
          response.destroy();
        }),
    ],
    [
      'the answer is under another root',
      'broker_root_mismatch',
      () =>
        broker.interruptNext(async (response) => {
          const other = await FakeOrganization.create(broker.url);
          const { leafCertificate, deviceId } = currentEnrollment();
          const spki = new X509Certificate(leafCertificate).publicKey.export({
            format: 'der',
            type: 'spki',
          });
          const answer = await other.enrollmentAnswer(spki, deviceId);
          sendJson(response, 200, { ...answer, renewed: true });
        }),
    ],
    [
      'the answer is for another device',
      'broker_answer_malformed',
      () =>
        broker.interruptNext(async (response) => {
          const { leafCertificate } = currentEnrollment();
          const spki = new X509Certificate(leafCertificate).publicKey.export({
            format: 'der',
            type: 'spki',
          });
          const answer = await broker.organization.enrollmentAnswer(spki, 'fake-device-0001');
          sendJson(response, 200, { ...answer, renewed: true });
        }),
    ],
    [
      'the answer is no answer',
      'broker_answer_malformed',
      () => broker.interruptNext((response) => sendJson(response, 200, { renewed: true })),
    ],
  ];
  it.each(failures)('changes nothing when %s', async (_name, reason, interrupt) => {
    await enrollDevice();
    const before = identity();
    interrupt();
    expect(await run()).toMatchObject({ ok: false, reason });
    expect(identity()).toEqual(before);
    expect(readAttempts(stateDirectory)).toEqual({
      failures: 1,
      lastAtSeconds: now,
      lastCode: reason,
      rekeyIsOpen: false,
    });
    expect(await run()).toMatchObject({ ok: true });
    expect(readAttempts(stateDirectory)).toBeUndefined();
  });

  it('of a device that is not enrolled asks nobody', async () => {
    expect(await run()).toMatchObject({ ok: false, reason: 'not_enrolled' });
    expect(broker.calls).toEqual([]);
  });
});
