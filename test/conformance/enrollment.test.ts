// Who gets a certificate, how many, and for which device: tokens, retries, the limit and hardware ids.
import { createHash, X509Certificate } from 'node:crypto';
import { enrollmentLimitText } from '@countersign/protocol';
import { enrollmentAnswer, type HardwareId } from '@countersign/protocol/enrollment';
import { randomText } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectProblem, expectTrusted } from '../support/expect-answer.ts';
import { certificateOf, enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(() => broker?.stopAndRemove());

const newHardwareId = (): HardwareId => ({ serial_number: `TEST${crypto.randomUUID()}` });

async function tokenFor(hardwareId: HardwareId): Promise<string> {
  return (await broker.client.createEnrollmentToken(hardwareId)).enrollment_token;
}

const send = (device: FakeDevice, token: string) =>
  broker.client.post('/v1/enrollments', device.enrollmentRequest(token));

async function readCertificate(response: Response): Promise<string> {
  const text = await response.text();
  expect(response.status, text).toBe(201);
  return enrollmentAnswer.parse(JSON.parse(text)).certificate;
}

describe('#32 an enrollment token', () => {
  it('is random, and for the hardware that it was made for', async () => {
    const hardwareId = newHardwareId();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => tokenFor(hardwareId)));
    expect(new Set(tokens).size).toBe(20);
    const device = await FakeDevice.create();
    await expectProblem(await send(device, tokens[0] ?? ''), 403, 'enrollment_token_invalid');
    const rightful = await FakeDevice.create(hardwareId);
    await readCertificate(await send(rightful, tokens[0] ?? ''));
  });

  it('that nobody made is refused, and guessing locks nobody out', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device.hardwareId);
    const guesses = await Promise.all(
      Array.from({ length: 200 }, () => send(device, randomText())),
    );
    // The first thirty are told what is wrong; the others only that there were too many.
    const refused = guesses.filter(({ status }) => status === 403);
    expect(refused.length).toBeLessThanOrEqual(30);
    expect(refused.length).toBeGreaterThan(20);
    for (const response of guesses) {
      if (response.status === 403) await expectProblem(response, 403, 'enrollment_token_invalid');
      else await expectProblem(response, 429, 'enrollment_throttled');
    }
    await readCertificate(await send(device, token));
  });

  it.each(['', 'short', 'A'.repeat(44), `${'A'.repeat(43)}=`, `${'A'.repeat(42)}B`])(
    'of another form is refused as a field: %j',
    async (token) => {
      const device = await FakeDevice.create();
      await expectProblem(await send(device, token), 400, 'field_invalid', 'authority.token');
    },
  );

  it('serves one key', async () => {
    const first = await FakeDevice.create();
    const second = await FakeDevice.create(first.hardwareId);
    const token = await tokenFor(first.hardwareId);
    await readCertificate(await send(first, token));
    await expectProblem(await send(second, token), 403, 'enrollment_token_spent');
  });

  it('serves one key, however many ask at once', async () => {
    const hardwareId = newHardwareId();
    const token = await tokenFor(hardwareId);
    const devices = await Promise.all(
      Array.from({ length: 20 }, () => FakeDevice.create(hardwareId)),
    );
    const responses = await Promise.all(devices.map((device) => send(device, token)));
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
    for (const response of responses.filter(({ status }) => status !== 201)) {
      await expectProblem(response, 403, 'enrollment_token_spent');
    }
  });

  it('is not spent by a request that is refused', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device.hardwareId);
    const body = device.enrollmentRequest(token);
    const refusals = [
      { ...body, csr: 'MAAA' },
      { ...body, hardware_id: newHardwareId() },
      { ...body, hardware_id: {} },
    ];
    for (const refused of refusals) {
      const response = await broker.client.post('/v1/enrollments', refused);
      expect(response.status).toBeGreaterThanOrEqual(400);
    }
    await readCertificate(await send(device, token));
  });

  it.each<[string, unknown, string]>([
    ['no lifetime', { hardware_id: newHardwareId() }, 'ttl_seconds'],
    ['59 seconds', { hardware_id: newHardwareId(), ttl_seconds: 59 }, 'ttl_seconds'],
    ['a year', { hardware_id: newHardwareId(), ttl_seconds: 31_536_000 }, 'ttl_seconds'],
    ['half a second', { hardware_id: newHardwareId(), ttl_seconds: 60.5 }, 'ttl_seconds'],
    ['no hardware', { hardware_id: {}, ttl_seconds: 60 }, 'hardware_id'],
    ['hardware that is text', { hardware_id: 'TEST1234', ttl_seconds: 60 }, 'hardware_id'],
  ])('is not made with %s', async (_, input, field) => {
    const response = await broker.client.admin('POST', '/v1/admin/enrollment-tokens', input);
    await expectProblem(response, 400, 'field_invalid', field);
  });
});

describe('#39 an enrollment that is sent again', () => {
  it('gets the same certificate and counts once', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device.hardwareId);
    const first = await readCertificate(await send(device, token));
    const again = await readCertificate(await send(device, token));
    const withNewToken = await readCertificate(
      await send(device, await tokenFor(device.hardwareId)),
    );
    expect([again, withNewToken]).toEqual([first, first]);
    const { device_id } = await broker.client.enroll(device);
    expect((await broker.client.device(device_id)).unbound_certificates).toBe(1);
  });

  it('gets the same certificate when it is sent 30 times at once', async () => {
    const device = await FakeDevice.create();
    const token = await tokenFor(device.hardwareId);
    const responses = await Promise.all(Array.from({ length: 30 }, () => send(device, token)));
    const certificates = await Promise.all(responses.map(readCertificate));
    expect(new Set(certificates).size).toBe(1);
    const { device_id } = await broker.client.enroll(device);
    const { unbound_certificates, certificates: onRecord } = await broker.client.device(device_id);
    expect([unbound_certificates, onRecord.length]).toEqual([1, 1]);
  });

  it('gets the same certificate after a user has signed in with it', async () => {
    const client = await broker.client.registerClient();
    const device = await FakeDevice.create();
    const token = await tokenFor(device.hardwareId);
    const first = (await broker.client.enroll(device, token)).certificate;
    expectTrusted(await broker.client.signIn(client, device));
    expect(await readCertificate(await send(device, token))).toBe(first);
  });
});

describe('#30 the limit of five unbound certificates', () => {
  const deviceIdOf = async (hardwareId: HardwareId) =>
    (await broker.client.createEnrollmentToken(hardwareId)).device_id;

  it('holds against 200 enrollments at once, and says so in these words', async () => {
    const hardwareId = newHardwareId();
    const attempts = await Promise.all(
      Array.from({ length: 200 }, async () => ({
        device: await FakeDevice.create(hardwareId),
        token: await tokenFor(hardwareId),
      })),
    );
    const responses = await Promise.all(attempts.map(({ device, token }) => send(device, token)));
    const issued = responses.filter(({ status }) => status === 201);
    expect(issued).toHaveLength(5);
    for (const response of responses.filter(({ status }) => status !== 201)) {
      const { title } = await expectProblem(response, 409, 'enrollment_limit_reached');
      expect(title).toBe('Maximum enrollment limit of 5 certificates for a device is reached');
    }
    expect(enrollmentLimitText).toBe(
      'Maximum enrollment limit of 5 certificates for a device is reached',
    );

    const fingerprints = await Promise.all(
      issued.map(async (response) =>
        createHash('sha256')
          .update(Buffer.from(await readCertificate(response), 'base64url'))
          .digest('base64url'),
      ),
    );
    const { unbound_certificates, certificates } = await broker.client.device(
      await deviceIdOf(hardwareId),
    );
    expect(unbound_certificates).toBe(5);
    expect(certificates.map(({ fingerprint_sha256 }) => fingerprint_sha256).sort()).toEqual(
      fingerprints.sort(),
    );
    expect(new Set(certificates.map(({ serial_number }) => serial_number)).size).toBe(5);
  });

  it('makes room when a user signs in or a certificate is revoked, and the token is still good', async () => {
    const client = await broker.client.registerClient();
    const hardwareId = newHardwareId();
    const devices = await Promise.all(
      Array.from({ length: 7 }, () => FakeDevice.create(hardwareId)),
    );
    const five = devices.slice(0, 5);
    for (const device of five) await broker.client.enroll(device);
    const [first, second] = devices;
    const [sixth, seventh] = devices.slice(5);
    if (!first || !second || !sixth || !seventh) throw new Error('there are seven');
    const token = await tokenFor(hardwareId);
    await expectProblem(await send(sixth, token), 409, 'enrollment_limit_reached');
    // Those who have one get it again.
    await broker.client.enroll(second);

    expectTrusted(await broker.client.signIn(client, first));
    await readCertificate(await send(sixth, token));
    const other = await tokenFor(hardwareId);
    await expectProblem(await send(seventh, other), 409, 'enrollment_limit_reached');

    const deviceId = await deviceIdOf(hardwareId);
    const { certificates } = await broker.client.device(deviceId);
    const unbound = certificates.find(({ status }) => status === 'issued');
    await broker.client.revoke(deviceId, unbound?.fingerprint_sha256 ?? '');
    await readCertificate(await send(seventh, other));
    const after = await broker.client.device(deviceId);
    expect([after.unbound_certificates, after.certificates.length]).toEqual([5, 7]);
  });
});

describe('#28 one key', () => {
  it('never serves two devices', async () => {
    const device = await enrollDevice(broker);
    const hardwareId = newHardwareId();
    const response = await broker.client.post('/v1/enrollments', {
      ...device.enrollmentRequest(await tokenFor(hardwareId)),
      hardware_id: hardwareId,
    });
    await expectProblem(response, 409, 'key_of_other_device');
    expect((await certificateOf(broker, device)).status).toBe('issued');
  });

  it('never serves two devices that ask at once', async () => {
    const device = await FakeDevice.create();
    const requests = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const hardwareId = newHardwareId();
        const token = await tokenFor(hardwareId);
        return { ...device.enrollmentRequest(token), hardware_id: hardwareId };
      }),
    );
    const responses = await Promise.all(
      requests.map((body) => broker.client.post('/v1/enrollments', body)),
    );
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
    for (const response of responses.filter(({ status }) => status !== 201)) {
      await expectProblem(response, 409, 'key_of_other_device');
    }
  });
});

describe('#31 one piece of hardware', () => {
  it.each([
    'spelling-1234',
    '  SPELLING-1234  ',
    'Spelling 1234',
    'SPELLING1234',
    'spelling.12_34',
    'ＳＰＥＬＬＩＮＧ－１２３４',
    '\u{1D412}PELLING-1234',
    'SPELLING/12:34',
  ])('has one id, and one limit, spelled %j', async (serialNumber) => {
    const first = await broker.client.createEnrollmentToken({ serial_number: 'SPELLING1234' });
    const second = await broker.client.createEnrollmentToken({ serial_number: serialNumber });
    expect(second.device_id).toBe(first.device_id);
    expect(first.device_id).not.toContain('SPELLING');
  });

  it('takes a token that was made under another spelling', async () => {
    const serial = crypto.randomUUID();
    const device = await FakeDevice.create({ serial_number: serial.replaceAll('-', '') });
    const token = await tokenFor({ serial_number: ` ${serial.toUpperCase()} ` });
    await readCertificate(await send(device, token));
  });

  it('has the same id by its UUID, in any spelling', async () => {
    const uuid = crypto.randomUUID();
    const ids = await Promise.all(
      [uuid, uuid.toUpperCase(), `{${uuid}}`, uuid.replaceAll('-', '')].map(
        async (hardware_uuid) =>
          (await broker.client.createEnrollmentToken({ hardware_uuid })).device_id,
      ),
    );
    expect(new Set(ids).size).toBe(1);
  });

  it.each<[HardwareId, 'hardware_id_invalid' | 'hardware_id_placeholder', string]>([
    [{ serial_number: 'ТEST1234' }, 'hardware_id_invalid', 'serial_number'],
    [{ serial_number: 'TESﬀ\u0301' }, 'hardware_id_invalid', 'serial_number'],
    [{ serial_number: 'TEST\u00001234' }, 'hardware_id_invalid', 'serial_number'],
    [{ serial_number: "TEST'; DROP--" }, 'hardware_id_invalid', 'serial_number'],
    [{ serial_number: 'ABC' }, 'hardware_id_invalid', 'serial_number'],
    [{ hardware_uuid: 'not-a-uuid' }, 'hardware_id_invalid', 'hardware_uuid'],
    [{ serial_number: 'GOOD1234', hardware_uuid: 'bad' }, 'hardware_id_invalid', 'hardware_uuid'],
    [{ serial_number: 'To Be Filled By O.E.M.' }, 'hardware_id_placeholder', 'serial_number'],
    [{ serial_number: 'System Serial Number' }, 'hardware_id_placeholder', 'serial_number'],
    [{ serial_number: '00000000' }, 'hardware_id_placeholder', 'serial_number'],
    [{ serial_number: 'none' }, 'hardware_id_placeholder', 'serial_number'],
    [
      { hardware_uuid: 'ffffffff-ffff-ffff-ffff-ffffffffffff' },
      'hardware_id_placeholder',
      'hardware_uuid',
    ],
    [
      { hardware_uuid: '03000200-0400-0500-0006-000700080009' },
      'hardware_id_placeholder',
      'hardware_uuid',
    ],
  ])('is not %j', async (hardwareId, code, field) => {
    const token = await broker.client.admin('POST', '/v1/admin/enrollment-tokens', {
      hardware_id: hardwareId,
      ttl_seconds: 60,
    });
    await expectProblem(token, 400, code, `hardware_id.${field}`);
    const device = await FakeDevice.create(hardwareId);
    const response = await send(device, 'A'.repeat(43));
    await expectProblem(response, 400, code, `hardware_id.${field}`);
  });

  it('is not two machines with one serial number', async () => {
    const serial_number = `TWIN${crypto.randomUUID()}`;
    const original = await FakeDevice.create({ serial_number, hardware_uuid: crypto.randomUUID() });
    await broker.client.enroll(original);
    const twin = await FakeDevice.create({ serial_number, hardware_uuid: crypto.randomUUID() });
    const token = await tokenFor(twin.hardwareId);
    await expectProblem(await send(twin, token), 409, 'hardware_id_duplicate');
    await broker.client.enroll(original);
  });

  it('is known by its UUID where the serial number is a placeholder', async () => {
    const hardware_uuid = crypto.randomUUID();
    const device = await FakeDevice.create({ serial_number: 'Default string', hardware_uuid });
    await broker.client.enroll(device);
    const { device_id } = await broker.client.createEnrollmentToken({ hardware_uuid });
    expect(device_id).toBe(device.deviceId);
  });
});

describe('#40 a serial number', () => {
  it('is positive, of 128 random bits, and never given twice', async () => {
    const devices = await Promise.all(Array.from({ length: 60 }, () => FakeDevice.create()));
    const serials = await Promise.all(
      devices.map(async (device) => {
        const { certificate } = await broker.client.enroll(device);
        return new X509Certificate(Buffer.from(certificate, 'base64url')).serialNumber;
      }),
    );
    for (const serial of serials) expect(serial).toMatch(/^01[0-9A-F]{32}$/);
    expect(new Set(serials).size).toBe(60);
    const bytes = serials.map((serial) => Buffer.from(serial.slice(2), 'hex'));
    for (let bit = 0; bit < 128; bit++) {
      const ones = bytes.filter((each) => ((each[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
      // Six standard deviations on either side of one half.
      expect(Math.abs(ones - 30), `bit ${bit}`).toBeLessThan(6 * Math.sqrt(15));
    }
  });
});
