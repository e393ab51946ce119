import { join } from 'node:path';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { base64urlBetween, numericDate, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { keyId } from '../keystore/key-id.ts';
import { fail, type Result, succeed } from '../result.ts';
import {
  type PrivateFileReason,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

const certificate = base64urlBetween(1, 16 * 1024);
const maxRecordBytes = 128 * 1024;

const enrollmentFile = z.strictObject({
  version: z.literal(1),
  /** What the broker calls itself: `iss` of its challenges. */
  broker_url: z.url(),
  /** Where the enrollment was sent to, when that is another address of the same broker. */
  requested_url: z.url(),
  organization_id: z.string().check(z.minLength(1), z.maxLength(128)),
  device_id: z.string().check(z.minLength(1), z.maxLength(128)),
  certificate,
  issuer_certificate: certificate,
  root_certificate: certificate,
  /** The highest that was accepted, at the enrollment or since: no older key set will ever be. */
  key_set_version: z.int().check(z.minimum(1)),
  /** Of the key that the certificate is for; left out for a device's first key. */
  key_id: z.optional(keyId),
  /** When the broker wants to be asked for a renewal. */
  renew_after: z.optional(numericDate),
});

/** This device's enrollment. Certificates are DER. */
export type Enrollment = {
  readonly brokerUrl: string;
  readonly requestedUrl: string;
  readonly organizationId: string;
  readonly deviceId: string;
  readonly leafCertificate: Uint8Array;
  readonly issuerCertificate: Uint8Array;
  readonly rootCertificate: Uint8Array;
  readonly keySetVersion: number;
  /** Names the key that the certificate is for, as `KeyStores` does. */
  readonly keyId?: string;
  /** When the broker wants to be asked for a renewal, seconds since 1970. */
  readonly renewAfterSeconds?: number;
};

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, 'enrollment.json');
}

export type EnrollmentReason =
  /** Its content is not an enrollment. */
  | 'enrollment_damaged'
  /** It cannot be read, or others could have changed it. */
  | 'enrollment_unreadable';

/** The enrollment, `undefined` when there is none, or why what is there cannot be used. */
export function readEnrollment(
  stateDirectory: string,
): Result<Enrollment | undefined, EnrollmentReason> {
  const path = pathIn(stateDirectory);
  const damaged = (detail: string) => fail('enrollment_damaged', detail);
  const bytes = readPrivateFile(path, maxRecordBytes);
  if (!bytes.ok) {
    return bytes.reason === 'missing'
      ? succeed(undefined)
      : fail('enrollment_unreadable', bytes.detail);
  }
  const json = parseStrictJsonBytes(bytes.value);
  if (!json.ok) return damaged(`${path} ${json.detail}`);
  const file = parseFields(enrollmentFile, json.value);
  if (!file.ok) return damaged(`${path}: ${file.field} ${file.detail}`);
  const { value } = file;
  const [leafCertificate, issuerCertificate, rootCertificate] = [
    value.certificate,
    value.issuer_certificate,
    value.root_certificate,
  ].map(decodeBase64url);
  if (!leafCertificate || !issuerCertificate || !rootCertificate) {
    return damaged(`${path}: a certificate is not base64url`);
  }
  return succeed({
    brokerUrl: value.broker_url,
    requestedUrl: value.requested_url,
    organizationId: value.organization_id,
    deviceId: value.device_id,
    leafCertificate,
    issuerCertificate,
    rootCertificate,
    keySetVersion: value.key_set_version,
    ...(value.key_id === undefined ? {} : { keyId: value.key_id }),
    ...(value.renew_after === undefined ? {} : { renewAfterSeconds: value.renew_after }),
  });
}

/** From here on the device is enrolled: in one step from the enrollment there was, and its key, to this one. */
export function writeEnrollment(
  stateDirectory: string,
  enrollment: Enrollment,
): Result<undefined, PrivateFileReason> {
  const file: z.infer<typeof enrollmentFile> = {
    version: 1,
    broker_url: enrollment.brokerUrl,
    requested_url: enrollment.requestedUrl,
    organization_id: enrollment.organizationId,
    device_id: enrollment.deviceId,
    certificate: encodeBase64url(enrollment.leafCertificate),
    issuer_certificate: encodeBase64url(enrollment.issuerCertificate),
    root_certificate: encodeBase64url(enrollment.rootCertificate),
    key_set_version: enrollment.keySetVersion,
    ...(enrollment.keyId === undefined ? {} : { key_id: enrollment.keyId }),
    ...(enrollment.renewAfterSeconds === undefined
      ? {}
      : { renew_after: enrollment.renewAfterSeconds }),
  };
  const written = writePrivateFile(
    pathIn(stateDirectory),
    Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`),
  );
  return written.ok ? succeed(undefined) : written;
}

/**
 * Records that a key set of this version was accepted for the enrollment. Written whole or not at all, and only over
 * the very enrollment that the caller read: while it asked the broker, the device may have been enrolled anew.
 */
export function raiseKeySetVersion(
  stateDirectory: string,
  enrollment: Enrollment,
  keySetVersion: number,
): Result<undefined, EnrollmentReason | PrivateFileReason> {
  const current = readEnrollment(stateDirectory);
  if (!current.ok) return current;
  if (current.value === undefined || !isSameEnrollment(current.value, enrollment)) {
    return succeed(undefined);
  }
  return current.value.keySetVersion >= keySetVersion
    ? succeed(undefined)
    : writeEnrollment(stateDirectory, { ...current.value, keySetVersion });
}

/** Each certificate belongs to one enrollment. */
export function isSameEnrollment(one: Enrollment, other: Enrollment): boolean {
  return Buffer.from(one.leafCertificate).equals(other.leafCertificate);
}

export function removeEnrollment(stateDirectory: string): Result<undefined, PrivateFileReason> {
  return removePrivateFile(pathIn(stateDirectory));
}
