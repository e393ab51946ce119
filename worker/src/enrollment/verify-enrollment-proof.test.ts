import { FakeDevice } from '@countersign/testkit/fake-device';
import {
  makeOrganizationSecret,
  type OrganizationSecret,
  type ProofChanges,
  proveEnrollment,
} from '@countersign/testkit/organization-secret';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyEnrollmentProof } from './verify-enrollment-proof.ts';

const nowMs = 1_800_000_000_000;
const brokerUrl = 'https://broker.example.com';
const hardwareId = { serial_number: 'ABC1234' };

let secret: OrganizationSecret;
let csr: Uint8Array;

beforeAll(async () => {
  secret = makeOrganizationSecret();
  csr = (await FakeDevice.create(hardwareId)).csr;
});

const prove = (changes: ProofChanges = {}, by = secret) =>
  proveEnrollment(by, { brokerUrl, hardwareId, csr, nowMs }, changes);

const verify = (
  proof: string,
  changes: Partial<Parameters<typeof verifyEnrollmentProof>[1]> = {},
) =>
  verifyEnrollmentProof(proof, {
    brokerUrl,
    hardwareId,
    csr,
    user: undefined,
    nowMs,
    findSecretKey: (id) => (id === secret.integrationId ? secret.publicJwk : undefined),
    ...changes,
  });

describe('a proof of the organization secret', () => {
  it('names the integration whose secret signed it', async () => {
    expect(await verify(await prove())).toEqual({ ok: true, integrationId: secret.integrationId });
  });

  it('may come again: it is about one key of one device', async () => {
    const proof = await prove();
    await verify(proof);
    expect(await verify(proof)).toMatchObject({ ok: true });
  });

  it('is refused under a secret that was reset meanwhile', async () => {
    const old = makeOrganizationSecret(secret.integrationId);
    expect(await verify(await prove({}, old))).toMatchObject({
      code: 'enrollment_proof_invalid',
      field: 'authority.proof',
    });
  });

  it('is refused for an integration that is not there', async () => {
    const foreign = makeOrganizationSecret();
    expect(await verify(await prove({}, foreign))).toMatchObject({
      code: 'enrollment_secret_unknown',
    });
  });

  const skews: ReadonlyArray<readonly [string, number, string]> = [
    ['ten minutes behind', -600, 'good'],
    ['ten minutes ahead', 600, 'good'],
    ['further behind', -601, 'enrollment_clock_skew'],
    ['further ahead', 601, 'enrollment_clock_skew'],
  ];
  it.each(skews)('of a clock %s', async (_name, seconds, expected) => {
    const result = await verify(await prove({ claims: { iat: nowMs / 1000 + seconds } }));
    expect(result.ok ? 'good' : result.code).toBe(expected);
  });

  const wrong: ReadonlyArray<readonly [string, ProofChanges]> = [
    ['another audience', { claims: { aud: 'https://other.example.com' } }],
    ['another device', { claims: { hardware_id: { serial_number: 'XYZ9999' } } }],
    ['the device in another spelling', { claims: { hardware_id: { serial_number: 'abc1234' } } }],
    [
      'one more fact',
      { claims: { hardware_id: { ...hardwareId, hardware_uuid: 'A'.repeat(32) } } },
    ],
    ['another key', { claims: { csr_sha256: 'A'.repeat(43) } }],
    ['a user whom the request does not name', { claims: { user: 'mallory' } }],
    ['no time', { claims: { iat: undefined } }],
    ['no id', { claims: { jti: undefined } }],
    ['the typ of another token', { header: { typ: 'renewal-request+jwt' } }],
    ['a key in its header', { header: { jwk: { kty: 'EC' } } }],
    ['an address of its own key', { header: { jku: 'https://evil.example' } }],
  ];
  it.each(wrong)('is refused with %s', async (_name, changes) => {
    expect(await verify(await prove(changes))).toMatchObject({ code: 'enrollment_proof_invalid' });
  });

  it('is refused where the request names a user and the proof does not', async () => {
    expect(await verify(await prove(), { user: 'ada' })).toMatchObject({
      code: 'enrollment_proof_invalid',
    });
  });

  it('is refused when one byte of any part is another', async () => {
    const parts = (await prove()).split('.');
    for (const index of [0, 1, 2]) {
      const changed = parts.map((part, at) =>
        at === index
          ? `${part.slice(0, 10)}${part[10] === 'A' ? 'B' : 'A'}${part.slice(11)}`
          : part,
      );
      expect((await verify(changed.join('.'))).ok).toBe(false);
    }
  });

  it.each(['', 'a.b', 'a.b.c', '....'])('is refused when it is %j', async (text) => {
    expect(await verify(text)).toMatchObject({ code: 'enrollment_proof_invalid' });
  });
});
