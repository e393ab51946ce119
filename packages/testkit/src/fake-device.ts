import { encodeBase64url, packEvidence, type UnavailableCode } from '@countersign/protocol';
import {
  type DeviceResponseClaims,
  deviceResponseTyp,
  responseContentEncryption,
  responseKeyManagement,
} from '@countersign/protocol/device-response';
import {
  type EnrollmentRequest,
  type HardwareId,
  renewalRequestTyp,
} from '@countersign/protocol/enrollment';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
  parseSubjectPublicKeyInfo,
  type SubjectPublicKey,
} from '@countersign/x509';
import { CompactEncrypt, CompactSign, decodeJwt, importJWK } from 'jose';
import * as z from 'zod/mini';

/**
 * A device for tests of the broker: real keys, real signatures, real encryption (by jose, so that the broker's own
 * code is held against another implementation). What is fake: the private key lies in memory instead of a keystore,
 * and it answers whatever it is asked, without the native host's checks.
 */
export type DeviceKeyKind = 'ec-p256' | 'ec-p384' | 'rsa-2048';

const keyParameters = {
  'ec-p256': { name: 'ECDSA', namedCurve: 'P-256' },
  'ec-p384': { name: 'ECDSA', namedCurve: 'P-384' },
  'rsa-2048': {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
} as const;

const challengeParts = z.object({
  iss: z.string(),
  jti: z.string(),
  origins: z.array(z.string()),
  response_encryption: z.object({
    kid: z.string(),
    jwk: z.object({ kty: z.literal('EC'), crv: z.string(), x: z.string(), y: z.string() }),
  }),
});

const encoder = new TextEncoder();

/** What a test may want different from an honest answer. */
export type ResponseChanges = {
  readonly claims?: Partial<Record<keyof DeviceResponseClaims, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly certificate?: Uint8Array;
  readonly signWith?: CryptoKey;
  readonly encryption?: { readonly kid: string; readonly jwk: JsonWebKey };
  readonly unencrypted?: true;
};

export type RenewalChanges = Pick<ResponseChanges, 'header' | 'certificate' | 'signWith'> & {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly nowMs?: number;
};

export class FakeDevice {
  readonly hardwareId: HardwareId;
  readonly publicKey: SubjectPublicKey;
  readonly #keys: CryptoKeyPair;
  readonly #csr: Uint8Array;
  /** Set by `enroll`. */
  certificate: Uint8Array | undefined;
  deviceId: string | undefined;

  private constructor(
    hardwareId: HardwareId,
    keys: CryptoKeyPair,
    publicKey: SubjectPublicKey,
    csr: Uint8Array,
  ) {
    this.hardwareId = hardwareId;
    this.#keys = keys;
    this.publicKey = publicKey;
    this.#csr = csr;
  }

  static async create(
    hardwareId: HardwareId = { serial_number: `TEST${crypto.randomUUID()}` },
    kind: DeviceKeyKind = 'ec-p256',
  ): Promise<FakeDevice> {
    const keys = await generateKeys(kind);
    const spki = await crypto.subtle.exportKey('spki', keys.publicKey);
    if (!(spki instanceof ArrayBuffer)) throw new TypeError('spki is an ArrayBuffer');
    const publicKey = must(parseSubjectPublicKeyInfo(new Uint8Array(spki)));
    const info = must(buildCertificationRequestInfo(publicKey, 'device'));
    const signature = await crypto.subtle.sign(
      signatureParameters(publicKey),
      keys.privateKey,
      info,
    );
    const csr = must(assembleCertificationRequest(info, new Uint8Array(signature), publicKey));
    return new FakeDevice(hardwareId, keys, publicKey, csr);
  }

  /** The same device and key with another certificate, such as the one before a renewal. */
  withCertificate(certificate: Uint8Array | undefined): FakeDevice {
    const other = new FakeDevice(this.hardwareId, this.#keys, this.publicKey, this.#csr);
    other.deviceId = this.deviceId;
    other.certificate = certificate;
    return other;
  }

  get privateKey(): CryptoKey {
    return this.#keys.privateKey;
  }

  /** Body of `POST /v1/enrollments`. The same each time: a retry is the same request. */
  enrollmentRequest(enrollmentToken: string): EnrollmentRequest {
    return {
      authority: { type: 'one_time_token', token: enrollmentToken },
      hardware_id: this.hardwareId,
      csr: encodeBase64url(this.#csr),
    };
  }

  /** PKCS#10, DER; the same each time. */
  get csr(): Uint8Array {
    return this.#csr;
  }

  /** A renewal request as the host signs it; `changes` make it wrong. */
  async renewalRequest(brokerUrl: string, changes: RenewalChanges = {}): Promise<string> {
    const certificate = changes.certificate ?? this.certificate;
    if (certificate === undefined) throw new Error('the device is not enrolled');
    const claims = {
      aud: brokerUrl,
      iat: Math.floor((changes.nowMs ?? Date.now()) / 1000),
      jti: encodeBase64url(crypto.getRandomValues(new Uint8Array(16))),
      ...changes.claims,
    };
    return await new CompactSign(encoder.encode(JSON.stringify(claims)))
      .setProtectedHeader({
        alg: this.publicKey.jwsAlgorithm,
        typ: renewalRequestTyp,
        x5c: [btoa(String.fromCharCode(...certificate))],
        ...changes.header,
      })
      .sign(changes.signWith ?? this.#keys.privateKey);
  }

  /** Signs and encrypts an answer to the challenge, as a page at `origin` would get it. */
  async respond(
    challenge: string,
    origin?: string,
    changes: ResponseChanges = {},
  ): Promise<string> {
    const { iss, jti, origins, response_encryption } = challengeParts.parse(decodeJwt(challenge));
    const claims = {
      aud: iss,
      challenge_id: jti,
      origin: origin ?? origins[0],
      iat: Math.floor(Date.now() / 1000),
      host_version: '0.1.0',
      key_protection: 'file',
      development: false,
      posture: { platform: 'linux', os_version: 'test' },
      ...changes.claims,
    };
    const certificate = changes.certificate ?? this.certificate;
    if (certificate === undefined) throw new Error('the device is not enrolled');
    const jws = await new CompactSign(encoder.encode(JSON.stringify(claims)))
      .setProtectedHeader({
        alg: this.publicKey.jwsAlgorithm,
        typ: deviceResponseTyp,
        x5c: [btoa(String.fromCharCode(...certificate))],
        ...changes.header,
      })
      .sign(changes.signWith ?? this.#keys.privateKey);
    if (changes.unencrypted) return jws;
    const { kid, jwk } = changes.encryption ?? response_encryption;
    return await new CompactEncrypt(encoder.encode(jws))
      .setProtectedHeader({ alg: responseKeyManagement, enc: responseContentEncryption, kid })
      .encrypt(await importJWK({ ...jwk, kty: 'EC' }, responseKeyManagement));
  }

  /** Evidence as `attest()` returns it. */
  async evidence(challenge: string, origin?: string, changes?: ResponseChanges): Promise<string> {
    return packEvidence({
      unverifiedChallenge: challenge,
      unverifiedResponse: await this.respond(challenge, origin, changes),
    });
  }
}

/** Evidence of a browser that could not answer. */
export function evidenceWithoutResponse(
  challenge: string,
  reportedUnavailable?: UnavailableCode,
): string {
  return packEvidence({
    unverifiedChallenge: challenge,
    ...(reportedUnavailable === undefined ? {} : { reportedUnavailable }),
  });
}

async function generateKeys(kind: DeviceKeyKind): Promise<CryptoKeyPair> {
  const keys = await crypto.subtle.generateKey(keyParameters[kind], true, ['sign', 'verify']);
  if (!('privateKey' in keys)) throw new TypeError('a key pair was asked for');
  return keys;
}

function signatureParameters(key: SubjectPublicKey) {
  if (key.kind === 'rsa') return { name: 'RSASSA-PKCS1-v1_5' };
  return { name: 'ECDSA', hash: key.kind === 'ec-p384' ? 'SHA-384' : 'SHA-256' };
}

function must<Value>(
  result: { readonly ok: true; readonly value: Value } | { readonly ok: false; detail: string },
): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}
