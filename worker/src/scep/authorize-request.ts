import type { HardwareId } from '@countersign/protocol/enrollment';
import type { IdentifiedDevice } from '../enrollment/enrollment-context.ts';
import type { EstablishedAuthority } from '../enrollment/establish-authority.ts';
import { identifyDevice } from '../enrollment/identify-device.ts';
import { sha256 } from '../enrollment/proven-key.ts';
import type { DeviceIdentity } from '../integrations/managed-device.ts';
import { readClaimedDevice } from './claimed-device.ts';
import type { PkiMessage } from './pki-message.ts';
import type { ScepRequest } from './read-request.ts';
import type { ScepContext, ScepRefusal } from './scep-context.ts';
import type { ScepTransaction } from './scep-records.ts';

export type Authorized = {
  readonly ok: true;
  readonly device: IdentifiedDevice;
  readonly permit: EstablishedAuthority;
};

const utf8 = (text: string) => Uint8Array.from(new TextEncoder().encode(text));

/** The transaction that a message is part of, as it is remembered. */
export async function transactionOf(
  { transactionId }: PkiMessage,
  { spkiSha256, claims }: ScepRequest,
): Promise<ScepTransaction> {
  const { challengePassword } = claims;
  return {
    transactionSha256: await sha256(utf8(transactionId)),
    spkiSha256,
    challengeSha256:
      challengePassword === undefined ? undefined : await sha256(utf8(challengePassword)),
    device: readClaimedDevice(claims),
  };
}

const isNamed = ({ serialNumber, hardwareUuid }: DeviceIdentity): boolean =>
  serialNumber !== undefined || hardwareUuid !== undefined;

const hardwareIdOf = ({ serialNumber, hardwareUuid }: DeviceIdentity): HardwareId => ({
  ...(serialNumber === undefined ? {} : { serial_number: serialNumber }),
  ...(hardwareUuid === undefined ? {} : { hardware_uuid: hardwareUuid }),
});

/**
 * What the challenge in a PKCSReq permits, and for which device. A challenge that was given out here permits the one
 * device that it names; where it names none, the request does, and the management has to confirm it: that is as much
 * as a secret that all devices share. One of Intune's own is judged by Intune together with the request's names. Any
 * other is a one-time token, made for the device that the request names.
 */
export async function authorizeRequest(
  context: ScepContext,
  message: PkiMessage,
  request: ScepRequest,
  taken: { readonly challenge: 'granted' | 'unknown'; readonly device: DeviceIdentity },
): Promise<Authorized | ScepRefusal> {
  const { enrollment, integration, intune } = context;
  const { challengePassword } = request.claims;
  if (challengePassword === undefined || challengePassword === '') {
    return { ok: false, code: 'scep_challenge_invalid', detail: 'the request has no challenge' };
  }
  const isBound = isNamed(taken.device);
  const named = isBound ? taken.device : readClaimedDevice(request.claims);
  if (!isNamed(named)) {
    const detail = 'neither the challenge nor the request names a device';
    return { ok: false, code: 'scep_device_unnamed', detail };
  }
  const device = await identifyDevice(hardwareIdOf(named), enrollment);
  if (!device.ok) return { ok: false, code: device.code, detail: 'the device that is named' };
  const challenge = { type: 'scep_challenge' } as const;
  if (taken.challenge === 'granted') {
    const strength = isBound ? 'one_time_token' : 'organization_secret';
    return {
      ok: true,
      device,
      permit: { authority: challenge, strength, integration, user: undefined },
    };
  }
  if (intune !== undefined) {
    const { transactionId } = message;
    const validated = await intune.validate({ transactionId, csr: request.csr });
    if (!validated.ok) return validated;
    const strength = 'one_time_token';
    return {
      ok: true,
      device,
      permit: { authority: challenge, strength, integration, user: undefined },
    };
  }
  const tokenSha256 = await sha256(utf8(challengePassword));
  const token = await enrollment.findToken(device, tokenSha256);
  if (!token.ok) return { ok: false, code: token.code };
  if (token.integrationId !== integration.integration_id) {
    return { ok: false, code: 'scep_challenge_invalid', detail: 'a token of another integration' };
  }
  return {
    ok: true,
    device,
    permit: {
      authority: { type: 'one_time_token', tokenSha256 },
      strength: 'one_time_token',
      integration,
      user: token.user,
    },
  };
}
