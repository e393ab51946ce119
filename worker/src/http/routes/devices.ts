import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { revocationInput } from '@countersign/protocol/admin';
import {
  type ApprovalList,
  type DeviceList,
  deviceRevocationInput,
  deviceSearchFields,
  type StandingAnswer,
} from '@countersign/protocol/admin-devices';
import { describeDevice, describePosture } from '../../admin/describe-device.ts';
import { currentTimeMs } from '../../clock.ts';
import type { DeviceObject } from '../../device/device-object.ts';
import { shardOfId } from '../../device/placement.ts';
import type { StandingAnswer as ShardAnswer } from '../../device/revoke-certificates.ts';
import { identifyDevice } from '../../enrollment/identify-device.ts';
import { integrationStandings } from '../../policy/integration-standing.ts';
import type { StorageUnavailable } from '../../storage/durable-store.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { readWhole } from '../read-whole.ts';
import { logEvent } from '../route-context.ts';

type Shard = DurableObjectStub<DeviceObject>;
type Actor = { readonly type: 'admin'; readonly id: string };

/** The device in the path, with its shard; `undefined` for what cannot be a device id. */
function deviceInPath(broker: Broker, context: AdminContext) {
  const deviceId = context.parameter('id');
  const shard = shardOfId(deviceId, broker.shardCount);
  return shard === undefined ? undefined : { deviceId, ask: () => deviceShard(broker, shard) };
}

/** The SHA-256 in the path; `undefined` when it is none. */
function hashInPath(context: AdminContext): Uint8Array | undefined {
  const hash = decodeBase64url(context.parameter('sha256'));
  return hash?.length === 32 ? hash : undefined;
}

/** Answers a change of standing. It is complete: the shard that every decision asks has it on disk. */
function answerChange(
  context: AdminContext,
  order: string,
  changed: ShardAnswer | StorageUnavailable,
): Response {
  if (!changed.ok) return context.refuse({ code: changed.code });
  logEvent('standing_changed', {
    request_id: context.requestId,
    order,
    device_id: context.parameter('id'),
    admin_id: context.admin.adminId,
    changed: changed.changed,
  });
  const answer: StandingAnswer = { status: 'complete', changed: changed.changed };
  return Response.json(answer);
}

const actorOf = ({ admin }: AdminContext): Actor => ({ type: 'admin', id: admin.adminId });

/** Has one certificate of the device in the path, and its lineage, changed. */
async function changeCertificate(
  broker: Broker,
  context: AdminContext,
  order: string,
  change: (
    shard: Shard,
    deviceId: string,
    sha256: Uint8Array,
  ) => Promise<ShardAnswer | StorageUnavailable>,
): Promise<Response> {
  const device = deviceInPath(broker, context);
  const sha256 = hashInPath(context);
  if (device === undefined || sha256 === undefined) {
    return context.refuse({ code: 'certificate_not_found' });
  }
  const changed = await askObject(() => change(device.ask(), device.deviceId, sha256));
  return answerChange(context, order, changed);
}

/** `GET /v1/admin/devices/{id}`. */
export const getDevice = forAdmin('devices.read', async (broker, context) => {
  const device = deviceInPath(broker, context);
  if (device === undefined) return context.refuse({ code: 'device_not_found', field: 'id' });
  const described = await askObject(() => device.ask().describeDevice(device.deviceId));
  if (!described.ok) return context.refuse({ code: described.code });
  const answer = await describeWhole(broker, context, described);
  return answer === undefined
    ? context.refuse({ code: 'snapshot_unavailable' })
    : Response.json(answer);
});

type Described = Extract<Awaited<ReturnType<DeviceObject['describeDevice']>>, { ok: true }>;

/** A device with what is known of how it is kept; `undefined` where nobody can say which integrations there are. */
async function describeWhole(
  broker: Broker,
  context: AdminContext,
  { device, certificates, lastResponse }: Described,
): Promise<DeviceList['devices'][number] | undefined> {
  const nowMs = currentTimeMs();
  const read = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!read.ok) return undefined;
  const standings = integrationStandings(read.snapshot, '');
  return {
    ...describeDevice(device, certificates, nowMs),
    ...describePosture(device, lastResponse, standings, nowMs),
  };
}

const mostListed = 200;

/**
 * `GET /v1/admin/devices`: page by page through the shards, or the one device that a serial number or a hardware UUID
 * names. A cursor is the shard and the last device id of the page before.
 */
export const getDevices = forAdmin('devices.read', async (broker, context) => {
  const query = new URL(context.request.url).searchParams;
  const searched = deviceSearchFields.find((field) => query.has(field));
  if (searched !== undefined) return await findDevice(broker, context, searched, query);
  const limit = readWhole(query.get('limit') ?? '100', 1, mostListed);
  if (limit === undefined) {
    const detail = `must be 1 to ${mostListed}`;
    return context.refuse({ code: 'field_invalid', field: 'limit', detail });
  }
  const [shardText = '0', afterId = ''] = (query.get('after') ?? '0.').split('.');
  const firstShard = readWhole(shardText, 0, broker.shardCount - 1);
  if (firstShard === undefined) {
    return context.refuse({ code: 'field_invalid', field: 'after', detail: 'is no cursor' });
  }
  const found: DeviceList['devices'] = [];
  let next: string | undefined;
  let after = afterId;
  for (let shard = firstShard; shard < broker.shardCount; shard++) {
    const room = limit - found.length;
    const page = await askObject(() => deviceShard(broker, shard).listDevices(after, room));
    if (!page.ok) return context.refuse({ code: page.code });
    for (const { device, certificates } of page.devices) {
      found.push(describeDevice(device, certificates, currentTimeMs()));
    }
    if (found.length === limit) {
      next = `${shard}.${found.at(-1)?.device_id ?? ''}`;
      break;
    }
    after = '';
  }
  const answer: DeviceList = { devices: found, ...(next === undefined ? {} : { next }) };
  return Response.json(answer);
});

async function findDevice(
  broker: Broker,
  context: AdminContext,
  field: (typeof deviceSearchFields)[number],
  query: URLSearchParams,
): Promise<Response> {
  const device = await identifyDevice({ [field]: query.get(field) ?? '' }, broker);
  if (!device.ok) return context.refuse({ code: 'field_invalid', field, detail: device.code });
  const described = await askObject(() =>
    deviceShard(broker, device.shard).describeDevice(device.deviceId),
  );
  if (!described.ok && described.code !== 'device_not_found') {
    return context.refuse({ code: described.code });
  }
  if (!described.ok) return Response.json({ devices: [] } satisfies DeviceList);
  const found = await describeWhole(broker, context, described);
  return found === undefined
    ? context.refuse({ code: 'snapshot_unavailable' })
    : Response.json({ devices: [found] } satisfies DeviceList);
}

/**
 * `POST /v1/admin/devices/{id}/certificates/{sha256}/revoke`: the certificate, and all that it renewed or that renewed
 * it. Their keys are blocked for ever as well.
 */
export const postRevocation = forAdmin(
  { permission: 'devices.revoke', event: 'admin.certificate.revoke', whileReadOnly: true },
  async (broker, context) => {
    const body = await readBody(context.request, revocationInput);
    if (!body.ok) return context.refuse(body.problem);
    const order = { reason: body.value.reason, actor: actorOf(context) };
    return await changeCertificate(broker, context, 'revoke', (shard, deviceId, sha256) =>
      shard.revokeCertificate(deviceId, sha256, order),
    );
  },
);

/** `POST /v1/admin/devices/{id}/certificates/{sha256}/hold`: until it is released, it counts for nothing. */
export const postHold = forAdmin(
  { permission: 'devices.revoke', event: 'admin.certificate.hold', whileReadOnly: true },
  (broker, context) =>
    changeCertificate(broker, context, 'hold', (shard, deviceId, sha256) =>
      shard.holdCertificate(deviceId, sha256, actorOf(context)),
    ),
);

/** `POST /v1/admin/devices/{id}/certificates/{sha256}/release`: what it was before it was suspended, it is again. */
export const postRelease = forAdmin(
  { permission: 'devices.revoke', event: 'admin.certificate.release' },
  (broker, context) =>
    changeCertificate(broker, context, 'release', (shard, deviceId, sha256) =>
      shard.releaseCertificate(deviceId, sha256, actorOf(context)),
    ),
);

/** `POST /v1/admin/devices/{id}/revoke`: everything that the device has; a lost or stolen one is blocked as well. */
export const postDeviceRevocation = forAdmin(
  { permission: 'devices.revoke', event: 'admin.device.revoke', whileReadOnly: true },
  async (broker, context) => {
    const body = await readBody(context.request, deviceRevocationInput);
    if (!body.ok) return context.refuse(body.problem);
    const device = deviceInPath(broker, context);
    if (device === undefined) return context.refuse({ code: 'device_not_found', field: 'id' });
    const { reason, block } = body.value;
    const order = { reason, actor: actorOf(context) };
    const changed = await askObject(() => device.ask().revokeDevice(device.deviceId, order, block));
    return answerChange(context, 'revoke_device', changed);
  },
);

/** `POST /v1/admin/devices/{id}/unblock`: the device may enroll again; what was revoked stays so. */
export const postUnblock = forAdmin(
  { permission: 'devices.approve', event: 'admin.device.unblock' },
  async (broker, context) => {
    const device = deviceInPath(broker, context);
    if (device === undefined) return context.refuse({ code: 'device_not_found', field: 'id' });
    const changed = await askObject(() =>
      device.ask().unblockDevice(device.deviceId, actorOf(context)),
    );
    return answerChange(context, 'unblock', changed);
  },
);

/** `GET /v1/admin/enrollment-approvals`: what waits for an administrator, oldest first. */
export const getApprovals = forAdmin('devices.read', async (broker, context) => {
  const shards = Array.from({ length: broker.shardCount }, (_, shard) => shard);
  const pages = await Promise.all(
    shards.map((shard) => askObject(() => deviceShard(broker, shard).pendingApprovals(mostListed))),
  );
  const all: ApprovalList['approvals'] = [];
  for (const page of pages) {
    if (!page.ok) return context.refuse({ code: page.code });
    for (const { deviceId, spkiSha256, requestedAtMs } of page.approvals) {
      all.push({
        device_id: deviceId,
        spki_sha256: encodeBase64url(spkiSha256),
        requested_at: new Date(requestedAtMs).toISOString(),
      });
    }
  }
  all.sort((one, other) => one.requested_at.localeCompare(other.requested_at));
  const answer: ApprovalList = {
    approvals: all.slice(0, mostListed),
    truncated: all.length > mostListed,
  };
  return Response.json(answer);
});

/** `POST /v1/admin/devices/{id}/enrollment-approvals/{sha256}`: the next try with this key is let through. */
export const postApproval = forAdmin(
  { permission: 'devices.approve', event: 'admin.enrollment.approve' },
  async (broker, context) => {
    const device = deviceInPath(broker, context);
    const sha256 = hashInPath(context);
    if (device === undefined || sha256 === undefined) {
      return context.refuse({ code: 'enrollment_approval_not_found' });
    }
    const { adminId } = context.admin;
    const approved = await askObject(() =>
      device.ask().approveEnrollment(device.deviceId, sha256, adminId),
    );
    return approved.ok
      ? Response.json({ status: 'approved' })
      : context.refuse({ code: approved.code });
  },
);
