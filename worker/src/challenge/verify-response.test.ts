import { packEvidence, type VerificationCode } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import { FakeDevice, type ResponseChanges } from '@countersign/testkit/fake-device';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecdhKeys, ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf, tokenKeyOf } from '../testing/token-keys.ts';
import type { SigningKeys, TokenKey } from '../token/token-key.ts';
import { hashTransaction, issueChallenge } from './issue-challenge.ts';
import { openChallenge } from './open-challenge.ts';
import { PresentedCertificates } from './presented-certificate.ts';
import { verifyEvidence } from './verify-evidence.ts';
import { verifyResponse } from './verify-response.ts';

const nowMs = 1_800_000_000_000;
const origin = 'https://sso.example.com';
const deviceId = 'AAAAAAAAAAAAAAAAAAAAAA';
const transaction = 'A'.repeat(43);

let organization: FakeOrganization;
let device: FakeDevice;
let challengeKeys: SigningKeys;
let responseKey: TokenKey;
let otherResponseKey: { readonly kid: string; readonly jwk: JsonWebKey };
let challenge: string;
let claims: ChallengeClaims;

const expectedChallenge = () => ({
  brokerUrl: organization.brokerUrl,
  organizationId: organization.organizationId,
  clientId: 'sso',
  transactionHash: hashTransaction(transaction),
  keys: challengeKeys.accepted,
});

const issueFor = (clientId: string, transactionText = transaction) =>
  issueChallenge(
    {
      brokerUrl: organization.brokerUrl,
      organizationId: organization.organizationId,
      challengeKeys,
      responseKeys: [responseKey],
    },
    { clientId, transaction: transactionText, origins: [origin, 'https://other.example.com'] },
    nowMs,
  );

beforeAll(async () => {
  organization = await FakeOrganization.create();
  device = await FakeDevice.create();
  device.certificate = await organization.issueCertificate(device.publicKey.spki, deviceId);
  challengeKeys = await signingKeysOf(await ecdsaKeys());
  responseKey = await tokenKeyOf(await ecdhKeys());
  const other = await tokenKeyOf(await ecdhKeys());
  otherResponseKey = { kid: other.kid, jwk: other.publicJwk };
  challenge = await issueFor('sso');
  const opened = await openChallenge(challenge, expectedChallenge());
  if (!opened.ok) throw new Error(opened.reason);
  claims = opened.claims;
});

const verify = (response: string) =>
  verifyResponse(response, claims, [responseKey], new PresentedCertificates());
const reasonOf = async (response: string) => {
  const verified = await verify(response);
  return verified.ok ? 'ok' : verified.reason;
};

describe('verifyResponse', () => {
  it.each(['ec-p256', 'ec-p384', 'rsa-2048'] as const)(
    'takes an %s device at its word',
    async (kind) => {
      const own = await FakeDevice.create(undefined, kind);
      own.certificate = await organization.issueCertificate(own.publicKey.spki, deviceId);
      const verified = await verify(await own.respond(challenge, origin));
      if (!verified.ok) throw new Error(verified.reason);
      const { presented, claims: said } = verified.response;
      expect(presented.claimedDeviceId).toBe(deviceId);
      expect(presented.sha256).toEqual(
        new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(own.certificate))),
      );
      expect(said).toMatchObject({ aud: claims.iss, challenge_id: claims.jti, origin });
    },
  );

  it('records the time of the device and judges it never', async () => {
    for (const iat of [0, 4_000_000_000]) {
      expect(await reasonOf(await device.respond(challenge, origin, { claims: { iat } }))).toBe(
        'ok',
      );
    }
  });

  type Row = readonly [
    reason: VerificationCode,
    what: string,
    change: () => ResponseChanges | Promise<ResponseChanges>,
  ];
  const rows: readonly Row[] = [
    ['response_undecryptable', 'another recipient', () => ({ encryption: otherResponseKey })],
    [
      'response_undecryptable',
      'another recipient under our key id',
      () => ({ encryption: { ...otherResponseKey, kid: responseKey.kid } }),
    ],
    ['response_undecryptable', 'no encryption', () => ({ unencrypted: true })],
    ['response_malformed', 'another type', () => ({ header: { typ: 'challenge+jwt' } })],
    ['response_malformed', 'no certificate', () => ({ header: { x5c: undefined } })],
    ['response_malformed', 'an empty chain', () => ({ header: { x5c: [] } })],
    ['response_malformed', 'two certificates', () => ({ header: { x5c: ['AAAA', 'AAAA'] } })],
    ['response_malformed', 'a certificate in base64url', () => ({ header: { x5c: ['A-_A'] } })],
    ['response_malformed', 'a certificate that is no text', () => ({ header: { x5c: [7] } })],
    ['response_malformed', 'a key of its own', () => ({ header: { jwk: { kty: 'EC' } } })],
    ['response_malformed', 'a key id', () => ({ header: { kid: 'x' } })],
    ['certificate_malformed', 'no DER', () => ({ header: { x5c: ['AAAA'] } })],
    [
      'certificate_malformed',
      'trailing bytes',
      () => ({ certificate: new Uint8Array([...(device.certificate ?? []), 0]) }),
    ],
    [
      'certificate_malformed',
      'a certificate that names no device',
      () => ({ certificate: organization.issuer.certificate.der }),
    ],
    [
      'response_signature_invalid',
      'a signature by another key',
      async () => ({ signWith: (await ecdsaKeys()).privateKey }),
    ],
    [
      'response_signature_invalid',
      'the certificate of another device',
      async () => {
        const other = await FakeDevice.create();
        return { certificate: await organization.issueCertificate(other.publicKey.spki, deviceId) };
      },
    ],
    ['response_malformed', 'no challenge id', () => ({ claims: { challenge_id: undefined } })],
    ['response_malformed', 'a time as text', () => ({ claims: { iat: 'now' } })],
    ['response_malformed', 'a time that is huge', () => ({ claims: { iat: 1e300 } })],
    [
      'response_malformed',
      'an unknown key protection',
      () => ({ claims: { key_protection: 'best' } }),
    ],
    ['response_malformed', 'an origin with a path', () => ({ claims: { origin: `${origin}/` } })],
    ['response_malformed', 'the origin null', () => ({ claims: { origin: 'null' } })],
    ['response_malformed', 'no posture', () => ({ claims: { posture: undefined } })],
    [
      'response_malformed',
      'a screen that locks in words',
      () => ({ claims: { posture: { platform: 'linux', os_version: '', screen_lock: 'yes' } } }),
    ],
    [
      'response_wrong_challenge',
      'another challenge',
      () => ({ claims: { challenge_id: 'BBBBBBBBBBBBBBBBBBBBBA' } }),
    ],
    [
      'response_wrong_audience',
      'another broker',
      () => ({ claims: { aud: 'https://other.example.com' } }),
    ],
    [
      'response_wrong_origin',
      'an origin that is not in the challenge',
      () => ({ claims: { origin: 'https://evil.example.com' } }),
    ],
    ['response_wrong_origin', 'another port', () => ({ claims: { origin: `${origin}:8443` } })],
  ];
  it.each(rows)('gives %s for %s', async (reason, _what, change) => {
    expect(await reasonOf(await device.respond(challenge, origin, await change()))).toBe(reason);
  });

  it('refuses a response that is too long before it looks into it', async () => {
    const long = await device.respond(challenge, origin, {
      claims: { posture: 'x'.repeat(16_000) },
    });
    expect(await reasonOf(long)).toBe('response_malformed');
  });

  it('refuses an algorithm that does not follow from the key', async () => {
    const rsa = await FakeDevice.create(undefined, 'rsa-2048');
    const certificate = await organization.issueCertificate(rsa.publicKey.spki, deviceId);
    // A P-256 device's honest signature, beside an RSA certificate.
    expect(await reasonOf(await device.respond(challenge, origin, { certificate }))).toBe(
      'response_malformed',
    );
  });

  it('judges challenge before audience before origin', async () => {
    const wrong = {
      challenge_id: 'BBBBBBBBBBBBBBBBBBBBBA',
      aud: 'https://x.example',
      origin: 'https://x.example',
    };
    const respond = (changed: object) => device.respond(challenge, origin, { claims: changed });
    expect(await reasonOf(await respond(wrong))).toBe('response_wrong_challenge');
    const { challenge_id: _, ...rest } = wrong;
    expect(await reasonOf(await respond(rest))).toBe('response_wrong_audience');
  });

  it('has a row for every reason that it can give', () => {
    expect(new Set(rows.map(([reason]) => reason))).toEqual(
      new Set<VerificationCode>([
        'response_undecryptable',
        'response_malformed',
        'response_signature_invalid',
        'response_wrong_challenge',
        'response_wrong_audience',
        'response_wrong_origin',
        'certificate_malformed',
      ]),
    );
  });
});

describe('verifyEvidence', () => {
  const evidenceOutcome = async (evidence: string | undefined) => {
    const { challenge: opened, evidence: verified } = await verifyEvidence(
      evidence,
      expectedChallenge(),
      {
        responseKeys: [responseKey],
        mtlsEvidenceKeys: challengeKeys.accepted,
        certificates: new PresentedCertificates(),
      },
    );
    return [opened !== undefined, verified.ok ? 'ok' : verified.reason];
  };

  it('verifies challenge and response together', async () => {
    expect(await evidenceOutcome(await device.evidence(challenge, origin))).toEqual([true, 'ok']);
  });

  it('opens no challenge where there is none, or not this one', async () => {
    expect(await evidenceOutcome(undefined)).toEqual([false, 'evidence_missing']);
    expect(await evidenceOutcome('')).toEqual([false, 'evidence_missing']);
    for (const malformed of [
      'x',
      'v2~a~~~',
      'v1~a~b~c',
      'v1~a~b~c~~',
      'v1~ ~~~',
      'v1~a~~~nonsense',
    ]) {
      expect(await evidenceOutcome(malformed)).toEqual([false, 'evidence_malformed']);
    }
    expect(await evidenceOutcome('v1~~~~')).toEqual([false, 'challenge_malformed']);
    const others = await issueFor('other');
    expect(await evidenceOutcome(await device.evidence(others, origin))).toEqual([
      false,
      'challenge_wrong_client',
    ]);
    const elsewhere = await issueFor('sso', 'B'.repeat(43));
    expect(await evidenceOutcome(await device.evidence(elsewhere, origin))).toEqual([
      false,
      'challenge_wrong_transaction',
    ]);
  });

  it('keeps the opened challenge for what fails behind it', async () => {
    const pack = (parts: object) => packEvidence({ unverifiedChallenge: challenge, ...parts });
    expect(await evidenceOutcome(pack({}))).toEqual([true, 'evidence_missing']);
    expect(await evidenceOutcome(pack({ reportedUnavailable: 'host_timeout' }))).toEqual([
      true,
      'host_timeout',
    ]);
    expect(await evidenceOutcome(pack({ unverifiedResponse: 'a.b.c' }))).toEqual([
      true,
      'response_undecryptable',
    ]);
    expect(await evidenceOutcome(pack({ unverifiedMtlsEvidence: 'a.b.c' }))).toEqual([
      true,
      'mtls_evidence_undecryptable',
    ]);
  });

  it('lets no reported code stand in for a response that is there', async () => {
    const unverifiedResponse = await device.respond(challenge, origin);
    const both = packEvidence({
      unverifiedChallenge: challenge,
      unverifiedResponse,
      reportedUnavailable: 'host_timeout',
    });
    expect(await evidenceOutcome(both)).toEqual([true, 'ok']);
    const stale = await issueFor('sso');
    const moved = packEvidence({ unverifiedChallenge: stale, unverifiedResponse });
    expect(await evidenceOutcome(moved)).toEqual([true, 'response_wrong_challenge']);
  });
});

describe('PresentedCertificates', () => {
  const base64 = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64');

  it('reads the same bytes once', async () => {
    const certificates = new PresentedCertificates();
    const text = base64(device.certificate);
    const first = await certificates.read(text);
    expect(await certificates.read(text)).toBe(first);
  });

  it('remembers nothing that is malformed or long', async () => {
    const certificates = new PresentedCertificates();
    expect(await certificates.read('AAAA')).toBeUndefined();
    expect(await certificates.read('')).toBeUndefined();
    // White space that base64 readers skip makes any text long.
    const long = base64(device.certificate) + '\n'.repeat(8192);
    const first = await certificates.read(long);
    expect(first?.claimedDeviceId).toBe(deviceId);
    expect(await certificates.read(long)).not.toBe(first);
  });

  it('forgets the oldest when it is full', async () => {
    const certificates = new PresentedCertificates();
    const text = base64(device.certificate);
    const first = await certificates.read(text);
    for (let spaces = 1; spaces <= 4095; spaces++) {
      await certificates.read(
        `${text.slice(0, 100)}${' '.repeat(spaces % 60)}${text.slice(100)}${'\n'.repeat(Math.floor(spaces / 60))}`,
      );
    }
    expect(await certificates.read(text)).toBe(first);
    await certificates.read(`${text} \t`);
    expect(await certificates.read(text)).not.toBe(first);
  });
});
