// Which certificates count: those on record, byte for byte, for as long as they are in good standing.
import type { KeyObject } from 'node:crypto';
import type { DecisionReason } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerCertificate, readBrokerKey } from '../support/broker-keys.ts';
import {
  expectDenied,
  expectProblem,
  expectTrusted,
  readDecision,
} from '../support/expect-answer.ts';
import {
  type ForgedIssuer,
  impersonateIssuer,
  issueLookAlike,
  newKeyPair,
  parsed,
  signAgain,
} from '../support/forge-certificate.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  openTransaction,
} from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
/** The broker's own issuer, with the key that only its data folder has. */
let issuer: ForgedIssuer;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  issuer = {
    certificate: parsed(readBrokerCertificate(broker.dataDirectory, 'issuer').raw),
    privateKey: readBrokerKey(broker.dataDirectory, 'issuer'),
  };
});
afterAll(() => broker?.stopAndRemove());

/** A sign-in of `ada` with `certificate`, signed by the device's key or another one. */
async function evaluateCertificate(certificate: Uint8Array, key?: KeyObject) {
  const signWith =
    key === undefined
      ? device.privateKey
      : await crypto.subtle.importKey(
          'pkcs8',
          new Uint8Array(key.export({ format: 'der', type: 'pkcs8' })),
          { name: 'ECDSA', namedCurve: 'P-256' },
          false,
          ['sign'],
        );
  return await evaluateWith(broker, client, (challenge) =>
    device.evidence(challenge, client.origin, { certificate, signWith }),
  );
}

describe('#20 a certificate that is not on record', () => {
  it('of another authority with the same names, serial number and key', async () => {
    const forged = signAgain(parsed(device.certificate), newKeyPair().privateKey);
    expect(parsed(forged).serialNumber).toBe(parsed(device.certificate).serialNumber);
    expectDenied(await evaluateCertificate(forged), 'certificate_unknown');
  });

  it("of another authority with the same names and serial number, for the attacker's key", async () => {
    const attacker = newKeyPair();
    const forged = await issueLookAlike(
      parsed(device.certificate),
      impersonateIssuer(issuer.certificate),
      { publicKey: attacker.publicKey },
    );
    const answer = await evaluateCertificate(forged, attacker.privateKey);
    expectDenied(answer, 'certificate_unknown');
  });

  it("of the broker's own issuer, signed with its key past the broker", async () => {
    const attacker = newKeyPair();
    const original = parsed(device.certificate);
    const forgeries: [Uint8Array, KeyObject | undefined][] = [
      [signAgain(original, issuer.privateKey), undefined],
      [await issueLookAlike(original, issuer, {}), undefined],
      [
        await issueLookAlike(original, issuer, { publicKey: attacker.publicKey }),
        attacker.privateKey,
      ],
      [await issueLookAlike(original, issuer, { deviceId: 'A'.repeat(22) }), undefined],
    ];
    for (const [forged, key] of forgeries) {
      expectDenied(await evaluateCertificate(forged, key), 'certificate_unknown');
    }
  });

  it('expired, and not on record either', async () => {
    const lastYear = Date.now() - 365 * 86_400_000;
    const forged = await issueLookAlike(parsed(device.certificate), issuer, {
      notBeforeMs: lastYear,
      notAfterMs: Date.now() - 1000,
    });
    expectDenied(await evaluateCertificate(forged), 'certificate_unknown');
  });

  it.each([0, 1, 7, 64, 127])(
    'of a device id of %i characters that names no shard',
    async (length) => {
      const original = Buffer.from(device.certificate ?? []);
      const answer = await evaluateCertificate(withDeviceId(original, 'A'.repeat(length)));
      expect(answer.decision).toBe(false);
      expect(answer.context.reason_code).toMatch(/^(certificate_malformed|certificate_unknown)$/);
    },
  );
});

describe('#20 a tampered certificate', () => {
  it('is refused wherever a byte was changed', async () => {
    const original = Buffer.from(device.certificate ?? []);
    const reasons = new Set<string>();
    const positions = Array.from({ length: 24 }, (_, index) =>
      Math.floor(((index + 0.5) * original.length) / 24),
    );
    for (const position of positions) {
      const tampered = Buffer.from(original);
      tampered[position] = (tampered[position] ?? 0) ^ 0x04;
      const answer = await evaluateCertificate(tampered);
      expect(answer.decision, `byte ${position}`).toBe(false);
      expect(answer.context.device_trusted, `byte ${position}`).toBe(false);
      reasons.add(answer.context.reason_code);
    }
    const possible: DecisionReason[] = [
      'certificate_malformed',
      'certificate_unknown',
      'response_malformed',
      'response_signature_invalid',
    ];
    expect(possible).toEqual(expect.arrayContaining([...reasons]));
    expect(reasons).toContain('certificate_unknown');
  });
});

describe('#20 a certificate of the broker that is no device certificate', () => {
  it.each(['root', 'issuer', 'key-set-signer'] as const)('of the %s', async (name) => {
    const certificate = readBrokerCertificate(broker.dataDirectory, name).raw;
    const answer = await evaluateCertificate(
      certificate,
      readBrokerKey(broker.dataDirectory, name),
    );
    expectDenied(answer, 'certificate_malformed');
  });
});

describe('#19 a revoked certificate', () => {
  it('is refused from the moment that the revocation is answered', async () => {
    const other = await enrollDevice(broker);
    expectTrusted(await broker.client.signIn(client, other));
    const { fingerprint_sha256 } = await certificateOf(broker, other);
    await broker.client.revoke(other.deviceId ?? '', fingerprint_sha256);
    expectDenied(await broker.client.signIn(client, other), 'certificate_revoked');
    expect(await certificateOf(broker, other)).toMatchObject({ status: 'revoked' });
  });

  it('may be revoked again, and only under its own device', async () => {
    const other = await enrollDevice(broker);
    const { fingerprint_sha256 } = await certificateOf(broker, other);
    const path = (deviceId: string | undefined) =>
      `/v1/admin/devices/${deviceId}/certificates/${fingerprint_sha256}/revoke`;
    const revokeAs = (deviceId: string | undefined) =>
      broker.client.admin('POST', path(deviceId), { reason: 'cessationOfOperation' });
    await expectProblem(await revokeAs(device.deviceId), 404, 'certificate_not_found');
    expect((await certificateOf(broker, other)).status).toBe('issued');
    for (let time = 0; time < 2; time++) {
      const response = await revokeAs(other.deviceId);
      const changed = time === 0 ? 1 : 0;
      expect([response.status, await response.json()]).toEqual([
        200,
        { status: 'complete', changed },
      ]);
    }
  });

  it('#36 is not issued again: its key is blocked for ever, on any device', async () => {
    const other = await enrollDevice(broker);
    const { fingerprint_sha256 } = await certificateOf(broker, other);
    await broker.client.revoke(other.deviceId ?? '', fingerprint_sha256);
    for (const hardwareId of [other.hardwareId, { serial_number: `TEST${crypto.randomUUID()}` }]) {
      const token = await broker.client.createEnrollmentToken(hardwareId);
      const response = await broker.client.post('/v1/enrollments', {
        ...other.enrollmentRequest(token.enrollment_token),
        hardware_id: hardwareId,
      });
      await expectProblem(response, 403, 'key_blocked');
    }
  });

  it('#37 ends the retry of a decision that was made before', async () => {
    const other = await enrollDevice(broker);
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await other.evidence(challenge, client.origin);
    const body = broker.client.evaluationBody(client, { transaction, evidence });
    const send = async () => await readDecision(await broker.client.sendEvaluation(client, body));
    const first = await send();
    expectTrusted(first);
    expect((await send()).context.decision_id).toBe(first.context.decision_id);
    const { fingerprint_sha256 } = await certificateOf(broker, other);
    await broker.client.revoke(other.deviceId ?? '', fingerprint_sha256);
    const refused = await send();
    expectDenied(refused, 'revoked');
    expect(refused.context.decision_token).toBeUndefined();
  });

  it('#37 does not count, whenever it was revoked between challenge and decision', async () => {
    const after: string[] = [];
    for (let round = 0; round < 20; round++) {
      const other = await enrollDevice(broker);
      const { fingerprint_sha256 } = await certificateOf(broker, other);
      const { transaction, challenge } = await openTransaction(broker, client);
      const evidence = await other.evidence(challenge, client.origin);
      const evaluate = () => broker.client.evaluate(client, { transaction, evidence });
      const revoke = () => broker.client.revoke(other.deviceId ?? '', fingerprint_sha256);
      const raced = evaluate();
      const revoked = revoke();
      const answer = await raced;
      if (!answer.decision) expectDenied(answer, 'certificate_revoked');
      await revoked;
      expectDenied(await broker.client.signIn(client, other), 'certificate_revoked');
      after.push((await evaluate()).context.reason_code);
    }
    // Either the recorded denial, or the end of a decision that had come first.
    expect(after.filter((reason) => !/^(certificate_revoked|revoked)$/.test(reason))).toEqual([]);
  });
});

it('#28 takes the same key twice for one device as one certificate', async () => {
  const other = await FakeDevice.create();
  const first = await broker.client.enroll(other);
  const second = await broker.client.enroll(other);
  expect(second.certificate).toBe(first.certificate);
  expect((await certificateOf(broker, other)).status).toBe('issued');
});

it('has bound the device to nobody through all of this', async () => {
  expect((await certificateOf(broker, device)).status).toBe('issued');
});

/** Replaces the device id in the SAN and leaves every length as it was, unless that fits no more. */
function withDeviceId(certificate: Buffer, deviceId: string): Uint8Array {
  const marker = Buffer.from('urn:countersign:device:');
  const start = certificate.indexOf(marker) + marker.length;
  const end = start + 22;
  return Buffer.concat([
    certificate.subarray(0, start),
    Buffer.from(deviceId),
    certificate.subarray(end),
  ]);
}
