import 'reflect-metadata';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enrollmentLimitText } from '@countersign/protocol';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readStoredKeySet } from '../key-set/stored-key-set.ts';
import { FileKeyStore } from '../keystore/file-keystore.ts';
import { succeed } from '../result.ts';
import { type EnrollInput, enroll } from './enroll.ts';
import { readEnrollment } from './enrollment-record.ts';

const deviceId = 'fake-device-0000';
const token = 'A'.repeat(43);
const now = Math.floor(Date.now() / 1000);

let top: string;
let stateDirectory: string;
let broker: FakeEnrollmentBroker;
let tokensAsked: number;

beforeEach(async () => {
  top = mkdtempSync(join(tmpdir(), 'countersign-enroll-'));
  stateDirectory = join(top, 'state');
  broker = await startFakeEnrollmentBroker(deviceId);
  tokensAsked = 0;
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
    readEnrollmentToken: async () => {
      tokensAsked += 1;
      return succeed(token);
    },
    nowSeconds: now,
    timeoutMs: 2000,
    ...changes,
  });
}

const requests = () =>
  broker.calls.filter(({ path }) => path === '/v1/enrollments').map(({ body }) => JSON.parse(body));
const storedFiles = () => readdirSync(stateDirectory).sort();
const complete = ['device-key.json', 'enrollment.json', 'key-set.json', 'wrapping.key'];

/** Has the next request answered with a changed answer for its own key. */
function answerNext(
  change: (answer: EnrollmentAnswer) => EnrollmentAnswer | Promise<EnrollmentAnswer>,
): void {
  broker.interruptNext(async (response, { body }) => {
    const csr = new Pkcs10CertificateRequest(Buffer.from(JSON.parse(body).csr, 'base64url'));
    const spki = new Uint8Array(csr.publicKey.rawData);
    sendJson(
      response,
      200,
      await change(await broker.organization.enrollmentAnswer(spki, deviceId)),
    );
  });
}

describe('an enrollment', () => {
  it('keeps certificate, key set and key, for the owner alone', async () => {
    const steps: string[] = [];
    const enrolled = await run({ onStep: (step) => steps.push(step) });
    expect(enrolled).toMatchObject({
      ok: true,
      value: {
        wasEnrolled: false,
        deviceId,
        brokerUrl: broker.url,
        organizationId: broker.organization.organizationId,
        keyProtection: 'file',
        certificate: { issuer: 'CN=Test Issuer' },
      },
    });
    expect(steps).toEqual(['key', 'request', 'certificate', 'key_set']);
    expect(storedFiles()).toEqual(complete);
    for (const name of complete) {
      expect(statSync(join(stateDirectory, name)).mode & 0o777).toBe(0o600);
    }
    const record = readEnrollment(stateDirectory);
    if (!record.ok || record.value === undefined) throw new Error('there is no enrollment');
    expect(record.value).toMatchObject({ brokerUrl: broker.url, deviceId, keySetVersion: 1 });
    expect(readStoredKeySet(stateDirectory, record.value)?.claims.keys).toMatchObject([
      { kid: broker.organization.challengeKey.kid },
    ]);
  });

  it('sends a request that another implementation verifies, and nothing but what is needed', async () => {
    await run();
    const [request] = requests();
    expect(Object.keys(request)).toEqual(['authority', 'hardware_id', 'csr']);
    expect(request).toMatchObject({
      authority: { type: 'one_time_token', token },
      hardware_id: { serial_number: 'ABC1234' },
    });
    const csr = new Pkcs10CertificateRequest(Buffer.from(request.csr, 'base64url'));
    expect(await csr.verify()).toBe(true);
    expect(csr.attributes).toEqual([]);
    const key = await new FileKeyStore(stateDirectory).publicKeySpki();
    expect(key.ok && Buffer.from(key.value)).toEqual(Buffer.from(csr.publicKey.rawData));
  });

  it('is left alone when it is there: no request, no token', async () => {
    const first = await run();
    const before = readFileSync(join(stateDirectory, 'enrollment.json'));
    const second = await run({ readEnrollmentToken: () => Promise.reject(new Error('asked')) });
    expect(second).toEqual({
      ...first,
      value: { ...(first.ok && first.value), wasEnrolled: true },
    });
    expect(requests()).toHaveLength(1);
    expect(readFileSync(join(stateDirectory, 'enrollment.json'))).toEqual(before);
  });
});

describe('an attempt whose answer got lost', () => {
  it('is repeated with the same request and gets the same certificate', async () => {
    broker.interruptNext((response) => {
      response.destroy();
    });
    expect(await run()).toMatchObject({ ok: false, reason: 'broker_unreachable' });
    expect(existsSync(join(stateDirectory, 'enrollment.json'))).toBe(false);
    const enrolled = await run();
    expect(enrolled).toMatchObject({ ok: true, value: { wasEnrolled: false } });
    const [first, second] = requests();
    expect(second).toEqual(first);
    expect(storedFiles()).toEqual(complete);
  });

  it('is repeated so by many at the same time, who all end with one enrollment', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => run()));
    expect(results.every((result) => result.ok)).toBe(true);
    const fingerprints = results.map(
      (result) => result.ok && result.value.certificate.fingerprint_sha256,
    );
    expect(new Set(fingerprints).size).toBe(1);
    expect(new Set(requests().map(({ csr }) => csr)).size).toBe(1);
    expect(storedFiles()).toEqual(complete);
  });

  it('makes a new request when the kept one is damaged or of another key', async () => {
    broker.interruptNext((response) => sendJson(response, 503, {}));
    await run();
    writeFileSync(join(stateDirectory, 'pending-enrollment.json'), '{"version":1,"csr":"AAAA"}');
    expect(await run()).toMatchObject({ ok: true });
    const [first, second] = requests();
    expect(second.csr).not.toBe(first.csr);
    expect(storedFiles()).toEqual(complete);
  });
});

describe('an enrollment that is of no use any more is replaced, with a new key', () => {
  async function expectReplaced(nowSeconds = now): Promise<void> {
    const [first] = requests();
    const again = await run({ nowSeconds });
    expect(again).toMatchObject({ ok: true, value: { wasEnrolled: false } });
    const [, second] = requests();
    expect(second.csr).not.toBe(first.csr);
    expect(storedFiles()).toEqual(complete);
  }

  it('when its key is gone', async () => {
    await run();
    rmSync(join(stateDirectory, 'device-key.json'));
    await expectReplaced();
  });

  it('when its key is damaged', async () => {
    await run();
    writeFileSync(join(stateDirectory, 'wrapping.key'), Buffer.alloc(32));
    await expectReplaced();
  });

  it('when the record is damaged', async () => {
    await run();
    writeFileSync(join(stateDirectory, 'enrollment.json'), '{"version":');
    await expectReplaced();
  });

  it('when the certificate has expired', async () => {
    answerNext(async (answer) => {
      const { publicKey } = new Pkcs10CertificateRequest(
        Buffer.from(requests()[0].csr, 'base64url'),
      );
      const shortLived = await broker.organization.issueCertificate(
        new Uint8Array(publicKey.rawData),
        deviceId,
        { notAfterMs: (now + 100) * 1000 },
      );
      return { ...answer, certificate: Buffer.from(shortLived).toString('base64url') };
    });
    await run();
    expect(await run({ nowSeconds: now + 700 })).toMatchObject({ value: { wasEnrolled: true } });
    await expectReplaced(now + 701);
  });

  it('but never when others could have changed it', async () => {
    await run();
    chmodSync(stateDirectory, 0o755);
    expect(await run()).toMatchObject({ ok: false, reason: 'state_unwritable' });
    expect(requests()).toHaveLength(1);
  });
});

describe('a second broker', () => {
  it('is refused, and nothing is sent to it or changed', async () => {
    await run();
    const before = readFileSync(join(stateDirectory, 'enrollment.json'));
    const second = await startFakeEnrollmentBroker();
    const refused = await run({ brokerUrl: second.url });
    await second.stop();
    expect(refused).toMatchObject({ ok: false, reason: 'already_enrolled_elsewhere' });
    expect(second.calls).toEqual([]);
    expect(tokensAsked).toBe(1);
    expect(readFileSync(join(stateDirectory, 'enrollment.json'))).toEqual(before);
  });

  it('is not what the same broker at another address is', async () => {
    const alias = broker.url.replace('127.0.0.1', 'localhost');
    expect(await run({ brokerUrl: alias })).toMatchObject({ value: { brokerUrl: broker.url } });
    expect(await run({ brokerUrl: alias })).toMatchObject({ value: { wasEnrolled: true } });
    expect(await run()).toMatchObject({ value: { wasEnrolled: true } });
  });
});

describe('a refusal of the broker', () => {
  const problem = (code: string, title: string) => ({
    type: 'about:blank',
    title,
    status: 409,
    code,
  });

  it.each([
    ['enrollment_limit_reached', enrollmentLimitText],
    ['enrollment_token_spent', 'Spent'],
    ['hardware_id_placeholder', 'Placeholder'],
    ['storage_unavailable', 'Disk'],
  ])('keeps its code: %s', async (code, title) => {
    broker.interruptNext((response) => sendJson(response, 409, problem(code, title)));
    expect(await run()).toEqual({ ok: false, reason: code, detail: title });
    expect(existsSync(join(stateDirectory, 'enrollment.json'))).toBe(false);
  });

  it('names the field', async () => {
    const body = { ...problem('field_invalid', 'Invalid'), detail: 'is bad', field: 'hardware_id' };
    broker.interruptNext((response) => sendJson(response, 400, body));
    expect(await run()).toMatchObject({ detail: 'Invalid: is bad (hardware_id)' });
  });

  it('with a code of a later version is told as it is', async () => {
    broker.interruptNext((response) =>
      sendJson(response, 409, problem('from_the_future', 'Later')),
    );
    expect(await run()).toEqual({
      ok: false,
      reason: 'broker_answer_malformed',
      detail: 'the broker refused with "from_the_future": Later',
    });
  });
});

it('keeps nothing of an answer that is refused', async () => {
  answerNext((answer) => ({ ...answer, device_id: 'another-device-00' }));
  expect(await run()).toMatchObject({ ok: false, reason: 'broker_answer_malformed' });
  const rootSha256 = createHash('sha256').update('another root').digest('base64url');
  expect(await run({ rootSha256 })).toMatchObject({ ok: false, reason: 'broker_root_mismatch' });
  expect(storedFiles()).toEqual(['device-key.json', 'pending-enrollment.json', 'wrapping.key']);
});

describe('nothing is sent', () => {
  it('without a token', async () => {
    const refused = { ok: false, reason: 'usage_invalid', detail: 'no token' } as const;
    expect(await run({ readEnrollmentToken: async () => refused })).toEqual(refused);
    expect(broker.calls).toEqual([]);
  });

  it('in the name of a user with a token, which names its own', async () => {
    expect(await run({ user: 'ada' })).toMatchObject({ ok: false, reason: 'usage_invalid' });
    expect(broker.calls).toEqual([]);
  });

  it('when the state folder cannot be used', async () => {
    writeFileSync(stateDirectory, 'a file');
    expect(await run()).toMatchObject({ ok: false, reason: 'state_unwritable' });
    expect(broker.calls).toEqual([]);
  });
});
