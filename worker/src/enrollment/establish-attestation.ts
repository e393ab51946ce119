import { encodeBase64url } from '@countersign/protocol';
import type { EnrollmentContext, EnrollmentRefusal } from './enrollment-context.ts';
import type { AuthorityRequest, EstablishedAuthority } from './establish-authority.ts';
import {
  type HardwareAttestedAuthority,
  verifyHardwareAttestation,
} from './tpm/verify-hardware-attestation.ts';
import { verifyEnrollmentProof } from './verify-enrollment-proof.ts';

/**
 * A TPM permits the enrollment of the key that it has certified. Where the integration does not list each TPM, a proof
 * by the organization secret says that the device is one of the organization's at all.
 */
export async function establishAttestation(
  context: EnrollmentContext,
  { device, csr, spki, request }: AuthorityRequest,
  authority: HardwareAttestedAuthority,
): Promise<({ readonly ok: true } & EstablishedAuthority) | EnrollmentRefusal> {
  const { integrations } = context.snapshot;
  const attested = await verifyHardwareAttestation(authority, {
    storedSecretsKey: context.storedSecretsKey,
    findIntegration: (id) => integrations.get(id),
    deviceId: device.deviceId,
    csr,
    spki,
    nowMs: context.nowMs,
  });
  if (!attested.ok) return attested;
  const { integrationId, endorsementKeySha256 } = attested;
  if (attested.needsProof) {
    const proven = await verifyEnrollmentProof(authority.proof ?? '', {
      brokerUrl: context.brokerUrl,
      hardwareId: request.hardware_id,
      csr,
      user: request.user,
      nowMs: context.nowMs,
      findSecretKey: (id) =>
        id === integrationId ? integrations.get(id)?.secret?.public_jwk : undefined,
    });
    if (!proven.ok) return proven;
  }
  return {
    ok: true,
    authority: { type: 'hardware_attested', endorsementKeySha256 },
    strength: 'hardware_attested',
    integration: integrations.get(integrationId),
    user: request.user,
  };
}

/**
 * Has the TPM stand for this device and no other: one that may enroll could otherwise vouch for any number of hardware
 * ids, which are only what machines say of themselves.
 */
export async function claimEndorsementKey(
  context: Pick<EnrollmentContext, 'claimKey'>,
  { authority }: Pick<EstablishedAuthority, 'authority'>,
  deviceId: string,
): Promise<{ readonly ok: true } | EnrollmentRefusal> {
  if (authority.type !== 'hardware_attested') return { ok: true };
  const { endorsementKeySha256 } = authority;
  const claimed = await context.claimKey(endorsementKeySha256, deviceId);
  if (claimed.ok || claimed.code !== 'key_of_other_device') return claimed;
  return {
    ok: false,
    code: 'endorsement_key_of_other_device',
    field: 'authority.attestation',
    detail: `SHA-256 of the endorsement key: ${encodeBase64url(endorsementKeySha256)}`,
  };
}
