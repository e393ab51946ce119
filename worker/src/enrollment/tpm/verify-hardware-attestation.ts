import { decodeBase64url, type ProblemCode } from '@countersign/protocol';
import type { EnrollmentAuthority } from '@countersign/protocol/enrollment';
import type { IntegrationRecord } from '../../directory/integration-records.ts';
import { openAttestation } from './attestation-token.ts';
import { isListed } from './begin-attestation.ts';
import { parsePublicArea } from './public-area.ts';
import { equalBytes } from './tpm-reader.ts';
import { isAttestationKey, verifyCertification } from './verify-certification.ts';

export type HardwareAttestedAuthority = Extract<EnrollmentAuthority, { type: 'hardware_attested' }>;

export type HardwareAttestationExpectations = {
  /** AES-256-GCM: what sealed the first step's answer. */
  readonly storedSecretsKey: CryptoKey;
  /** The integration that the attestation names, as it is now; `undefined` where it may not enroll devices. */
  readonly findIntegration: (
    integrationId: string,
  ) => Pick<IntegrationRecord, 'attestation'> | undefined;
  /** That of the request's hardware id. */
  readonly deviceId: string;
  /** DER. */
  readonly csr: Uint8Array;
  /** The proven key of the request: SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly nowMs: number;
};

export type HardwareAttestationResult =
  | {
      readonly ok: true;
      readonly integrationId: string;
      /** Names the TPM: SHA-256 of its endorsement key (SubjectPublicKeyInfo), 32 bytes. */
      readonly endorsementKeySha256: Uint8Array<ArrayBuffer>;
      /** Whether a proof by the organization secret has to come with it. */
      readonly needsProof: boolean;
    }
  | {
      readonly ok: false;
      readonly code: Extract<
        ProblemCode,
        `attestation_${string}` | `attested_${string}` | 'endorsement_key_not_allowed'
      >;
      readonly field: `authority.${string}`;
      readonly detail: string;
    };

const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/**
 * The second step: is the key of this request in the TPM that the first step was begun with? In order: the attestation
 * is this broker's, not expired, for this device, of an integration that takes this TPM; the TPM opened the credential, so
 * it has endorsement key and attestation key; its attestation key certifies the key of this request, which cannot leave
 * it. Sent again it is good for the same request of the same device alone.
 */
export async function verifyHardwareAttestation(
  authority: HardwareAttestedAuthority,
  expected: HardwareAttestationExpectations,
): Promise<HardwareAttestationResult> {
  const refuse = (
    code: Extract<HardwareAttestationResult, { ok: false }>['code'],
    member: keyof HardwareAttestedAuthority,
    detail: string,
  ) => ({ ok: false, code, field: `authority.${member}`, detail }) as const;
  const claims = await openAttestation(expected.storedSecretsKey, authority.attestation);
  if (claims === undefined) {
    return refuse('attestation_invalid', 'attestation', 'not made by this broker');
  }
  if (!(expected.nowMs < claims.exp * 1000)) {
    return refuse('attestation_expired', 'attestation', 'begun too long ago');
  }
  if (claims.device_id !== expected.deviceId) {
    return refuse('attestation_wrong_device', 'attestation', 'begun for another hardware id');
  }
  const integration = expected.findIntegration(claims.integration_id);
  if (integration === undefined) {
    return refuse('attestation_invalid', 'attestation', 'of an integration that does not take it');
  }
  if (!isListed(integration.attestation, claims.endorsement_key_sha256)) {
    const detail = `SHA-256 of the endorsement key: ${claims.endorsement_key_sha256}`;
    return refuse('endorsement_key_not_allowed', 'attestation', detail);
  }
  const [secret, certifyInfo, signature, keyPublic, attestationPublic, secretSha256, endorsement] =
    [
      authority.secret,
      authority.certify_info,
      authority.certify_signature,
      authority.key_public,
      claims.attestation_public,
      claims.secret_sha256,
      claims.endorsement_key_sha256,
    ].map((text) => decodeBase64url(text) ?? new Uint8Array());
  if (!secret || !certifyInfo || !signature || !keyPublic || !attestationPublic || !endorsement) {
    return refuse('attestation_malformed', 'attestation', 'not base64url');
  }
  if (!equalBytes(await sha256(secret), secretSha256 ?? new Uint8Array())) {
    return refuse('attestation_secret_wrong', 'secret', 'not what the TPM makes of the credential');
  }
  const attestationKey = parsePublicArea(attestationPublic);
  if (!attestationKey.ok || !isAttestationKey(attestationKey.value)) {
    return refuse('attestation_invalid', 'attestation', 'of a key that certifies nothing');
  }
  const certified = await verifyCertification(
    { certifyInfo, signature, keyPublic },
    {
      attestationKey: attestationKey.value,
      csrSha256: await sha256(new Uint8Array(expected.csr)),
      spki: expected.spki,
    },
  );
  if (!certified.ok) return { ...certified };
  return {
    ok: true,
    integrationId: claims.integration_id,
    endorsementKeySha256: endorsement,
    needsProof: integration.attestation.endorsement_keys === 'any_with_secret',
  };
}
