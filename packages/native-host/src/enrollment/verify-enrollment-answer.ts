import { createHash } from 'node:crypto';
import { decodeBase64url } from '@countersign/protocol';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import { parseFields } from '@countersign/protocol/schemas';
import {
  type ParsedCertificate,
  parseCertificate,
  readDeviceUri,
  verifyCertificateSignature,
  verifyIssuedBy,
} from '@countersign/x509';
import { parseBrokerUrl } from '../http/broker-url.ts';
import { verifyKeySet } from '../key-set/verify-key-set.ts';
import { fail, type Result, succeed } from '../result.ts';
import type { Enrollment } from './enrollment-record.ts';

export type AnswerReason =
  | 'broker_answer_malformed'
  | 'broker_root_mismatch'
  | 'clock_skew'
  | 'key_set_invalid';

export type AnswerExpectations = {
  /** The key that the certificate was asked for: SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly requestedUrl: string;
  /** base64url SHA-256 of the root (DER), when the configuration pins it. */
  readonly rootSha256?: string;
  readonly nowSeconds: number;
};

export type VerifiedAnswer = { readonly enrollment: Enrollment; readonly keySet: string };

/**
 * Verifies what the broker answered before any of it is kept. In order: form; the root is the pinned one, and a root;
 * the issuer is under the root, the device's certificate under the issuer, all valid; the certificate is for this
 * device's key and names the device id of the answer; the key set stands under the root.
 */
export async function verifyEnrollmentAnswer(
  unverifiedAnswer: unknown,
  expected: AnswerExpectations,
): Promise<Result<VerifiedAnswer, AnswerReason>> {
  const malformed = (detail: string) =>
    fail('broker_answer_malformed', `the broker's answer: ${detail}`);
  const answer = parseFields(enrollmentAnswer, unverifiedAnswer);
  if (!answer.ok) return malformed(`${answer.field} ${answer.detail}`);
  const { value } = answer;
  const renewAfterSeconds = Math.floor(Date.parse(value.renew_after) / 1000);
  if (!Number.isSafeInteger(renewAfterSeconds)) return malformed('renew_after must be RFC 3339');
  const brokerUrl = parseBrokerUrl(value.broker_url);
  if (!brokerUrl.ok) return malformed(`broker_url ${brokerUrl.detail}`);
  if (brokerUrl.value !== value.broker_url) return malformed('broker_url must end after the host');
  const certificates = readCertificates(value);
  if (!certificates.ok) return malformed(certificates.detail);
  const { leaf, issuer, root } = certificates.value;

  const rootSha256 = createHash('sha256').update(root.der).digest('base64url');
  if (expected.rootSha256 !== undefined && expected.rootSha256 !== rootSha256) {
    return fail('broker_root_mismatch', `root_sha256 of the broker is ${rootSha256}`);
  }
  const chain = await verifyChain(leaf, issuer, root, expected.nowSeconds);
  if (!chain.ok) return chain;
  if (!Buffer.from(expected.spki).equals(leaf.subjectPublicKey.spki)) {
    return malformed("certificate is not for this device's key");
  }
  const deviceId = readDeviceUri(leaf);
  if (!deviceId.ok || deviceId.value !== value.device_id) {
    return malformed('certificate does not name device_id');
  }
  const keySet = verifyKeySet(value.key_set, {
    rootCertificate: root.der,
    organizationId: value.organization_id,
    brokerUrl: value.broker_url,
    lowestVersion: 1,
    signerValidAtSeconds: expected.nowSeconds,
  });
  if (!keySet.ok) return keySet;
  return succeed({
    enrollment: {
      brokerUrl: value.broker_url,
      requestedUrl: expected.requestedUrl,
      organizationId: value.organization_id,
      deviceId: value.device_id,
      leafCertificate: leaf.der,
      issuerCertificate: issuer.der,
      rootCertificate: root.der,
      keySetVersion: keySet.value.version,
      renewAfterSeconds,
    },
    keySet: value.key_set,
  });
}

type CertificateField = 'certificate' | 'issuer_certificate' | 'root_certificate';
type Certificates = Readonly<Record<'leaf' | 'issuer' | 'root', ParsedCertificate>>;

function readCertificates(
  answer: Readonly<Record<CertificateField, string>>,
): Result<Certificates, 'malformed'> {
  const read = (field: CertificateField) => {
    const der = decodeBase64url(answer[field]);
    if (der === undefined) return fail('malformed', `${field} must be base64url`);
    const parsed = parseCertificate(der);
    return parsed.ok ? parsed : fail('malformed', `${field}: ${parsed.detail}`);
  };
  const leaf = read('certificate');
  if (!leaf.ok) return leaf;
  const issuer = read('issuer_certificate');
  if (!issuer.ok) return issuer;
  const root = read('root_certificate');
  if (!root.ok) return root;
  return succeed({ leaf: leaf.value, issuer: issuer.value, root: root.value });
}

async function verifyChain(
  leaf: ParsedCertificate,
  issuer: ParsedCertificate,
  root: ParsedCertificate,
  nowSeconds: number,
): Promise<Result<undefined, 'broker_answer_malformed' | 'clock_skew'>> {
  // The certificate is minutes old. A clock that is off by as much as sign-ins allow reads as the nearest valid moment.
  const nowMs = nowSeconds * 1000;
  const nearestMs = Math.min(Math.max(nowMs, leaf.notBeforeMs), leaf.notAfterMs);
  if (!(Math.abs(nowMs - nearestMs) <= maxClockSkewSeconds * 1000)) {
    const [from, to] = [leaf.notBeforeMs, leaf.notAfterMs].map((ms) => new Date(ms).toISOString());
    return fail('clock_skew', `the certificate is valid from ${from} to ${to}`);
  }
  const checks = [
    await verifyCertificateSignature(root, root.subjectPublicKey),
    await verifyIssuedBy(issuer, root, 'issuing-ca', nearestMs),
    await verifyIssuedBy(leaf, issuer, 'device', nearestMs),
  ] as const;
  const names = ['root_certificate', 'issuer_certificate', 'certificate'] as const;
  for (const [index, check] of checks.entries()) {
    if (check.ok) continue;
    return fail('broker_answer_malformed', `the broker's answer: ${names[index]}: ${check.detail}`);
  }
  return succeed(undefined);
}
