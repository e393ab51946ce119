import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EnrollmentAuthority } from '@countersign/protocol/enrollment';
import {
  type FakeEnrollmentBroker,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fail, type Result, succeed } from '../result.ts';
import { type EnrollReason, enroll } from './enroll.ts';
import type { SigningRequest } from './make-signing-request.ts';

const attested: EnrollmentAuthority = {
  type: 'hardware_attested',
  attestation: 'a..b.c.d',
  secret: 'A'.repeat(43),
  key_public: 'AA',
  certify_info: 'AA',
  certify_signature: 'AA',
};
const token = 'B'.repeat(43);
const secret = `cses_int_${'C'.repeat(22)}_${randomBytes(32).toString('base64url')}`;

let top: string;
let broker: FakeEnrollmentBroker;
let asked: { readonly request: SigningRequest; readonly proof: string | undefined }[];
beforeEach(async () => {
  top = mkdtempSync(join(tmpdir(), 'countersign-attest-'));
  broker = await startFakeEnrollmentBroker();
  asked = [];
});
afterEach(async () => {
  await broker.stop();
  rmSync(top, { recursive: true });
});

function run(
  enrollmentToken: string,
  answer: Result<EnrollmentAuthority, EnrollReason> = succeed(attested),
  steps: string[] = [],
) {
  return enroll({
    brokerUrl: broker.url,
    hardwareId: { serial_number: 'ABC1234' },
    stateDirectory: join(top, 'state'),
    readEnrollmentToken: async () => succeed(enrollmentToken),
    attest: async (request, proof) => {
      asked.push({ request, proof });
      return answer;
    },
    nowSeconds: Math.floor(Date.now() / 1000),
    timeoutMs: 2000,
    onStep: (step) => steps.push(step),
  });
}

const sent = () => broker.calls.map(({ body }) => JSON.parse(body));

it('a TPM permits the enrollment of the very request that is sent', async () => {
  const steps: string[] = [];
  expect(await run('', succeed(attested), steps)).toMatchObject({ ok: true });
  expect(steps).toEqual(['key', 'attestation', 'request', 'certificate', 'key_set']);
  const [request] = sent();
  expect(request.authority).toEqual(attested);
  const csr = Buffer.from(request.csr, 'base64url');
  expect(asked.map(({ proof }) => proof)).toEqual([undefined]);
  expect(csr.equals(asked[0]?.request.csr ?? Buffer.alloc(0))).toBe(true);
});

it('with the organization secret beside it, a proof goes with it, and the secret does not', async () => {
  expect(await run(secret)).toMatchObject({ ok: true });
  expect(asked[0]?.proof).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  expect(JSON.stringify(sent())).not.toContain(secret.slice(-43));
});

it('a one-time token goes before it: an administrator gave it for this device', async () => {
  expect(await run(token)).toMatchObject({ ok: true });
  expect(asked).toEqual([]);
  expect(sent()[0].authority).toEqual({ type: 'one_time_token', token });
});

it('where the TPM fails nothing is sent, and the next attempt goes on with the same request', async () => {
  const failed = fail('keystore_tpm_locked', 'locked');
  expect(await run('', failed)).toEqual(failed);
  expect(broker.calls).toEqual([]);
  expect(existsSync(join(top, 'state', 'enrollment.json'))).toBe(false);
  expect(await run('')).toMatchObject({ ok: true });
  const [first, second] = asked.map(({ request }) => Buffer.from(request.csr));
  expect(second?.equals(first ?? Buffer.alloc(0))).toBe(true);
});
