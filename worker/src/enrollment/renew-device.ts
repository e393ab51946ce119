import { encodeBase64url } from '@countersign/protocol';
import type { RenewalAnswer } from '@countersign/protocol/enrollment';
import type { NewKey, RenewalFacts, RenewalRequest } from '../device/issuance-request.ts';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import { issuingIssuer } from '../directory/issuer-choice.ts';
import { answerWith } from './answer-with-certificate.ts';
import { checkManagement, checkUser, checkWritable } from './check-surroundings.ts';
import type {
  EnrollmentContext,
  EnrollmentRefusal,
  IdentifiedDevice,
} from './enrollment-context.ts';
import { isListed } from './tpm/begin-attestation.ts';

/** A renewal that the key of a certificate has signed. Whether that certificate is ours, its record says. */
export type SignedRenewal = {
  readonly deviceId: string;
  readonly shard: number;
  readonly certificateSha256: Uint8Array;
  /** The key that is to follow; its possession is proven. */
  readonly rekey: NewKey | undefined;
  readonly via: RenewalRequest['via'];
};

/**
 * Is the TPM that has vouched for the key still one that the integration takes? Where the integration enrolls in another
 * way by now, it has no say in what was enrolled before.
 */
function checkEndorsement(
  integration: IntegrationRecord | undefined,
  { strength, endorsementKeySha256 }: Pick<RenewalFacts, 'strength' | 'endorsementKeySha256'>,
): { readonly ok: true } | EnrollmentRefusal {
  if (strength !== 'hardware_attested' || integration?.authority !== 'hardware_attested') {
    return { ok: true };
  }
  const key = endorsementKeySha256 === undefined ? '' : encodeBase64url(endorsementKeySha256);
  if (isListed(integration.attestation, key)) return { ok: true };
  const detail = `SHA-256 of the endorsement key: ${key}`;
  return { ok: false, code: 'endorsement_key_not_allowed', field: 'renewal_request', detail };
}

/**
 * Renews a certificate: not read-only, the certificate in good standing, its integration still there and, of a TPM, still
 * taking that one, its user still active, the device still managed, a new key claimed; the shard then repeats its checks in the block that stores the
 * intent. Where nothing is due, the certificate on record comes again, and the management is not asked.
 */
export async function renewDevice(
  context: EnrollmentContext,
  { deviceId, shard, certificateSha256, rekey, via }: SignedRenewal,
): Promise<{ readonly ok: true; readonly answer: RenewalAnswer } | EnrollmentRefusal> {
  const writable = checkWritable(context);
  if (!writable.ok) return writable;
  const examined = await context.examineRenewal(shard, { deviceId, certificateSha256 });
  if (!examined.ok) return examined;
  if (rekey !== undefined && examined.strength === 'hardware_attested') {
    // The new key could be anywhere, and its certificate would say the TPM.
    return { ok: false, code: 'renewal_needs_attestation', field: 'renewal_request' };
  }
  const integration = context.snapshot.integrations.get(examined.integrationId);
  if (examined.integrationId !== '' && integration === undefined) {
    return {
      ok: false,
      code: 'enrollment_not_allowed',
      detail: 'the integration of the certificate was deleted',
    };
  }
  const attested = checkEndorsement(integration, examined);
  if (!attested.ok) return attested;
  const permittedUser = await checkUser(
    context,
    // Where nobody was named, it shows with the first sign-in; until then there is nobody to ask about.
    examined.user === undefined ? undefined : integration,
    examined.user,
  );
  if (!permittedUser.ok) return permittedUser;
  const issuer = issuingIssuer(context.issuers, context.snapshot.issuers);
  if (issuer === undefined) return { ok: false, code: 'configuration_invalid' };

  const profile = integration?.profile ?? examined.profile;
  const device: IdentifiedDevice = {
    deviceId,
    shard,
    serialNumber: examined.serialNumber,
    hardwareUuid: examined.hardwareUuid,
  };
  const isNewOne =
    examined.due ||
    rekey !== undefined ||
    examined.issuerId !== issuer.issuerId ||
    examined.profile !== profile;
  const managed = isNewOne
    ? await checkManagement(context, integration, { device, purpose: 'renewal' })
    : ({ ok: true, facts: undefined } as const);
  if (!managed.ok) return managed;
  if (rekey !== undefined) {
    const claimed = await context.claimKey(rekey.spkiSha256, deviceId);
    if (!claimed.ok) return claimed;
  }
  const renewed = await context.renew(shard, {
    deviceId,
    certificateSha256,
    rekey,
    profile,
    issuerId: issuer.issuerId,
    forced: false,
    mayIssue: isNewOne,
    via,
    management: managed.facts,
  });
  if (!renewed.ok) return renewed;
  const answered = answerWith(context, { ...renewed, deviceId, profile });
  return answered.ok
    ? { ok: true, answer: { ...answered.answer, renewed: renewed.renewed } }
    : answered;
}
