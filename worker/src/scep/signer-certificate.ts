import { parseCertificate, readDeviceUri } from '@countersign/x509';
import type { UnverifiedSigner } from '@countersign/x509/cms';
import { shardOfId } from '../device/placement.ts';
import { sha256 } from '../enrollment/proven-key.ts';
import type { ScepContext, ScepRefusal } from './scep-context.ts';

/** Where the certificate under which a message was signed is on record, if it is one of ours. */
export type SignerPlace = {
  readonly deviceId: string;
  readonly shard: number;
  readonly certificateSha256: Uint8Array;
};

/** By what the certificate says; whether it is on record, its device's shard knows. */
export async function placeOfSigner(
  { enrollment }: ScepContext,
  { der }: UnverifiedSigner,
): Promise<({ readonly ok: true } & SignerPlace) | ScepRefusal> {
  const parsed = parseCertificate(der);
  const named = parsed.ok ? readDeviceUri(parsed.value) : parsed;
  const shard = named.ok ? shardOfId(named.value, enrollment.shardCount) : undefined;
  if (!named.ok || shard === undefined) {
    const detail = 'signed under a certificate that is not of this broker';
    return { ok: false, code: 'scep_signer_mismatch', detail };
  }
  const certificateSha256 = await sha256(Uint8Array.from(der));
  return { ok: true, deviceId: named.value, shard, certificateSha256 };
}

/** Is the certificate on record, in good standing, and of the integration that is asked? */
export async function examineSigner(
  { enrollment, integration }: ScepContext,
  { deviceId, shard, certificateSha256 }: SignerPlace,
): ReturnType<ScepContext['enrollment']['examineRenewal']> {
  const examined = await enrollment.examineRenewal(shard, { deviceId, certificateSha256 });
  if (!examined.ok || examined.integrationId === integration.integration_id) return examined;
  const detail = 'the certificate is of another integration';
  return { ok: false, code: 'enrollment_not_allowed', detail };
}
