import { encodeBase64url } from '@countersign/protocol';
import type { SystemLogEvent } from '../audit/system-log-event.ts';
import { shardOfId } from '../device/placement.ts';
import type { EnrollmentRefusal } from '../enrollment/enrollment-context.ts';
import { askObject, type Broker, deviceShard } from './broker.ts';

/** What is known of a request that was refused. */
export type RefusedEnrollment = {
  readonly eventType: Extract<
    SystemLogEvent['event_type'],
    'user.credential.enroll' | 'pki.cert.renew'
  >;
  readonly refusal: EnrollmentRefusal;
  readonly deviceId?: string | undefined;
  readonly integrationId?: string | undefined;
  readonly user?: string | undefined;
  readonly address: string | undefined;
};

const randomId = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));

/**
 * A refusal is an event too: in the log of the device's shard, or of any where no device is known. What cannot be
 * recorded is refused all the same.
 */
export async function recordEnrollmentFailure(
  broker: Broker,
  { eventType, refusal, deviceId, integrationId, user, address }: RefusedEnrollment,
): Promise<void> {
  const shard = shardOfId(deviceId ?? randomId(), broker.shardCount) ?? 0;
  const event: SystemLogEvent = {
    event_type: eventType,
    outcome: 'FAILURE',
    reason: refusal.code,
    actor: { type: 'device', ...(deviceId === undefined ? {} : { id: deviceId }) },
    ...(integrationId === undefined ? {} : { integration_id: integrationId }),
    ...(user === undefined ? {} : { user }),
    debug_data: {
      ...(deviceId === undefined ? {} : { device_id: deviceId }),
      ...(address === undefined ? {} : { address }),
      ...(refusal.field === undefined ? {} : { field: refusal.field }),
      ...(refusal.detail === undefined ? {} : { detail: refusal.detail.slice(0, 256) }),
    },
  };
  await askObject(() => deviceShard(broker, shard).recordFailure(shard, event));
}
