import { createHash } from 'node:crypto';
import type { ProblemCode } from '@countersign/protocol';
import {
  enrollmentProofClaims,
  enrollmentProofTyp,
  type HardwareId,
} from '@countersign/protocol/enrollment';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import * as z from 'zod/mini';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';

/** Public half of an organization's enrollment secret. */
export type EnrollmentSecretKey = { readonly x: string; readonly y: string };

/** What the proof must be about. */
export type ProofExpectations = {
  readonly brokerUrl: string;
  readonly hardwareId: HardwareId;
  /** DER. */
  readonly csr: Uint8Array;
  readonly user: string | undefined;
  readonly nowMs: number;
  /** The key of an integration whose devices may enroll with a secret. */
  readonly findSecretKey: (integrationId: string) => EnrollmentSecretKey | undefined;
};

export type ProofResult =
  | { readonly ok: true; readonly integrationId: string }
  | {
      readonly ok: false;
      readonly code: Extract<
        ProblemCode,
        'enrollment_proof_invalid' | 'enrollment_secret_unknown' | 'enrollment_clock_skew'
      >;
      readonly field: 'authority.proof';
      readonly detail: string;
    };

async function importSecretKey({ x, y }: EnrollmentSecretKey): Promise<CryptoKey> {
  const parameters = { name: 'ECDSA', namedCurve: 'P-256' };
  return await crypto.subtle.importKey(
    'jwk',
    { kty: 'EC', crv: 'P-256', x, y },
    parameters,
    false,
    ['verify'],
  );
}

const sameHardware = (one: HardwareId, other: HardwareId): boolean =>
  one.serial_number === other.serial_number && one.hardware_uuid === other.hardware_uuid;

/**
 * Was this very request signed with the integration's enrollment secret? In order: form, secret known, signature,
 * audience, clock, then each thing that the proof must repeat. A proof is good for one key of one device, so sent
 * again it gets what it got.
 */
export async function verifyEnrollmentProof(
  unverifiedProof: string,
  expected: ProofExpectations,
): Promise<ProofResult> {
  const refuse = (
    detail: string,
    code: Extract<ProofResult, { readonly ok: false }>['code'] = 'enrollment_proof_invalid',
  ): ProofResult => ({ ok: false, code, field: 'authority.proof', detail });

  const jws = parseCompactJws(unverifiedProof);
  const kid = jws?.unverifiedHeader.kid;
  if (jws === undefined || typeof kid !== 'string') return refuse('is not a signed request');
  const expectedHeader = { alg: 'ES256', typ: enrollmentProofTyp };
  if (!headerMatches(jws.unverifiedHeader, expectedHeader, ['kid'])) {
    return refuse(`must have alg ES256, typ ${enrollmentProofTyp}, kid, and nothing else`);
  }
  const secretKey = expected.findSecretKey(kid);
  if (secretKey === undefined) {
    return refuse('names no integration that has a secret', 'enrollment_secret_unknown');
  }
  if (!(await verifyCompactJws(jws, await importSecretKey(secretKey), 'ES256'))) {
    return refuse('was not signed with the secret that the integration has now');
  }
  const claims = z.safeParse(enrollmentProofClaims, jws.unverifiedPayload);
  if (!claims.success) return refuse('has other claims than a proof has');
  const { aud, iat, hardware_id, csr_sha256, user } = claims.data;
  if (aud !== expected.brokerUrl) return refuse(`is for ${aud.slice(0, 128)}, not for this broker`);
  const aheadSeconds = iat - Math.floor(expected.nowMs / 1000);
  if (Math.abs(aheadSeconds) > maxClockSkewSeconds) {
    const direction = aheadSeconds > 0 ? 'ahead of' : 'behind';
    return refuse(
      `was made ${Math.abs(aheadSeconds)} seconds ${direction} the broker's clock`,
      'enrollment_clock_skew',
    );
  }
  if (!sameHardware(hardware_id, expected.hardwareId)) {
    return refuse('is for another hardware_id than the request');
  }
  if (csr_sha256 !== createHash('sha256').update(expected.csr).digest('base64url')) {
    return refuse('is for another csr than the request');
  }
  if (user !== expected.user) return refuse('is for another user than the request');
  return { ok: true, integrationId: kid };
}
