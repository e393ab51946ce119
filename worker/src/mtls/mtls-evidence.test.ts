import type { ChallengeClaims } from '@countersign/protocol/challenge';
import { mtlsEvidenceClaims } from '@countersign/protocol/mtls-evidence';
import { compactDecrypt, compactVerify } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecdhKeys, ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf, tokenKeyOf } from '../testing/token-keys.ts';
import { encryptForBroker } from '../token/encrypt-for-broker.ts';
import { issueMtlsEvidence, type MtlsEvidenceIssuer } from './issue-mtls-evidence.ts';
import { verifyMtlsEvidence } from './verify-mtls-evidence.ts';

const nowMs = Date.parse('2026-11-01T12:00:00.700Z');
const origin = 'https://sso.example.com';
const certificate = { deviceId: 'D'.repeat(43), sha256: 'S'.repeat(42).concat('A') };

let signingPair: CryptoKeyPair;
let encryptionPair: CryptoKeyPair;
let issuer: MtlsEvidenceIssuer;
let challenge: ChallengeClaims;

beforeAll(async () => {
  signingPair = await ecdsaKeys();
  encryptionPair = await ecdhKeys();
  const responseKey = await tokenKeyOf(encryptionPair);
  issuer = {
    brokerUrl: 'https://broker.example.com',
    organizationId: 'org_1',
    mtlsEvidenceKeys: await signingKeysOf(signingPair),
    responseKeys: [responseKey, await tokenKeyOf(await ecdhKeys())],
  };
  challenge = {
    iss: issuer.brokerUrl,
    aud: issuer.organizationId,
    jti: 'A'.repeat(22),
    iat: Math.floor(nowMs / 1000) - 10,
    exp: Math.floor(nowMs / 1000) + 50,
    client_id: 'sso',
    transaction_hash: 'A'.repeat(43),
    origins: [origin],
    response_encryption: { kid: responseKey.kid, jwk: responseKey.publicJwk },
  };
});

const issue = () => issueMtlsEvidence(issuer, challenge, origin, certificate, nowMs);
const keys = () => ({
  responseKeys: issuer.responseKeys,
  mtlsEvidenceKeys: issuer.mtlsEvidenceKeys.accepted,
});

describe('mTLS evidence', () => {
  it('is what another implementation of JWE and JWS reads', async () => {
    const { plaintext, protectedHeader } = await compactDecrypt(
      await issue(),
      encryptionPair.privateKey,
    );
    expect(protectedHeader).toMatchObject({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid: issuer.responseKeys[0]?.kid,
    });
    const verified = await compactVerify(plaintext, signingPair.publicKey, {
      algorithms: ['ES256'],
    });
    expect(verified.protectedHeader).toEqual({
      alg: 'ES256',
      typ: 'mtls-evidence+jwt',
      kid: issuer.mtlsEvidenceKeys.active.kid,
    });
    const claims: unknown = JSON.parse(new TextDecoder().decode(verified.payload));
    expect(claims).toEqual({
      iss: challenge.iss,
      aud: challenge.aud,
      challenge_id: challenge.jti,
      origin,
      device_id: certificate.deviceId,
      certificate_sha256: certificate.sha256,
      iat: Math.floor(nowMs / 1000),
      exp: challenge.exp,
    });
    expect(mtlsEvidenceClaims.safeParse(claims).success).toBe(true);
  });

  it('verifies against its own challenge, and no other', async () => {
    const evidence = await issue();
    expect(await verifyMtlsEvidence(evidence, challenge, keys())).toEqual({
      ok: true,
      evidence: {
        claimedDeviceId: certificate.deviceId,
        certificateSha256: new Uint8Array(Buffer.from(certificate.sha256, 'base64url')),
        origin,
        expiresAtMs: challenge.exp * 1000,
      },
    });
    const cases: [Partial<ChallengeClaims>, string][] = [
      [{ jti: 'B'.repeat(22) }, 'mtls_evidence_wrong_challenge'],
      [{ iss: 'https://other.example.com' }, 'mtls_evidence_wrong_audience'],
      [{ aud: 'org_2' }, 'mtls_evidence_wrong_audience'],
      [{ origins: ['https://other.example.com'] }, 'mtls_evidence_wrong_origin'],
    ];
    for (const [changes, reason] of cases) {
      const result = await verifyMtlsEvidence(evidence, { ...challenge, ...changes }, keys());
      expect(result).toEqual({ ok: false, reason });
    }
  });

  it('needs both keys', async () => {
    const evidence = await issue();
    const otherSigner = (await signingKeysOf(await ecdsaKeys())).accepted;
    expect(
      await verifyMtlsEvidence(evidence, challenge, { ...keys(), mtlsEvidenceKeys: otherSigner }),
    ).toEqual({ ok: false, reason: 'mtls_evidence_key_unknown' });
    expect(await verifyMtlsEvidence(evidence, challenge, { ...keys(), responseKeys: [] })).toEqual({
      ok: false,
      reason: 'mtls_evidence_undecryptable',
    });
  });

  it('is encrypted anew each time', async () => {
    const [one, other] = [await issue(), await issue()];
    const [header, , iv] = one.split('.');
    expect(other.split('.')[0]).not.toBe(header);
    expect(other.split('.')[2]).not.toBe(iv);
  });
});

it('encryptForBroker refuses a recipient that is no point of the curve', async () => {
  const [recipient] = issuer.responseKeys;
  if (recipient === undefined) throw new Error('a key');
  const { publicJwk, kid } = recipient;
  const offCurve = { kid, publicJwk: { ...publicJwk, y: publicJwk.x } };
  await expect(encryptForBroker('text', offCurve)).rejects.toThrow();
  const noText = { kid, publicJwk: { ...publicJwk, x: '*' } };
  await expect(encryptForBroker('text', noText)).rejects.toThrow(/base64url/);
});
