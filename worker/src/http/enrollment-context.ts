import { shardOfBytes } from '../device/placement.ts';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';
import type {
  EnrollmentContext,
  EnrollmentRefusal,
  IdentifiedDevice,
} from '../enrollment/enrollment-context.ts';
import { postureReportOf } from '../integrations/posture-report.ts';
import { askObject, type Broker, deviceShard, integrationObject, keyShard } from './broker.ts';

/** What a management is asked by. */
function identityOf({ deviceId, serialNumber, hardwareUuid }: IdentifiedDevice) {
  return {
    deviceId,
    ...(serialNumber === undefined ? {} : { serialNumber }),
    ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
  };
}

/** Enrollment and renewal with the objects of this broker behind them. */
export function enrollmentContext(
  broker: Broker,
  snapshot: OrganizationSnapshot,
  nowMs: number,
): EnrollmentContext {
  return {
    ...broker,
    snapshot,
    nowMs,
    findToken: ({ shard, deviceId }, tokenSha256) =>
      askObject(() => deviceShard(broker, shard).findToken(deviceId, tokenSha256)),
    findUser: (userId) => askObject(() => broker.organization().userStanding(userId)),
    reserveUser: async (userId, shard) => {
      const reserved = await askObject(() => broker.organization().reserveBinding(userId, shard));
      if (reserved.ok) return { ok: true, epoch: reserved.epoch };
      return reserved.code === 'subject_inactive'
        ? { ok: false, code: 'enrollment_user_inactive' }
        : reserved;
    },
    checkManaged: async (integration, { device, purpose }) => {
      const { integration_id } = integration;
      const checked = await askObject(() =>
        integrationObject(broker, integration_id).checkDevice(
          integration_id,
          identityOf(device),
          purpose,
        ),
      );
      if (!checked.ok) return refusalOf(checked);
      const { mdmId, hardwareUuid } = checked.device;
      const posture = postureReportOf(checked.device, nowMs);
      return {
        ok: true,
        facts: {
          integration_id,
          checked_at_ms: nowMs,
          mdm_id: mdmId,
          ...(hardwareUuid === undefined ? {} : { udid: hardwareUuid }),
          ...(posture === undefined ? {} : { posture }),
        },
      };
    },
    watch: ({ integration_id }, device) =>
      askObject(() =>
        integrationObject(broker, integration_id).watch(integration_id, identityOf(device)),
      ),
    examine: (shard, request) =>
      askObject(() => deviceShard(broker, shard).examineIssuance(request)),
    claimKey: (spkiSha256, deviceId) =>
      askObject(() =>
        keyShard(broker, shardOfBytes(spkiSha256, broker.shardCount)).claim(spkiSha256, deviceId),
      ),
    issue: (shard, request) => askObject(() => deviceShard(broker, shard).issue(request)),
    examineRenewal: (shard, asked) =>
      askObject(() => deviceShard(broker, shard).examineRenewal(asked)),
    renew: (shard, request) => askObject(() => deviceShard(broker, shard).renew(request)),
  };
}

/** Without what only the object's own callers are told. */
function refusalOf(refusal: EnrollmentRefusal): EnrollmentRefusal {
  const { ok, code, detail, retryAfterSeconds } = refusal;
  return {
    ok,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}
