import * as z from 'zod/mini';
import { maxChallengeBytes } from './limits.ts';
import { base64urlOf, compactJws, numericDate, secureWebOrigin, sha256Text } from './schemas.ts';

/**
 * `POST /v1/mtls-evidence` on the mTLS host name, sent by the sign-in page as `text/plain` so that it needs no
 * preflight; the browser presents the client certificate in the handshake.
 */
export const mtlsEvidenceRequest = z.object({ challenge: compactJws(maxChallengeBytes) });

/** The evidence is a compact JWE to the broker itself: the page learns nothing about the device. */
export const mtlsEvidenceAnswer = z.object({ evidence: z.string() });

export const mtlsEvidenceTyp = 'mtls-evidence+jwt';

/** Claims of the evidence, a JWS by the broker (`typ` `mtls-evidence+jwt`, ES256) inside the JWE. */
export const mtlsEvidenceClaims = z.object({
  iss: z.string().check(z.maxLength(255)),
  /** The organization. */
  aud: z.string().check(z.minLength(1), z.maxLength(128)),
  challenge_id: base64urlOf(16),
  /** `Origin` of the request, on the challenge's list. */
  origin: secureWebOrigin,
  /** Device id that the certificate names. */
  device_id: z.string().check(z.minLength(1), z.maxLength(128)),
  certificate_sha256: sha256Text,
  iat: numericDate,
  /** Not later than the challenge's. */
  exp: numericDate,
});
export type MtlsEvidenceClaims = z.infer<typeof mtlsEvidenceClaims>;
