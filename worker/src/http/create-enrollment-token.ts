import { encodeBase64url, type ProblemCode } from '@countersign/protocol';
import type { HardwareId } from '@countersign/protocol/enrollment';
import { currentTimeMs } from '../clock.ts';
import { identifyDevice } from '../enrollment/identify-device.ts';
import { askObject, type Broker, deviceShard } from './broker.ts';

export type NewEnrollmentToken = {
  readonly hardwareId: HardwareId;
  readonly ttlSeconds: number;
  /** Left out: of none. */
  readonly integrationId: string | undefined;
  readonly user: string | undefined;
};

export type CreatedEnrollmentToken =
  | {
      readonly ok: true;
      readonly deviceId: string;
      /** As `enrollmentTokenAnswer`. The token is nowhere again. */
      readonly answer: {
        readonly enrollment_token: string;
        readonly device_id: string;
        readonly expires_at: string;
      };
    }
  | { readonly ok: false; readonly code: ProblemCode; readonly field?: string };

/** Makes a one-time token for one piece of hardware. */
export async function createEnrollmentToken(
  broker: Broker,
  { hardwareId, ttlSeconds, integrationId, user }: NewEnrollmentToken,
): Promise<CreatedEnrollmentToken> {
  const device = await identifyDevice(hardwareId, broker);
  if (!device.ok) return device;
  const { deviceId, shard } = device;
  const token = encodeBase64url(crypto.getRandomValues(new Uint8Array(32)));
  const tokenSha256 = new Uint8Array(
    await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token)),
  );
  const expiresAtMs = currentTimeMs() + ttlSeconds * 1000;
  const stored = await askObject(() =>
    deviceShard(broker, shard).addEnrollmentToken(deviceId, tokenSha256, expiresAtMs, {
      ...(integrationId === undefined ? {} : { integrationId }),
      ...(user === undefined ? {} : { user }),
    }),
  );
  if (!stored.ok) return stored;
  const expires_at = new Date(expiresAtMs).toISOString();
  return {
    ok: true,
    deviceId,
    answer: { enrollment_token: token, device_id: deviceId, expires_at },
  };
}
