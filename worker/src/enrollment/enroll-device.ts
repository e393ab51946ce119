import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import type { IssuanceRequest } from '../device/issuance-request.ts';
import { issuingIssuer } from '../directory/issuer-choice.ts';
import { answerWith } from './answer-with-certificate.ts';
import { checkManagement, checkUser, checkWritable } from './check-surroundings.ts';
import type {
  EnrollmentContext,
  EnrollmentRefusal,
  IdentifiedDevice,
} from './enrollment-context.ts';
import { claimEndorsementKey } from './establish-attestation.ts';
import type { EstablishedAuthority } from './establish-authority.ts';
import type { ProvenKey } from './proven-key.ts';

/** A device that is identified, a key that is proven, and what permits to certify the one for the other. */
export type PermittedEnrollment = {
  readonly device: IdentifiedDevice;
  readonly key: Pick<ProvenKey, 'spki' | 'spkiSha256'>;
  readonly permit: EstablishedAuthority;
  readonly via: IssuanceRequest['via'];
};

/**
 * Enrolls a device: not read-only, a user who may have a certificate, every check of the device's shard without
 * writing, managed by whoever the integration says, the key claimed for this device, the shard noted for the user whose
 * revocation has to reach it, then issued, which repeats the shard's checks in the block that stores the intent. Nothing
 * is written before all have agreed.
 */
export async function enrollDevice(
  context: EnrollmentContext,
  { device, key, permit, via }: PermittedEnrollment,
): Promise<{ readonly ok: true; readonly answer: EnrollmentAnswer } | EnrollmentRefusal> {
  const writable = checkWritable(context);
  if (!writable.ok) return writable;
  const { integration } = permit;
  const permittedUser = await checkUser(context, integration, permit.user);
  if (!permittedUser.ok) return permittedUser;
  const issuer = issuingIssuer(context.issuers, context.snapshot.issuers);
  if (issuer === undefined) return { ok: false, code: 'configuration_invalid' };

  const request: IssuanceRequest = {
    deviceId: device.deviceId,
    serialNumber: device.serialNumber,
    hardwareUuid: device.hardwareUuid,
    authority: permit.authority,
    integrationId: integration?.integration_id ?? '',
    strength: permit.strength,
    profile: integration?.profile ?? '1y',
    issuerId: issuer.issuerId,
    via,
    user: permit.user,
    userEpoch: undefined,
    // Whoever has the secret that all devices share could otherwise take the place of a device that is in use.
    requiresApproval: permit.strength === 'organization_secret',
    management: undefined,
    subjectPublicKeyInfo: key.spki,
    spkiSha256: key.spkiSha256,
  };
  const examined = await context.examine(device.shard, request);
  if (!examined.ok) return examined;
  const managed = await checkManagement(context, integration, { device, purpose: 'enrollment' });
  if (!managed.ok) return managed;
  const claimed = await context.claimKey(key.spkiSha256, device.deviceId);
  if (!claimed.ok) return claimed;
  const tpm = await claimEndorsementKey(context, permit, device.deviceId);
  if (!tpm.ok) return tpm;
  const reserved = await reserveUser(context, permit.user, device.shard);
  if (!reserved.ok) return reserved;
  const issued = await context.issue(device.shard, {
    ...request,
    userEpoch: reserved.epoch,
    management: managed.facts,
  });
  if (!issued.ok) return issued;
  return answerWith(context, { ...issued, deviceId: device.deviceId, profile: request.profile });
}

/** Where nobody is named there is nothing to note. */
async function reserveUser(
  context: EnrollmentContext,
  user: string | undefined,
  shard: number,
): Promise<{ readonly ok: true; readonly epoch: number | undefined } | EnrollmentRefusal> {
  return user === undefined
    ? { ok: true, epoch: undefined }
    : await context.reserveUser(user, shard);
}
