import { encodeBase64url } from '@countersign/protocol';
import { isMilestone } from '../audit/is-milestone.ts';
import { type SystemLogEvent, suppressedEvent } from '../audit/system-log-event.ts';
import { currentTimeMs } from '../clock.ts';
import { shardOfId } from '../device/placement.ts';
import { askObject, type Broker, deviceShard } from './broker.ts';
import type { Problem } from './problem.ts';

/** What is known of a request that was refused. */
export type RefusedEnrollment = {
  readonly eventType: Extract<
    SystemLogEvent['event_type'],
    'user.credential.enroll' | 'pki.cert.renew'
  >;
  readonly refusal: Pick<Problem, 'code' | 'field' | 'detail' | 'logDetail'>;
  readonly deviceId?: string | undefined;
  readonly integrationId?: string | undefined;
  readonly user?: string | undefined;
  readonly address: string | undefined;
  /**
   * `unproven`: anybody could send it. `guess`: so could they, and it tries out what permits an enrollment. Both are
   * counted, so that nobody fills the log.
   */
  readonly sender: 'known' | 'unproven' | 'guess';
  /** Whose secret a guess claims to have. */
  readonly secretId?: string | undefined;
};

const randomId = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));

/**
 * A refusal is an event too: in the log of the device's shard, or of any where no device is known. Of what anybody could
 * send only so much is recorded one by one. What cannot be recorded is refused all the same.
 *
 * @returns whether it is one of too many in this minute
 */
export async function recordEnrollmentFailure(
  broker: Broker,
  refused: RefusedEnrollment,
): Promise<{ readonly isOneOfMany: boolean }> {
  const { refusal, deviceId, address, sender, secretId } = refused;
  const attempt = { address, deviceId, secretId, isGuess: sender === 'guess' };
  const beyond =
    sender === 'known' ? 0 : broker.enrollmentThrottle.noteFailure(attempt, currentTimeMs());
  const isRecorded = beyond === 0 || isMilestone(beyond);
  if (isRecorded && refusal.code !== 'storage_unavailable') {
    const shard = shardOfId(deviceId ?? randomId(), broker.shardCount) ?? 0;
    const event = eventOf(refused, beyond);
    await askObject(() => deviceShard(broker, shard).recordFailure(shard, event));
  }
  return { isOneOfMany: beyond > 0 };
}

function eventOf(refused: RefusedEnrollment, beyond: number): SystemLogEvent {
  const { eventType, refusal, deviceId, integrationId, user, address } = refused;
  const detail = refusal.logDetail ?? refusal.detail;
  const facts = {
    ...(deviceId === undefined ? {} : { device_id: deviceId }),
    ...(address === undefined ? {} : { address }),
    ...(refusal.field === undefined ? {} : { field: refusal.field }),
    ...(detail === undefined ? {} : { detail: detail.slice(0, 256) }),
  };
  if (beyond > 0) return suppressedEvent(eventType, beyond, refusal.code, facts);
  return {
    event_type: eventType,
    outcome: 'FAILURE',
    reason: refusal.code,
    actor: { type: 'device', ...(deviceId === undefined ? {} : { id: deviceId }) },
    ...(integrationId === undefined ? {} : { integration_id: integrationId }),
    ...(user === undefined ? {} : { user }),
    debug_data: facts,
  };
}
