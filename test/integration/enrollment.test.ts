import { evictDurableObject } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { problemDocument } from '@countersign/protocol/problem';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { shardObject, shardOf, sqlInShard } from './test-objects.ts';

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

  it('is not claimed by a request that is refused', async () => {
    const hardwareId = { serial_number: serialNumber() };
    for (let count = 0; count < 5; count++) {
      await broker.enroll(await FakeDevice.create(hardwareId));
    }
    const device = await FakeDevice.create(hardwareId);
    const { enrollment_token: token } = await broker.createEnrollmentToken(hardwareId);
    const refused = await broker.post('/v1/enrollments', device.enrollmentRequest(token));
    expect(await refusalOf(refused)).toEqual([409, 'enrollment_limit_reached']);

    const elsewhere = { serial_number: serialNumber() };
    const { enrollment_token: other } = await broker.createEnrollmentToken(elsewhere);
    const response = await broker.post('/v1/enrollments', {
      ...device.enrollmentRequest(other),
      hardware_id: elsewhere,
    });
    expect(response.status).toBe(201);
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
