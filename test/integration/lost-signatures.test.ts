import { env, evictDurableObject } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { problemDocument } from '@countersign/protocol/problem';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { identifyPublicKey, parseCertificate } from '@countersign/x509';
import { describe, expect, it, vi } from 'vitest';
import { certificateProfiles } from '../../worker/src/ca/certificate-profile.ts';
import { loadIssuer, planCertificate } from '../../worker/src/ca/issuer.ts';
import { readSettings } from '../../worker/src/config/settings.ts';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { DeviceShard } from '../../worker/src/device/device-shard.ts';
import { planIssuance } from '../../worker/src/device/issue-certificate.ts';
import { holdAlarms, ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { isAbout, plainIssuance } from './test-issuance.ts';
import { inShard, shardCount, shardObject, shardOf, sqlInShard } from './test-objects.ts';

// What a crash between the two blocks of issuance leaves behind, and how it is finished.

const serialNumber = () => `SN${crypto.randomUUID()}`;

const post = (device: FakeDevice, token: string) =>
  broker.post('/v1/enrollments', device.enrollmentRequest(token));

async function refusalOf(response: Response) {
  const { status, code } = problemDocument.parse(await response.json());
  return [status, code];
}

async function certificateOf(response: Response): Promise<string> {
  expect(response.status).toBe(201);
  return enrollmentAnswer.parse(await response.json()).certificate;
}

describe('an intent whose signature was lost', () => {
  const sha256 = async (bytes: Uint8Array | string) =>
    new Uint8Array(
      await crypto.subtle.digest(
        'SHA-256',
        typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes,
      ),
    );

  /**
   * Leaves what a crash between the two blocks of issuance leaves: the stored intent, and nothing after it. No alarm
   * finishes it unless the test rings it.
   *
   * @param spoiled a column of the intent with its value, an SQL expression
   */
  async function interrupted(spoiled?: string) {
    const hardwareId = { serial_number: serialNumber() };
    const device = await FakeDevice.create(hardwareId);
    const created = await broker.createEnrollmentToken(hardwareId);
    const deviceId = created.device_id;
    const settings = await readSettings(env);
    if (!settings.ok) throw new Error(settings.detail);
    const { issuers, pkiUrl } = settings.settings;
    const [source] = issuers;
    if (source === undefined) throw new Error('there is an issuer');
    const issuer = loadIssuer(source, pkiUrl);
    const request = {
      deviceId,
      serialNumber: hardwareId.serial_number.replaceAll('-', '').toUpperCase(),
      hardwareUuid: undefined,
      ...plainIssuance,
      issuerId: issuer.id,
      authority: {
        type: 'one_time_token' as const,
        tokenSha256: await sha256(created.enrollment_token),
      },
      subjectPublicKeyInfo: device.publicKey.spki,
      spkiSha256: await sha256(device.publicKey.spki),
    };
    const key = await identifyPublicKey(device.publicKey);
    const nowMs = Date.now();
    const planned = {
      issuerId: issuer.id,
      ...planCertificate(issuer, certificateProfiles['1y'], deviceId, key, nowMs),
    };
    const shard = shardOf(deviceId);
    holdAlarms(DeviceObject);
    const intent = await inShard(shard, (_, { storage }) => {
      const stored = new DeviceShard(storage, shardCount).write((block) =>
        planIssuance(block, request, () => planned),
      );
      if (spoiled !== undefined) {
        storage.sql.exec(`UPDATE certificates SET ${spoiled} WHERE device_id = ?`, deviceId);
      }
      return stored;
    });
    if (!intent.ok) throw new Error(intent.code);
    await evictDurableObject(shardObject(shard));
    return { device, token: created.enrollment_token, deviceId, shard, planned };
  }

  /** The certificate that is on record, and the bytes that were signed for it. */
  async function recorded(deviceId: string) {
    const [row, ...others] = await sqlInShard(
      shardOf(deviceId),
      'SELECT status, certificate, to_be_signed FROM certificates WHERE device_id = ?',
      deviceId,
    );
    if (row === undefined || others.length > 0) throw new Error('one certificate was planned');
    const { status, certificate, to_be_signed } = row;
    if (!(certificate instanceof ArrayBuffer)) return { status, toBeSigned: undefined, text: '' };
    const parsed = parseCertificate(new Uint8Array(certificate));
    if (!parsed.ok) throw new Error(parsed.detail);
    expect(to_be_signed).toBeNull();
    return { status, toBeSigned: parsed.value.toBeSigned, text: encodeBase64url(parsed.value.der) };
  }

  it('counts toward the limit, and is shown', async () => {
    const { deviceId } = await interrupted();
    expect(await broker.device(deviceId)).toMatchObject({
      unbound_certificates: 1,
      certificates: [{ status: 'intent', fingerprint_sha256: '' }],
    });
  });

  it('is finished by a retry, over the same bytes', async () => {
    const { device, token, deviceId, planned } = await interrupted();
    const certificate = await certificateOf(await post(device, token));
    expect(await recorded(deviceId)).toEqual({
      status: 'issued',
      toBeSigned: planned.toBeSigned,
      text: certificate,
    });
    expect(await certificateOf(await post(device, token))).toBe(certificate);
  });

  it('is finished by the alarm, over the same bytes', async () => {
    const { device, token, deviceId, shard, planned } = await interrupted();
    await ringAlarm(shardObject(shard));
    const after = await recorded(deviceId);
    expect(after).toMatchObject({ status: 'issued', toBeSigned: planned.toBeSigned });
    expect(await certificateOf(await post(device, token))).toBe(after.text);
    expect((await broker.device(deviceId)).unbound_certificates).toBe(1);
  });

  it('is finished once by an alarm and ten retries that race', async () => {
    const { device, token, deviceId, shard, planned } = await interrupted();
    const [, ...responses] = await Promise.all([
      ringAlarm(shardObject(shard)),
      ...Array.from({ length: 10 }, () => post(device, token)),
    ]);
    const { text, toBeSigned } = await recorded(deviceId);
    expect(toBeSigned).toEqual(planned.toBeSigned);
    expect(await Promise.all(responses.map(certificateOf))).toEqual(responses.map(() => text));
  });

  it('is one certificate when two signatures are made for it: the first that is stored', async () => {
    const { device, token, deviceId } = await interrupted();
    const bothSigning = Promise.withResolvers<void>();
    let signing = 0;
    const sign = crypto.subtle.sign.bind(crypto.subtle);
    vi.spyOn(crypto.subtle, 'sign').mockImplementation(async (...parameters) => {
      if (!isAbout(device, parameters[2])) return await sign(...parameters);
      signing += 1;
      if (signing === 2) bothSigning.resolve();
      await bothSigning.promise;
      return await sign(...parameters);
    });
    const responses = await Promise.all([post(device, token), post(device, token)]);
    vi.restoreAllMocks();
    expect(signing).toBe(2);
    const { text } = await recorded(deviceId);
    expect(await Promise.all(responses.map(certificateOf))).toEqual([text, text]);
  });

  it('of an issuer that is not ours any more is left alone, and does not keep the alarm going', async () => {
    const { deviceId, shard } = await interrupted("issuer_id = 'retired'");
    // Other tests may have left something for this shard to do; the intent is nothing that is ever done.
    for (let rung = 0; rung < 3; rung += 1) await ringAlarm(shardObject(shard));
    expect(await recorded(deviceId)).toMatchObject({ status: 'intent' });
    expect(await inShard(shard, (_, { storage }) => storage.getAlarm())).toBeNull();
  });

  it('keeps the alarm going while it is not finished, and keeps no other from being finished', async () => {
    const damaged = await interrupted("to_be_signed = x'00'");
    const others = [];
    while (others.length < 1) {
      const other = await interrupted();
      if (other.shard === damaged.shard) others.push(other);
    }
    const [other] = others;
    await ringAlarm(shardObject(damaged.shard));
    expect(await recorded(damaged.deviceId)).toMatchObject({ status: 'intent' });
    expect(await recorded(other?.deviceId ?? '')).toMatchObject({ status: 'issued' });
    expect(await inShard(damaged.shard, (_, { storage }) => storage.getAlarm())).not.toBeNull();
    expect(await refusalOf(await post(damaged.device, damaged.token))).toEqual([
      503,
      'storage_unavailable',
    ]);
    await sqlInShard(
      damaged.shard,
      'DELETE FROM certificates WHERE device_id = ?',
      damaged.deviceId,
    );
  });

  it('has an alarm set when it is stored', async () => {
    // It rings after a second: a machine that is slower than that shows it at another try.
    await vi.waitFor(async () => {
      const device = await FakeDevice.create();
      const beganMs = Date.now();
      await broker.enroll(device);
      const alarm = await inShard(shardOf(device.deviceId), (_, { storage }) => storage.getAlarm());
      expect(alarm).toBeGreaterThan(beganMs);
    }, 30_000);
  });
});
