// The word of a standing that goes out of a shard, and what administrators see of one.
import { evictDurableObject } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { KeyObject } from '../../worker/src/enrollment/key-object.ts';
import { RevocationObject } from '../../worker/src/revocation/revocation-object.ts';
import { storageUnavailable } from '../../worker/src/storage/durable-store.ts';
import { holdAlarms, ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { blockIn, fingerprintOf, issued, keyOf, renewed } from './test-issuance.ts';
import { shardObject, shardOf, sqlInShard } from './test-objects.ts';
import { randomId } from './test-sign-in.ts';

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const admin = { type: 'admin', id: 'adm_1' } as const;
const lost = { reason: 'keyCompromise', actor: admin } as const;
const shardFor = (device: FakeDevice) => shardObject(shardOf(device.deviceId));
const ringAlarmOf = (device: FakeDevice) => ringAlarm(shardFor(device));

const reasonOf = async (device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return [decision, context.reason_code];
};

/** Everything that was told of the device's certificates, newest last. */
function listenToPublisher(device: FakeDevice) {
  const spy = vi.spyOn(RevocationObject.prototype, 'publish');
  return async () => {
    const serials = await sqlInShard(
      shardOf(device.deviceId),
      'SELECT serial_number FROM certificates WHERE device_id = ?',
      device.deviceId ?? '',
    );
    const own = serials.map(({ serial_number }) =>
      encodeBase64url(new Uint8Array(serial_number instanceof ArrayBuffer ? serial_number : [])),
    );
    return spy.mock.calls
      .flatMap(([, entries]) => entries)
      .filter(({ serialNumber }) => own.includes(encodeBase64url(serialNumber)))
      .map(({ status, reason, statusVersion }) => [status, statusVersion, reason]);
  };
}

const outboxOf = (device: FakeDevice) =>
  sqlInShard(
    shardOf(device.deviceId),
    `SELECT certificate_number FROM pki_outbox WHERE certificate_number IN (
       SELECT certificate_number FROM certificates WHERE device_id = ?)`,
    device.deviceId ?? '',
  );

describe('the word of a standing', () => {
  beforeEach(() => holdAlarms(DeviceObject));

  it('goes out with each change, and says what is so when it goes', async () => {
    const device = await issued();
    const told = listenToPublisher(device);
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const fingerprint = await fingerprintOf(device);
    await ringAlarmOf(device);
    expect(await told()).toEqual([['good', 1, undefined]]);
    expect(await outboxOf(device)).toEqual([]);
    await shard.holdCertificate(id, fingerprint, admin);
    await shard.releaseCertificate(id, fingerprint, admin);
    await shard.revokeCertificate(id, fingerprint, lost);
    expect(await told()).toEqual([
      ['good', 1, undefined],
      ['hold', 2, undefined],
      ['good', 3, undefined],
      ['revoked', 4, 'keyCompromise'],
    ]);
    expect(await outboxOf(device)).toEqual([]);
  });

  it('and the block of the key wait until they are heard', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const deaf = [
      vi.spyOn(RevocationObject.prototype, 'publish').mockResolvedValue(storageUnavailable),
      vi.spyOn(KeyObject.prototype, 'block').mockRejectedValue(new Error('object is overloaded')),
    ];
    expect(await shard.revokeCertificate(id, await fingerprintOf(device), lost)).toEqual({
      ok: true,
      changed: 1,
    });
    expect(await reasonOf(device, 'ada')).toEqual([false, 'certificate_revoked']);
    expect(await outboxOf(device)).toHaveLength(1);
    await evictDurableObject(shard);
    await ringAlarmOf(device);
    expect(await outboxOf(device)).toHaveLength(1);
    deaf[0]?.mockRestore();
    await ringAlarmOf(device);
    expect(await outboxOf(device)).toHaveLength(1);
    deaf[1]?.mockRestore();
    const blocked = vi.spyOn(KeyObject.prototype, 'block');
    await ringAlarmOf(device);
    expect(await outboxOf(device)).toEqual([]);
    const { spkiSha256 } = await keyOf(device);
    expect(blocked).toHaveBeenCalledWith(spkiSha256);
    // No other device gets a certificate for it either.
    const thief = await FakeDevice.create();
    const request = broker.post('/v1/enrollments', {
      ...thief.enrollmentRequest(
        (await broker.createEnrollmentToken(thief.hardwareId)).enrollment_token,
      ),
      csr: encodeBase64url(device.csr),
    });
    expect(await (await request).json()).toMatchObject({ code: 'key_blocked' });
  });

  it('stays in the outbox where the standing changed while it was told', async () => {
    const device = await issued();
    await ringAlarmOf(device);
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const fingerprint = await fingerprintOf(device);
    const { publish } = RevocationObject.prototype;
    const told: string[] = [];
    vi.spyOn(RevocationObject.prototype, 'publish').mockImplementation(async function (
      this: RevocationObject,
      ...given
    ) {
      told.push(...given[1].map(({ status }) => status));
      // Told, and overtaken before that is noted.
      if (told.length === 1) {
        await blockIn(device, ({ sql }) =>
          sql.exec(
            `UPDATE certificates SET status = 'issued', status_version = status_version + 1
             WHERE device_id = ?`,
            id,
          ),
        );
      }
      return await publish.apply(this, given);
    });
    await shard.holdCertificate(id, fingerprint, admin);
    expect(await outboxOf(device)).toHaveLength(1);
    await ringAlarmOf(device);
    expect(told).toEqual(['hold', 'good']);
    expect(await outboxOf(device)).toEqual([]);
  });
});

describe('what administrators see of a shard', () => {
  it('counts certificates by what they have in common, and lists devices', async () => {
    const device = await issued({ profile: '7d' });
    await renewed(device, { profile: '7d' });
    const shard = shardFor(device);
    const counted = await shard.countCertificates();
    if (!counted.ok) throw new Error(counted.code);
    const ofProfile = counted.items.filter(({ profile }) => profile === '7d');
    expect(ofProfile.map(({ status, count }) => [status, count])).toEqual(
      expect.arrayContaining([
        ['issued', 1],
        ['superseded', 1],
      ]),
    );
    const listed = await shard.listDevices('', 1000);
    if (!listed.ok) throw new Error(listed.code);
    const found = listed.devices.find(({ device: { device_id } }) => device_id === device.deviceId);
    expect(found?.certificates.map(({ status }) => status)).toEqual(['superseded', 'issued']);
  });

  it('has failures on record, as many as the limit allows, and how many more there were', async () => {
    const deviceId = randomId();
    // Whatever other tests have taken from the shard's allowance is given back.
    await shardObject(shardOf(deviceId)).stateMark();
    await evictDurableObject(shardObject(shardOf(deviceId)));
    const shard = shardObject(shardOf(deviceId));
    const event = {
      event_type: 'user.credential.enroll',
      outcome: 'FAILURE',
      reason: 'enrollment_token_invalid',
      actor: { type: 'device', id: deviceId },
      debug_data: { device_id: deviceId },
    } as const;
    await Promise.all(
      Array.from({ length: 130 }, () => shard.recordFailure(shardOf(deviceId), event)),
    );
    const recorded = await sqlInShard(
      shardOf(deviceId),
      'SELECT 1 FROM decisions WHERE device_id = ?',
      deviceId,
    );
    expect(recorded).toHaveLength(120);
    const { rows, head } = await broker.decisions(shardOf(deviceId));
    const suppressed = rows
      .map(({ record }) => JSON.parse(record))
      .filter(({ event_type }) => event_type === 'log.failure.suppress');
    expect(suppressed).toMatchObject(
      ['1', '10'].map((not_recorded) => ({
        outcome: 'FAILURE',
        reason: 'enrollment_token_invalid',
        debug_data: { of: 'user.credential.enroll', not_recorded },
      })),
    );
    expect(firstBrokenRow(rows, head)).toBeUndefined();
  });
});
