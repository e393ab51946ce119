import { env } from 'cloudflare:test';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { type Issuer, loadIssuer } from '../../worker/src/ca/issuer.ts';
import { readSettings } from '../../worker/src/config/settings.ts';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { DeviceShard, type ShardBlock } from '../../worker/src/device/device-shard.ts';
import type { IssuanceRequest, RenewalRequest } from '../../worker/src/device/issuance-request.ts';
import { isUnavailable } from '../../worker/src/storage/durable-store.ts';
import { holdAlarms } from './test-alarms.ts';
import { inShard, shardCount, shardObject, shardOf, sqlInShard } from './test-objects.ts';
import { randomId } from './test-sign-in.ts';

/** Certificates issued and renewed by the shard itself, without what stands in front of it. */

/** What an issuance by an administrator's own token has beyond device, token and key. */
export const plainIssuance = {
  integrationId: '',
  strength: 'one_time_token',
  profile: '1y',
  issuerId: '',
  via: 'host',
  user: undefined,
  userEpoch: undefined,
  requiresApproval: false,
  management: undefined,
} as const satisfies Partial<IssuanceRequest>;

export async function testIssuer(): Promise<Issuer> {
  const read = await readSettings(env);
  if (!read.ok) throw new Error(read.detail);
  const [source] = read.settings.issuers;
  if (source === undefined) throw new Error('there is an issuer');
  return loadIssuer(source, read.settings.pkiUrl);
}

export const sha256 = async (bytes: Uint8Array) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));

export const keyOf = async (device: FakeDevice) => ({
  subjectPublicKeyInfo: device.publicKey.spki,
  spkiSha256: await sha256(device.publicKey.spki),
});

/** An issuance that nothing but the shard's own rules could refuse. */
export async function issuanceOf(
  device: FakeDevice,
  change: Partial<IssuanceRequest> = {},
): Promise<IssuanceRequest> {
  device.deviceId ??= randomId();
  return {
    ...plainIssuance,
    deviceId: device.deviceId,
    serialNumber: device.hardwareId.serial_number,
    hardwareUuid: undefined,
    authority: { type: 'scep_challenge' },
    issuerId: (await testIssuer()).id,
    ...(await keyOf(device)),
    ...change,
  };
}

/** A key with a certificate, of a new device or of the one named. */
export async function issued(
  change: Partial<IssuanceRequest> = {},
  deviceId?: string,
): Promise<FakeDevice> {
  const device = await FakeDevice.create();
  device.deviceId = deviceId;
  const answer = await issueFor(device, change);
  if (!answer.ok) throw new Error(answer.code);
  device.certificate = answer.certificate;
  return device;
}

export async function issueFor(device: FakeDevice, change: Partial<IssuanceRequest> = {}) {
  const request = await issuanceOf(device, change);
  return await shardObject(shardOf(request.deviceId)).issue(request);
}

export async function renewalOf(
  device: FakeDevice,
  change: Partial<RenewalRequest> = {},
): Promise<RenewalRequest> {
  return {
    deviceId: device.deviceId ?? '',
    certificateSha256: await fingerprintOf(device),
    rekey: undefined,
    profile: '1y',
    issuerId: (await testIssuer()).id,
    forced: false,
    mayIssue: true,
    via: 'host',
    management: undefined,
    ...change,
  };
}

export const fingerprintOf = (device: FakeDevice) => sha256(device.certificate ?? new Uint8Array());

/** Asks for a renewal by the certificate that the device has; what comes back is for the caller to keep. */
export async function renew(device: FakeDevice, change: Partial<RenewalRequest> = {}) {
  return await shardObject(shardOf(device.deviceId)).renew(await renewalOf(device, change));
}

/** The device as it is once it keeps another certificate. */
export async function renewed(device: FakeDevice, change: Partial<RenewalRequest> = {}) {
  const answer = await renew(device, { forced: true, ...change });
  if (!answer.ok) throw new Error(answer.code);
  return answer.certificate;
}

async function writeBeside<Value>(
  storage: DurableObjectStorage,
  run: (block: ShardBlock) => Value,
) {
  const value = await new DeviceShard(storage, shardCount).write(run);
  if (isUnavailable(value)) throw new Error(value.code);
  return value;
}

/** A block in the shard of a device, beside what its object does. */
export const blockIn = <Value>(device: FakeDevice, run: (block: ShardBlock) => Value) =>
  inShard(shardOf(device.deviceId), (_, { storage }) => writeBeside(storage, run));

/** A block that leaves an intent as a crash does: no alarm finishes it unless the test rings it. */
export function intentIn<Value>(device: FakeDevice, run: (block: ShardBlock) => Value) {
  holdAlarms(DeviceObject);
  return blockIn(device, run);
}

/** Whether what is being signed is for this device's key; objects sign lists and answers meanwhile. */
export const isAbout = (device: FakeDevice, signed: ArrayBuffer | ArrayBufferView) => {
  const bytes = ArrayBuffer.isView(signed)
    ? Buffer.from(signed.buffer, signed.byteOffset, signed.byteLength)
    : Buffer.from(signed);
  return bytes.includes(device.publicKey.spki);
};

export const rowsOf = (device: FakeDevice) =>
  sqlInShard(
    shardOf(device.deviceId),
    `SELECT certificate_number, status, lineage, supersedes, bound_user, bound_epoch, usable_until_ms,
       status_version, profile, spki_sha256, not_after_ms
     FROM certificates WHERE device_id = ? ORDER BY certificate_number`,
    device.deviceId ?? '',
  );

export const statusesOf = async (device: FakeDevice) =>
  (await rowsOf(device)).map(({ status }) => status);

/** Events of a device in the order in which they were recorded, with their reasons. */
export async function eventsOf(device: FakeDevice): Promise<string[]> {
  const rows = await sqlInShard(
    shardOf(device.deviceId),
    `SELECT record FROM decisions WHERE device_id = ? AND json_extract(record, '$.kind') = 'event'
     ORDER BY sequence`,
    device.deviceId ?? '',
  );
  return rows.map(({ record }) => {
    const { event_type, reason } = JSON.parse(String(record));
    return reason === undefined ? event_type : `${event_type} ${reason}`;
  });
}
