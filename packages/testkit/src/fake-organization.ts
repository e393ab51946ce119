import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  type ChallengeClaims,
  challengeClaims,
  challengeTyp,
} from '@countersign/protocol/challenge';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import { type KeySetClaims, keySetClaims, keySetTyp } from '@countersign/protocol/key-set';
import {
  buildIssuingCaToBeSigned,
  buildKeySetSignerToBeSigned,
  createLeafTemplate,
  identifyPublicKey,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import {
  CompactSign,
  compactDecrypt,
  compactVerify,
  decodeProtectedHeader,
  importX509,
} from 'jose';
import {
  type Authority,
  expectOk,
  issueUnder,
  type MadeCertificate,
  makeAuthorities,
  makeCertificate,
  makeTestKey,
  type TestKey,
} from './fake-authorities.ts';

const dayMs = 86_400_000;
const encoder = new TextEncoder();

/** What a test may want different from an honest token. `undefined` takes a member away. */
export type TokenChanges = {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Signs instead of the right key. */
  readonly signWith?: KeyObject;
};

/**
 * Everything that a broker signs for devices, without a broker: authorities, device certificates, key sets and
 * challenges with real keys and signatures; and the broker's end of the encryption.
 */
export class FakeOrganization {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly root: Authority;
  /** Issues device certificates. */
  issuer: Authority;
  readonly responseKey: TestKey;
  keySetSigner: MadeCertificate;
  /** Signs challenges. */
  challengeKey: TestKey;
  /** Those that the key set names beside it: the one that comes, or the one that goes. */
  otherChallengeKeys: readonly TestKey[] = [];
  /** Of the key set, for receipts; of a set from before them there are none. */
  auditKeys: readonly TestKey[] = [];
  keySetVersion = 1;

  readonly #createdAtMs: number;

  private constructor(
    brokerUrl: string,
    createdAtMs: number,
    authorities: Awaited<ReturnType<typeof makeAuthorities>>,
  ) {
    this.brokerUrl = brokerUrl;
    this.#createdAtMs = createdAtMs;
    this.organizationId = `org_${randomBytes(16).toString('base64url')}`;
    this.root = authorities.root;
    this.issuer = authorities.issuer;
    this.keySetSigner = authorities.keySetSigner;
    this.challengeKey = makeTestKey();
    this.responseKey = makeTestKey();
  }

  static async create(
    brokerUrl = 'https://broker.example.com',
    nowMs = Date.now(),
  ): Promise<FakeOrganization> {
    return new FakeOrganization(brokerUrl, nowMs, await makeAuthorities(nowMs));
  }

  /** A device certificate, DER. */
  async issueCertificate(
    spki: Uint8Array,
    deviceId: string,
    validity: { readonly notBeforeMs?: number; readonly notAfterMs?: number } = {},
  ): Promise<Uint8Array> {
    const template = expectOk(createLeafTemplate(this.issuer.certificate));
    const subjectPublicKey = await identifyPublicKey(expectOk(parseSubjectPublicKeyInfo(spki)));
    return issueUnder(this.issuer, (serialNumber) =>
      template({
        serialNumber,
        commonName: 'Countersign device',
        deviceId,
        subjectPublicKey,
        notBeforeMs: validity.notBeforeMs ?? this.#createdAtMs - 3_600_000,
        notAfterMs: validity.notAfterMs ?? this.#createdAtMs + 365 * dayMs,
      }),
    );
  }

  /** The answer to an enrollment of this key. */
  async enrollmentAnswer(spki: Uint8Array, deviceId: string): Promise<EnrollmentAnswer> {
    return {
      certificate: base64url(await this.issueCertificate(spki, deviceId)),
      issuer_certificate: base64url(this.issuer.certificate.der),
      root_certificate: base64url(this.root.certificate.der),
      device_id: deviceId,
      organization_id: this.organizationId,
      broker_url: this.brokerUrl,
      key_set: await this.signKeySet(),
      renew_after: new Date(this.#createdAtMs + 335 * 86_400_000).toISOString(),
    };
  }

  signKeySet(changes: TokenChanges = {}): Promise<string> {
    const { auditKeys } = this;
    const claims: KeySetClaims = {
      iss: this.brokerUrl,
      aud: this.organizationId,
      version: this.keySetVersion,
      iat: Math.floor(this.#createdAtMs / 1000),
      keys: [this.challengeKey, ...this.otherChallengeKeys].map(({ publicJwk, kid }) => ({
        ...publicJwk,
        kid,
        alg: 'ES256',
        use: 'sig',
        purpose: 'challenge',
      })),
      ...(auditKeys.length === 0
        ? {}
        : {
            audit_keys: auditKeys.map(({ publicJwk, kid }) => ({
              ...publicJwk,
              kid,
              alg: 'ES256' as const,
              use: 'sig' as const,
              purpose: 'audit' as const,
            })),
          }),
    };
    const header = {
      alg: 'ES256',
      typ: keySetTyp,
      x5c: [Buffer.from(this.keySetSigner.certificate.der).toString('base64')],
    };
    return signToken(header, keySetClaims.parse(claims), this.keySetSigner.privateKey, changes);
  }

  /** From now on challenges are signed with another key, which a newer key set names. */
  rotateChallengeKey(): void {
    this.challengeKey = makeTestKey();
    this.keySetVersion += 1;
  }

  /** From now on certificates are issued by another authority with the same name, under the same root. */
  async rollIssuer(nowMs: number): Promise<void> {
    const { certificate } = this.root;
    this.issuer = await makeCertificate(
      'Test Issuer',
      nowMs,
      (fields) => buildIssuingCaToBeSigned(fields, certificate),
      this.root,
    );
  }

  /** From now on key sets are signed with another key, under the same root. */
  async renewKeySetSigner(nowMs: number, notAfterMs?: number): Promise<void> {
    const { certificate } = this.root;
    this.keySetSigner = await makeCertificate(
      'Test Key Set Signer',
      nowMs,
      (fields) => buildKeySetSignerToBeSigned(fields, certificate),
      this.root,
      notAfterMs,
    );
    this.keySetVersion += 1;
  }

  signChallenge(origin: string, nowSeconds: number, changes: TokenChanges = {}): Promise<string> {
    const claims: ChallengeClaims = {
      iss: this.brokerUrl,
      aud: this.organizationId,
      jti: randomBytes(16).toString('base64url'),
      iat: nowSeconds,
      exp: nowSeconds + 60,
      client_id: 'client',
      transaction_hash: createHash('sha256').update(randomBytes(32)).digest('base64url'),
      origins: [origin],
      response_encryption: { kid: this.responseKey.kid, jwk: this.responseKey.publicJwk },
    };
    const header = { alg: 'ES256', typ: challengeTyp, kid: this.challengeKey.kid };
    return signToken(header, challengeClaims.parse(claims), this.challengeKey.privateKey, changes);
  }

  /** Decrypts and verifies a device's answer with jose, by the certificate that came in it. */
  async openResponse(unverifiedResponse: string) {
    const decrypted = await compactDecrypt(unverifiedResponse, this.responseKey.privateKey);
    const jws = new TextDecoder().decode(decrypted.plaintext);
    const { x5c, alg } = decodeProtectedHeader(jws);
    const pem = `-----BEGIN CERTIFICATE-----\n${x5c?.[0]}\n-----END CERTIFICATE-----`;
    const verified = await compactVerify(jws, await importX509(pem, alg ?? ''));
    const claims: unknown = JSON.parse(new TextDecoder().decode(verified.payload));
    return {
      encryptionHeader: decrypted.protectedHeader,
      header: verified.protectedHeader,
      certificate: Buffer.from(x5c?.[0] ?? '', 'base64'),
      claims,
    };
  }
}

/** Signs with jose. A change that jose would refuse to make needs `signRawToken`. */
function signToken(
  header: Readonly<Record<string, unknown>>,
  claims: object,
  key: KeyObject,
  changes: TokenChanges,
): Promise<string> {
  return new CompactSign(encoder.encode(JSON.stringify({ ...claims, ...changes.claims })))
    .setProtectedHeader({ alg: 'ES256', ...header, ...changes.header })
    .sign(changes.signWith ?? key);
}

/** ES256 over exactly this text, so that a test can sign what no library would. */
export function signRawToken(headerText: string, claimsText: string, key: KeyObject): string {
  const input = [headerText, claimsText].map((text) => base64url(encoder.encode(text))).join('.');
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${base64url(signature)}`;
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
