import { decodeBase64url, encodeBase64url, type ProblemCode } from '@countersign/protocol';
import type { AttestationAnswer, AttestationRequest } from '@countersign/protocol/attestation';
import type { IntegrationRecord } from '../../directory/integration-records.ts';
import { attestationTtlSeconds, sealAttestation } from './attestation-token.ts';
import { makeCredential } from './make-credential.ts';
import { nameOf, parsePublicArea } from './public-area.ts';
import { isAttestationKey } from './verify-certification.ts';
import { verifyEndorsement } from './verify-endorsement.ts';

type Refusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly field?: string;
  readonly detail?: string;
};

export type BeginAttestationContext = {
  /** AES-256-GCM. */
  readonly storedSecretsKey: CryptoKey;
  readonly nowMs: number;
};

const secretBytes = 32;

/**
 * The first step of an enrollment with a key in a TPM: takes the endorsement key and an attestation key, and answers
 * with a secret that comes out only of the TPM that has both. Stores nothing.
 *
 * @param integration one whose devices enroll with an attestation
 * @param deviceId that of the request's hardware id
 */
export async function beginAttestation(
  { storedSecretsKey, nowMs }: BeginAttestationContext,
  integration: Pick<IntegrationRecord, 'integration_id' | 'attestation'>,
  deviceId: string,
  request: AttestationRequest,
): Promise<{ readonly ok: true; readonly answer: AttestationAnswer } | Refusal> {
  const { attestation: settings } = integration;
  const endorsement = await verifyEndorsement(
    {
      certificate: bytesOf(request.endorsement_certificate),
      intermediates: (request.intermediate_certificates ?? []).map(bytesOf),
      publicArea: bytesOf(request.endorsement_public),
    },
    settings.roots_pem,
    nowMs,
  );
  if (!endorsement.ok) return endorsement;
  const endorsementKeySha256 = encodeBase64url(endorsement.keySha256);
  if (!isListed(settings, endorsementKeySha256)) {
    return {
      ok: false,
      code: 'endorsement_key_not_allowed',
      field: 'endorsement_certificate',
      detail: `SHA-256 of the endorsement key: ${endorsementKeySha256}`,
    };
  }
  const attestationKey = parsePublicArea(bytesOf(request.attestation_public));
  if (!attestationKey.ok || !isAttestationKey(attestationKey.value)) {
    const detail = attestationKey.ok ? 'not of an attestation key' : attestationKey.detail;
    return { ok: false, code: 'attestation_key_not_allowed', field: 'attestation_public', detail };
  }
  const secret = crypto.getRandomValues(new Uint8Array(secretBytes));
  const name = await nameOf(attestationKey.value);
  const credential = await makeCredential(endorsement.publicArea, name, secret);
  if (credential === undefined) {
    return { ok: false, code: 'endorsement_key_mismatch', field: 'endorsement_public' };
  }
  const secretSha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', secret));
  const attestation = await sealAttestation(storedSecretsKey, {
    integration_id: integration.integration_id,
    device_id: deviceId,
    endorsement_key_sha256: endorsementKeySha256,
    attestation_public: request.attestation_public,
    secret_sha256: encodeBase64url(secretSha256),
    exp: Math.floor(nowMs / 1000) + attestationTtlSeconds,
  });
  return {
    ok: true,
    answer: {
      attestation,
      credential_blob: encodeBase64url(credential.credentialBlob),
      encrypted_secret: encodeBase64url(credential.encryptedSecret),
    },
  };
}

/** Whether this TPM may enroll by itself, or with whatever else the integration asks for. */
export function isListed(
  { endorsement_keys, listed_sha256 }: IntegrationRecord['attestation'],
  endorsementKeySha256: string,
): boolean {
  return endorsement_keys === 'any_with_secret' || listed_sha256.includes(endorsementKeySha256);
}

/** The request's schema has read it as base64url; text that is not is no TPM structure and no certificate either. */
const bytesOf = (text: string) => decodeBase64url(text) ?? new Uint8Array();
