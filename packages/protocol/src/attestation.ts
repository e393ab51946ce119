import * as z from 'zod/mini';
import { hardwareId } from './enrollment.ts';
import { integrationId } from './integration-id.ts';
import { base64urlBetween, compactJwe } from './schemas.ts';

/** The first of the two steps of an enrollment with a key in a TPM 2.0 (TCG TPM 2.0 Library, parts 1 and 2). */

/** A TPM2B-sized structure is far below this; so is a certificate of an endorsement key. */
const maxPublicAreaBytes = 1024;
const maxCertificateBytes = 8192;
export const maxAttestationBytes = 8192;
export const maxIntermediateCertificates = 4;

const certificate = base64urlBetween(1, maxCertificateBytes);
const publicArea = base64urlBetween(1, maxPublicAreaBytes);

/** What the first step answered, for the second: a compact JWE that the broker alone opens. */
export const attestationToken = compactJwe(maxAttestationBytes);

/** `POST /v1/attestations`, sent by the host. Certificates are DER, public areas TPMT_PUBLIC; all base64url. */
export const attestationRequest = z.strictObject({
  integration_id: integrationId,
  hardware_id: hardwareId,
  /** As the TPM's maker put it into the TPM. */
  endorsement_certificate: certificate,
  /** Between it and the maker's root, in any order. */
  intermediate_certificates: z.optional(
    z.array(certificate).check(z.maxLength(maxIntermediateCertificates)),
  ),
  endorsement_public: publicArea,
  /** Of the restricted key that is to certify the device key. */
  attestation_public: publicArea,
});
export type AttestationRequest = z.infer<typeof attestationRequest>;

/** Only a TPM that has both keys makes the secret of these. */
export const attestationAnswer = z.object({
  attestation: attestationToken,
  /** TPM2B_ID_OBJECT, base64url. */
  credential_blob: base64urlBetween(1, 1024),
  /** TPM2B_ENCRYPTED_SECRET, base64url. */
  encrypted_secret: base64urlBetween(1, 1024),
});
export type AttestationAnswer = z.infer<typeof attestationAnswer>;
