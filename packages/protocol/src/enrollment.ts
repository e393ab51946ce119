import * as z from 'zod/mini';
import { maxCsrBytes } from './limits.ts';
import {
  base64urlBetween,
  base64urlOf,
  compactJwe,
  compactJws,
  numericDate,
  sha256Text,
} from './schemas.ts';

/** Facts that name a piece of hardware. At least one; the broker normalizes them and refuses placeholders. */
export const hardwareId = z
  .strictObject({
    serial_number: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
    hardware_uuid: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
  })
  .check(
    z.refine((value) => value.serial_number !== undefined || value.hardware_uuid !== undefined, {
      error: 'needs serial_number or hardware_uuid',
    }),
  );
export type HardwareId = z.infer<typeof hardwareId>;

/** Whom the certificate is asked for, where the directory is to be asked about them; `subject.id` of a sign-in. */
export const enrollingUser = z.string().check(z.minLength(1), z.maxLength(256));

/** `typ` of the proof that a request was made by whoever has the organization's enrollment secret. */
export const enrollmentProofTyp = 'enrollment-request+jwt';

/**
 * Claims of that proof: a compact JWS (ES256) whose `kid` is the integration's id. The secret is the private key; it
 * signs and is never sent.
 */
export const enrollmentProofClaims = z.object({
  /** The broker's URL. */
  aud: z.string(),
  /** By the device's clock: at most `maxClockSkewSeconds` from the broker's. */
  iat: numericDate,
  jti: base64urlOf(16),
  hardware_id: hardwareId,
  /** SHA-256 of the certificate signing request, DER. */
  csr_sha256: sha256Text,
  user: z.optional(enrollingUser),
});
export type EnrollmentProofClaims = z.infer<typeof enrollmentProofClaims>;

const enrollmentProof = compactJws(4096);

/** What permits an enrollment, strongest first. Which one an integration takes is its setting. */
export const enrollmentAuthority = z.discriminatedUnion('type', [
  /** The device key is in a TPM: see `attestation.ts` for the first step. */
  z.strictObject({
    type: z.literal('hardware_attested'),
    /** As `POST /v1/attestations` answered it. */
    attestation: compactJwe(8192),
    /** What the TPM made of the credential: it has both the endorsement key and the attestation key. */
    secret: base64urlOf(32),
    /** TPMT_PUBLIC of the device key. */
    key_public: base64urlBetween(1, 1024),
    /** TPMS_ATTEST over the device key, and the attestation key's TPMT_SIGNATURE. */
    certify_info: base64urlBetween(1, 2048),
    certify_signature: base64urlBetween(1, 1024),
    proof: z.optional(enrollmentProof),
  }),
  /** Made for one device, spent once. */
  z.strictObject({ type: z.literal('one_time_token'), token: base64urlOf(32) }),
  z.strictObject({ type: z.literal('organization_secret'), proof: enrollmentProof }),
]);
export type EnrollmentAuthority = z.infer<typeof enrollmentAuthority>;

/** `POST /v1/enrollments`, sent by the host. */
export const enrollmentRequest = z.object({
  authority: enrollmentAuthority,
  hardware_id: hardwareId,
  /** PKCS#10 (RFC 2986), DER, base64url. Nothing but the public key is taken from it. */
  csr: base64urlBetween(1, maxCsrBytes),
  user: z.optional(enrollingUser),
});
export type EnrollmentRequest = z.infer<typeof enrollmentRequest>;

/** The certificate and everything the host has to keep. DER values are base64url. */
export const enrollmentAnswer = z.object({
  certificate: z.string(),
  issuer_certificate: z.string(),
  root_certificate: z.string(),
  device_id: z.string(),
  organization_id: z.string(),
  /** `iss` of every challenge. */
  broker_url: z.url(),
  /** JWS, see `key-set.ts`. */
  key_set: z.string(),
  /** When the host should ask for its renewal, RFC 3339. */
  renew_after: z.string(),
});
export type EnrollmentAnswer = z.infer<typeof enrollmentAnswer>;

/** `typ` of a renewal request, a compact JWS signed by the key that is certified now. */
export const renewalRequestTyp = 'renewal-request+jwt';

/** Claims of a renewal request. Its header has `alg`, `typ` and `x5c` with the current certificate alone. */
export const renewalRequestClaims = z.object({
  /** The broker's URL. */
  aud: z.string(),
  /** By the device's clock: at most `maxClockSkewSeconds` from the broker's. */
  iat: numericDate,
  jti: base64urlOf(16),
  /** PKCS#10, DER, of the key that is to follow the current one; left out, the current key is certified again. */
  rekey_csr: z.optional(base64urlBetween(1, maxCsrBytes)),
});
export type RenewalRequestClaims = z.infer<typeof renewalRequestClaims>;

/** `POST /v1/renewals`, sent by the host. */
export const renewalRequest = z.object({ renewal_request: compactJws(16 * 1024) });
export type RenewalRequest = z.infer<typeof renewalRequest>;

export const renewalAnswer = z.extend(enrollmentAnswer, {
  /** False when nothing was due: the certificate is the newest one that there is for the key. */
  renewed: z.boolean(),
});
export type RenewalAnswer = z.infer<typeof renewalAnswer>;
