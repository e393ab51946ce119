import type { ProblemCode } from '@countersign/protocol';
import {
  type RenewalRequestClaims,
  renewalRequestClaims,
  renewalRequestTyp,
} from '@countersign/protocol/enrollment';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import * as z from 'zod/mini';
import type {
  PresentedCertificate,
  PresentedCertificates,
} from '../challenge/presented-certificate.ts';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';

export type RenewalRequestResult =
  | {
      readonly ok: true;
      /** The certificate whose key signed. Whether it is ours, and what it is worth, only its record says. */
      readonly presented: PresentedCertificate;
      readonly claims: RenewalRequestClaims;
    }
  | {
      readonly ok: false;
      readonly code: Extract<
        ProblemCode,
        'renewal_request_malformed' | 'renewal_signature_invalid' | 'enrollment_clock_skew'
      >;
      readonly field: 'renewal_request';
      readonly detail: string;
    };

/** The current certificate alone (RFC 7515 section 4.1.6: base64, not base64url). */
const x5c = z.tuple([z.string().check(z.maxLength(16 * 1024), z.regex(/^[A-Za-z0-9+/]+={0,2}$/))]);

/**
 * Verifies that whoever asks for a renewal has the key of the certificate in the request: form, certificate form,
 * signature with the algorithm that follows from the certificate's key, audience, clock. Sent again it changes nothing
 * that it has not changed before, so that its `jti` need not be remembered.
 */
export async function verifyRenewalRequest(
  unverifiedRequest: string,
  expected: {
    readonly brokerUrl: string;
    readonly certificates: PresentedCertificates;
    readonly nowMs: number;
  },
): Promise<RenewalRequestResult> {
  const refuse = (
    detail: string,
    code: Extract<
      RenewalRequestResult,
      { readonly ok: false }
    >['code'] = 'renewal_request_malformed',
  ): RenewalRequestResult => ({ ok: false, code, field: 'renewal_request', detail });

  const jws = parseCompactJws(unverifiedRequest);
  if (jws === undefined) return refuse('is not a signed request');
  const leaf = z.safeParse(x5c, jws.unverifiedHeader.x5c);
  if (!leaf.success) return refuse('must have the current certificate, alone, in x5c');
  const presented = await expected.certificates.read(leaf.data[0]);
  if (presented === undefined) return refuse('x5c is not a device certificate');
  const expectedHeader = { alg: presented.algorithm, typ: renewalRequestTyp };
  if (!headerMatches(jws.unverifiedHeader, expectedHeader, ['x5c'])) {
    return refuse(
      `must have alg ${presented.algorithm}, typ ${renewalRequestTyp}, x5c, and nothing else`,
    );
  }
  if (!(await verifyCompactJws(jws, presented.publicKey, presented.algorithm))) {
    return refuse('was not signed by the key in its certificate', 'renewal_signature_invalid');
  }
  const claims = z.safeParse(renewalRequestClaims, jws.unverifiedPayload);
  if (!claims.success) return refuse('has other claims than a renewal request has');
  if (claims.data.aud !== expected.brokerUrl) return refuse('is not for this broker');
  const skewSeconds = Math.abs(claims.data.iat - expected.nowMs / 1000);
  if (skewSeconds > maxClockSkewSeconds) {
    return refuse(
      `was made ${Math.round(skewSeconds)} seconds away from the broker's clock`,
      'enrollment_clock_skew',
    );
  }
  return { ok: true, presented, claims: claims.data };
}
