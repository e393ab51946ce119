import { env, evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { problemDocument } from '@countersign/protocol/problem';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { identifyPublicKey, parseCertificate } from '@countersign/x509';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { oneYearProfile } from '../../worker/src/ca/certificate-profile.ts';
import { loadIssuer, planCertificate } from '../../worker/src/ca/issuer.ts';
import { readSettings } from '../../worker/src/config/settings.ts';
import { planIssuance } from '../../worker/src/device/issue-certificate.ts';
import { broker } from './test-broker.ts';
import { inShard, shardObject, shardOf, sqlInShard } from './test-objects.ts';

afterEach(() => {
  vi.useRealTimers();
});

const serialNumber = () => `SN${crypto.randomUUID()}`;

async function tokenFor(device: FakeDevice, ttlSeconds?: number): Promise<string> {
  return (await broker.createEnrollmentToken(device.hardwareId, ttlSeconds)).enrollment_token;
}

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

describe('the limit of unbound certificates', () => {
  it('holds against 200 parallel enrollments with 200 tokens', async () => {
    const hardwareId = { serial_number: serialNumber() };
    const spellings = [
      (text: string) => text,
      (text: string) => text.toLowerCase(),
      (text: string) => text.replaceAll('-', ' '),
      (text: string) => ` ${text.replaceAll('-', '')} `,
    ];
    // Keys are made a few at a time; what is tried in parallel are the enrollments.
    const devices: FakeDevice[] = [];
    for (let index = 0; index < 200; index++) {
      const spell = spellings[index % spellings.length] ?? String;
      devices.push(await FakeDevice.create({ serial_number: spell(hardwareId.serial_number) }));
    }
    const tokens = await Promise.all(devices.map((device) => tokenFor(device)));
    const responses = await Promise.all(
      devices.map((device, index) => post(device, tokens[index] ?? '')),
    );
    const issued = responses.filter((response) => response.status === 201);
    expect(issued).toHaveLength(5);
    const refused = await Promise.all(
      responses.filter((response) => response.status !== 201).map((response) => response.json()),
    );
    expect(refused).toHaveLength(195);
    for (const problem of refused) {
      expect(problem).toMatchObject({
        status: 409,
        code: 'enrollment_limit_reached',
        title: 'Maximum enrollment limit of 5 certificates for a device is reached',
      });
    }
    const answers = await Promise.all(issued.map((response) => response.json()));
    const deviceIds = answers.map((answer) => enrollmentAnswer.parse(answer).device_id);
    const [deviceId = ''] = deviceIds;
    expect(deviceIds).toEqual(deviceIds.map(() => deviceId));
    const described = await broker.device(deviceId);
    expect(described.unbound_certificates).toBe(5);
    expect(described.certificates.map((each) => each.status)).toEqual(Array(5).fill('issued'));
    const spent = await sqlInShard(
      shardOf(deviceId),
      'SELECT COUNT(*) AS count FROM enrollment_tokens WHERE device_id = ? AND spent_by_spki_sha256 IS NOT NULL',
      deviceId,
    );
    expect(spent).toEqual([{ count: 5 }]);
  });

  it('counts what is unbound and alive, and nothing else', async () => {
    const serial = serialNumber();
    const enrolled: FakeDevice[] = [];
    const next = async () => {
      const device = await FakeDevice.create({ serial_number: serial });
      const response = await post(device, await tokenFor(device));
      if (response.status === 201) {
        const answer = enrollmentAnswer.parse(await response.json());
        device.deviceId = answer.device_id;
        device.certificate = Uint8Array.from(
          atob(answer.certificate.replaceAll('-', '+').replaceAll('_', '/')),
          (character) => character.charCodeAt(0),
        );
        enrolled.push(device);
      }
      return response.status;
    };
    for (let count = 0; count < 5; count++) expect(await next()).toBe(201);
    expect(await next()).toBe(409);
    const [first] = enrolled;
    if (first === undefined) throw new Error('five were enrolled');
    const deviceId = first.deviceId ?? '';
    const unbound = async () => (await broker.device(deviceId)).unbound_certificates;

    const client = await broker.registerClient();
    expect(await broker.signIn(client, first)).toMatchObject({ decision: true });
    expect(await unbound()).toBe(4);
    expect(await next()).toBe(201);
    expect(await next()).toBe(409);

    const { certificates } = await broker.device(deviceId);
    await broker.revoke(deviceId, certificates[1]?.fingerprint_sha256 ?? '');
    expect(await unbound()).toBe(4);
    expect(await next()).toBe(201);
    expect(await next()).toBe(409);

    await sqlInShard(
      shardOf(deviceId),
      'UPDATE certificates SET not_after_ms = 1 WHERE device_id = ? AND certificate_number = (SELECT MAX(certificate_number) FROM certificates WHERE device_id = ?)',
      deviceId,
      deviceId,
    );
    expect(await unbound()).toBe(4);
    expect(await next()).toBe(201);
    expect(await next()).toBe(409);
  });
});

describe('the same request again', () => {
  it('gives the same certificate and counts once, also in parallel and much later', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device, 60);
    const [first, ...others] = await Promise.all(
      (await Promise.all(Array.from({ length: 10 }, () => post(device, token)))).map(certificateOf),
    );
    expect(others).toEqual(others.map(() => first));
    const { device_id: deviceId } = await broker.createEnrollmentToken(device.hardwareId);
    await evictDurableObject(shardObject(shardOf(deviceId)));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30 * 86_400_000 });
    expect(await certificateOf(await post(device, token))).toBe(first);
    expect(await certificateOf(await post(device, await tokenFor(device)))).toBe(first);
    const described = await broker.device(deviceId);
    expect(described.unbound_certificates).toBe(1);
    expect(described.certificates).toHaveLength(1);
  });

  it('gives no second certificate for one token when the first has expired', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device);
    const first = await certificateOf(await post(device, token));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 366 * 86_400_000 });
    expect(await refusalOf(await post(device, token))).toEqual([403, 'enrollment_token_spent']);
    const second = await certificateOf(await post(device, await tokenFor(device)));
    expect(second).not.toBe(first);
  });

  it('is refused when the certificate was revoked: its key is blocked', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device);
    await broker.enroll(device, token);
    const deviceId = device.deviceId ?? '';
    const [certificate] = (await broker.device(deviceId)).certificates;
    await broker.revoke(deviceId, certificate?.fingerprint_sha256 ?? '');
    expect(await refusalOf(await post(device, token))).toEqual([403, 'key_blocked']);
    expect(await refusalOf(await post(device, await tokenFor(device)))).toEqual([
      403,
      'key_blocked',
    ]);
  });
});

describe('an enrollment token', () => {
  it('is spent by one key', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device);
    await certificateOf(await post(device, token));
    const other = await FakeDevice.create(device.hardwareId);
    expect(await refusalOf(await post(other, token))).toEqual([403, 'enrollment_token_spent']);
  });

  it('is spent by one of the keys that are tried at once', async () => {
    const hardwareId = { serial_number: serialNumber() };
    const devices = await Promise.all(
      Array.from({ length: 8 }, () => FakeDevice.create(hardwareId)),
    );
    const token = (await broker.createEnrollmentToken(hardwareId)).enrollment_token;
    const responses = await Promise.all(devices.map((device) => post(device, token)));
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(responses.filter(({ status }) => status === 403)).toHaveLength(7);
  });

  it('is for one device, until it expires', async () => {
    const device = await FakeDevice.create();
    const other = await FakeDevice.create();
    const token = await tokenFor(device, 60);
    expect(await refusalOf(await post(other, token))).toEqual([403, 'enrollment_token_invalid']);
    const guessed = encodeBase64url(new Uint8Array(32));
    expect(await refusalOf(await post(device, guessed))).toEqual([403, 'enrollment_token_invalid']);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    expect(await refusalOf(await post(device, token))).toEqual([403, 'enrollment_token_expired']);
    vi.useRealTimers();
    // Nothing of all that has spent it or claimed a key.
    await certificateOf(await post(device, token));
    await certificateOf(await post(other, await tokenFor(other)));
  });
});

describe('a key', () => {
  it('never serves two devices', async () => {
    const device = await FakeDevice.create();
    await certificateOf(await post(device, await tokenFor(device)));
    const hardwareId = { serial_number: serialNumber() };
    const token = (await broker.createEnrollmentToken(hardwareId)).enrollment_token;
    const response = await broker.post('/v1/enrollments', {
      ...device.enrollmentRequest(token),
      hardware_id: hardwareId,
    });
    expect(await refusalOf(response)).toEqual([409, 'key_of_other_device']);
  });

  it('goes to one of two devices that ask at once', async () => {
    const device = await FakeDevice.create();
    const hardwareIds = [{ serial_number: serialNumber() }, { serial_number: serialNumber() }];
    const tokens = await Promise.all(hardwareIds.map((id) => broker.createEnrollmentToken(id)));
    const responses = await Promise.all(
      hardwareIds.map((hardware_id, index) =>
        broker.post('/v1/enrollments', {
          ...device.enrollmentRequest(tokens[index]?.enrollment_token ?? ''),
          hardware_id,
        }),
      ),
    );
    expect(responses.map(({ status }) => status).sort()).toEqual([201, 409]);
  });
});

describe('a second machine with the serial number of a device', () => {
  const uuid = () => crypto.randomUUID();

  it('is refused by its hardware UUID, also when that was learned later', async () => {
    const serial_number = serialNumber();
    const without = await FakeDevice.create({ serial_number });
    await certificateOf(await post(without, await tokenFor(without)));
    const own = uuid();
    const withUuid = await FakeDevice.create({ serial_number, hardware_uuid: own });
    await certificateOf(await post(withUuid, await tokenFor(withUuid)));
    const second = await FakeDevice.create({ serial_number, hardware_uuid: uuid() });
    expect(await refusalOf(await post(second, await tokenFor(second)))).toEqual([
      409,
      'hardware_id_duplicate',
    ]);
    const same = await FakeDevice.create({
      serial_number,
      hardware_uuid: `{${own.toUpperCase()}}`,
    });
    await certificateOf(await post(same, await tokenFor(same)));
    const { device_id: deviceId } = await broker.createEnrollmentToken({ serial_number });
    expect((await broker.device(deviceId)).hardware_id).toEqual({
      serial_number: serial_number.toUpperCase().replaceAll('-', ''),
      hardware_uuid: own.toUpperCase().replaceAll('-', ''),
    });
  });
});

describe('an intent whose signature was lost', () => {
  const sha256 = async (bytes: Uint8Array | string) =>
    new Uint8Array(
      await crypto.subtle.digest(
        'SHA-256',
        typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes,
      ),
    );

  /** Leaves what a crash between the two blocks of issuance leaves: the stored intent, and nothing after it. */
  async function interrupted(hardwareId = { serial_number: serialNumber() }) {
    const device = await FakeDevice.create(hardwareId);
    const created = await broker.createEnrollmentToken(hardwareId);
    const deviceId = created.device_id;
    const settings = await readSettings(env);
    if (!settings.ok) throw new Error(settings.detail);
    const issuer = loadIssuer(settings.settings);
    const request = {
      deviceId,
      serialNumber: hardwareId.serial_number.replaceAll('-', '').toUpperCase(),
      hardwareUuid: undefined,
      tokenSha256: await sha256(created.enrollment_token),
      subjectPublicKeyInfo: device.publicKey.spki,
      spkiSha256: await sha256(device.publicKey.spki),
    };
    const key = await identifyPublicKey(device.publicKey);
    const nowMs = Date.now();
    const planned = {
      issuerId: issuer.id,
      ...planCertificate(issuer, oneYearProfile, deviceId, key, nowMs),
    };
    const shard = shardOf(deviceId);
    const intent = await inShard(shard, (_, { storage }) =>
      storage.transactionSync(() => planIssuance(storage.sql, request, () => planned, nowMs)),
    );
    if (!intent.ok) throw new Error(intent.code);
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
    const { device, token, deviceId, shard, planned } = await interrupted();
    await evictDurableObject(shardObject(shard));
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
    await setAlarm(shard);
    expect(await runDurableObjectAlarm(shardObject(shard))).toBe(true);
    const after = await recorded(deviceId);
    expect(after).toMatchObject({ status: 'issued', toBeSigned: planned.toBeSigned });
    expect(await certificateOf(await post(device, token))).toBe(after.text);
    expect((await broker.device(deviceId)).unbound_certificates).toBe(1);
  });

  it('is finished once by an alarm and ten retries that race', async () => {
    const { device, token, deviceId, shard, planned } = await interrupted();
    await setAlarm(shard);
    const [, ...responses] = await Promise.all([
      runDurableObjectAlarm(shardObject(shard)),
      ...Array.from({ length: 10 }, () => post(device, token)),
    ]);
    const { text, toBeSigned } = await recorded(deviceId);
    expect(toBeSigned).toEqual(planned.toBeSigned);
    expect(await Promise.all(responses.map(certificateOf))).toEqual(responses.map(() => text));
  });

  it('of an issuer that is not ours any more is left alone, and does not keep the alarm going', async () => {
    const { deviceId, shard } = await interrupted();
    await sqlInShard(
      shard,
      "UPDATE certificates SET issuer_id = 'retired' WHERE device_id = ?",
      deviceId,
    );
    await setAlarm(shard);
    await runDurableObjectAlarm(shardObject(shard));
    expect(await recorded(deviceId)).toMatchObject({ status: 'intent' });
    expect(await inShard(shard, (_, { storage }) => storage.getAlarm())).toBeNull();
  });

  it('keeps the alarm going while it is not finished, and keeps no other from being finished', async () => {
    const damaged = await interrupted();
    const others = [];
    while (others.length < 1) {
      const other = await interrupted();
      if (other.shard === damaged.shard) others.push(other);
    }
    const [other] = others;
    await sqlInShard(
      damaged.shard,
      "UPDATE certificates SET to_be_signed = x'00' WHERE device_id = ?",
      damaged.deviceId,
    );
    await setAlarm(damaged.shard);
    await runDurableObjectAlarm(shardObject(damaged.shard));
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
    const device = await FakeDevice.create();
    await broker.enroll(device);
    const alarm = await inShard(shardOf(device.deviceId), (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeGreaterThan(Date.now());
  });

  const setAlarm = (shard: number) =>
    inShard(shard, (_, { storage }) => storage.setAlarm(Date.now() + 60_000));
});
