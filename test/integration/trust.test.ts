import { env } from 'cloudflare:test';
import { decodeBase64url, encodeBase64url, packEvidence } from '@countersign/protocol';
import { challengeClaims } from '@countersign/protocol/challenge';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import {
  assembleCertificate,
  createLeafTemplate,
  decodePem,
  identifyPublicKey,
  type ParsedCertificate,
  parseCertificate,
  type X509Result,
} from '@countersign/x509';
import { CompactSign, decodeJwt, decodeProtectedHeader, importPKCS8 } from 'jose';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { recordOf, shardOf, sqlInShard } from './test-objects.ts';

// When a device is trusted, and when not.

let client: TestClient;
let monitoring: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
  monitoring = await broker.registerClient({ enforcement: 'monitor' });
});
afterEach(() => {
  vi.useRealTimers();
});

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

const boundUserOf = async (device: FakeDevice) => {
  const { certificates } = await broker.device(device.deviceId ?? '');
  return certificates[0]?.bound_user;
};

const alter = (device: FakeDevice, assignment: string) =>
  sqlInShard(
    shardOf(device.deviceId),
    `UPDATE certificates SET ${assignment} WHERE device_id = ?`,
    device.deviceId ?? '',
  );

describe('a certificate', () => {
  const faults: ReadonlyArray<readonly [reason: string, assignment: string]> = [
    ['certificate_revoked', "status = 'revoked'"],
    ['certificate_superseded', "status = 'superseded'"],
    ['certificate_not_yet_valid', `not_before_ms = ${4_000_000_000_000}`],
    ['certificate_expired', 'not_after_ms = 1'],
    ['issuer_not_active', "issuer_id = 'retired'"],
    ['certificate_unknown', "certificate_sha256 = x'00'"],
    ['certificate_unknown', "status = 'intent'"],
    ['certificate_bound_to_other_user', "status = 'bound', bound_user = 'grace', bound_epoch = 1"],
  ];

  it.each(faults)('is not trusted: %s where %s', async (reason, assignment) => {
    const device = await enrolled();
    await alter(device, assignment);
    const before = await boundUserOf(device);
    const answer = await broker.signIn(client, device);
    expect(answer).toMatchObject({
      decision: false,
      context: { reason_code: reason, device_trusted: false, policy: { rule: 'default' } },
    });
    const monitored = await broker.signIn(monitoring, device);
    expect(monitored).toMatchObject({
      decision: true,
      context: { reason_code: 'monitor_only', device_trusted: false },
    });
    expect(await boundUserOf(device)).toBe(before);
  });

  it('expires by the clock of the broker', async () => {
    const device = await enrolled();
    expect(await broker.signIn(client, device)).toMatchObject({ decision: true });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 365 * 86_400_000 + 1000 });
    expect(await broker.signIn(client, device)).toMatchObject({
      decision: false,
      context: { reason_code: 'certificate_expired' },
    });
  });

  it('is known by its bytes: one with the same names and serial number by another authority is not', async () => {
    const device = await enrolled();
    const original = must(parseCertificate(device.certificate ?? new Uint8Array()));
    const lookAlike = await issueLookAlike(original, device.deviceId ?? '');
    const parsed = must(parseCertificate(lookAlike));
    expect([parsed.serialNumber, parsed.issuer.der, parsed.subject.der]).toEqual([
      original.serialNumber,
      original.issuer.der,
      original.subject.der,
    ]);
    const { transaction, challenge } = await challengeOutside(client, [shardOf(device.deviceId)]);
    const evidence = await device.evidence(challenge, client.origin, { certificate: lookAlike });
    const answer = await broker.evaluate(client, { transaction, evidence });
    expect(answer).toMatchObject({
      decision: false,
      context: { reason_code: 'certificate_unknown', device_trusted: false },
    });
    const record = await recordOf(answer.context.decision_id);
    // The challenge's own shard: whoever invents certificates could name all of them otherwise.
    expect(record).toMatchObject({ device_id: '', opened: true, shard: shardOf(record.id) });
    expect(record).not.toHaveProperty('certificate_number');
    expect(await boundUserOf(device)).toBeUndefined();
  });

  it('that nobody issued gives one decision for a challenge, whichever shard it names', async () => {
    const device = await enrolled();
    const original = must(parseCertificate(device.certificate ?? new Uint8Array()));
    const shards = [0, 1, 2, 3];
    const { transaction, challenge } = await challengeOutside(monitoring, shards);
    const answers = [];
    for (const shard of shards) {
      const named = encodeBase64url(new Uint8Array([0, 0, 0, shard, ...new Uint8Array(12)]));
      const certificate = await issueLookAlike(original, named);
      const evidence = await device.evidence(challenge, monitoring.origin, { certificate });
      answers.push(await broker.evaluate(monitoring, { transaction, evidence }));
    }
    expect(answers.map(({ decision, context }) => [decision, context.reason_code])).toEqual([
      [true, 'monitor_only'],
      ...Array(3).fill([false, 'challenge_already_used']),
    ]);
  });
});

/** A challenge whose own shard is none of these. */
async function challengeOutside(as: TestClient, shards: readonly number[]) {
  for (;;) {
    const transaction = randomText();
    const challenge = await broker.challenge(as, transaction);
    if (!shards.includes(shardOf(decodeJwt(challenge).jti))) return { transaction, challenge };
  }
}

function must<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

/** The same certificate from an authority that has the name of ours, and another key. */
async function issueLookAlike(original: ParsedCertificate, deviceId: string) {
  const issuer = must(parseCertificate(must(decodePem(env.ISSUER_CERTIFICATE, 'CERTIFICATE'))));
  const { toBeSigned } = must(
    must(createLeafTemplate(issuer))({
      serialNumber: Uint8Array.from(original.serialNumber.match(/../g) ?? [], (pair) =>
        Number.parseInt(pair, 16),
      ),
      commonName: 'Countersign device',
      deviceId,
      subjectPublicKey: await identifyPublicKey(original.subjectPublicKey),
      notBeforeMs: original.notBeforeMs,
      notAfterMs: original.notAfterMs,
    }),
  );
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  if (!('privateKey' in keys)) throw new TypeError('a key pair was asked for');
  const signature = await crypto.subtle.sign(algorithm, keys.privateKey, toBeSigned);
  return must(assembleCertificate(toBeSigned, new Uint8Array(signature), issuer.subjectPublicKey));
}

describe('a challenge', () => {
  it('is good through its last second', async () => {
    const device = await enrolled();
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = await device.evidence(challenge, client.origin);
    const exp = decodeJwt(challenge).exp ?? 0;
    vi.useFakeTimers({ toFake: ['Date'], now: exp * 1000 });
    expect(await broker.evaluate(client, { transaction, evidence })).toMatchObject({
      decision: true,
    });
  });

  it('that has expired is recorded under its id, and its retry gets that record', async () => {
    const device = await enrolled();
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = await device.evidence(challenge, client.origin);
    const { jti, exp = 0 } = decodeJwt(challenge);
    vi.useFakeTimers({ toFake: ['Date'], now: exp * 1000 + 1 });
    const input = { transaction, evidence };
    const first = await broker.evaluate(client, input);
    expect(first).toMatchObject({ decision: false, context: { reason_code: 'challenge_expired' } });
    expect(await recordOf(first.context.decision_id)).toMatchObject({ id: jti, opened: true });
    const again = await broker.evaluate(client, input);
    expect(again.context.decision_id).toBe(first.context.decision_id);
    expect(await boundUserOf(device)).toBeUndefined();
  });

  it('that the broker signed an hour ago is as dead', async () => {
    const device = await enrolled();
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const claims = challengeClaims.parse(decodeJwt(challenge));
    const key = await importPKCS8(
      `-----BEGIN PRIVATE KEY-----\n${String(env.CHALLENGE_KEY)}\n-----END PRIVATE KEY-----`,
      'ES256',
    );
    const old = await new CompactSign(
      new TextEncoder().encode(
        JSON.stringify({ ...claims, iat: claims.iat - 3600, exp: claims.exp - 3600 }),
      ),
    )
      .setProtectedHeader({ ...decodeProtectedHeader(challenge), alg: 'ES256' })
      .sign(key);
    const unverifiedResponse = await device.respond(old, client.origin);
    const evidence = packEvidence({ unverifiedChallenge: old, unverifiedResponse });
    expect(await broker.evaluate(client, { transaction, evidence })).toMatchObject({
      decision: false,
      context: { reason_code: 'challenge_expired' },
    });
  });

  it('has no room for what would make it too long to open', async () => {
    const device = await enrolled();
    const label = (length: number) => 'a'.repeat(length);
    const origins = Array.from({ length: 32 }, (_, index) => {
      const name = `n${String(index).padStart(2, '0')}`;
      return `https://${name}.${label(63)}.${label(40)}.test`;
    });
    expect(origins.join('').length).toBeLessThanOrEqual(4096);
    const input = {
      name: 'many origins',
      applications: [client.application],
      authentication: {
        method: 'client_secret' as const,
        secret_sha256: 'A'.repeat(43),
      },
    };
    const many = await broker.registerClient({ origin: origins[0] ?? '' });
    await broker.putClient(many.clientId, {
      ...input,
      applications: [many.application],
      origins,
      authentication: { method: 'client_secret', secret_sha256: await sha256(many.clientSecret) },
    });
    expect(await broker.signIn(many, device)).toMatchObject({ decision: true });

    const tooLong = origins.map((origin) => origin.replace('.test', `.${label(20)}.test`));
    const response = await broker.admin('PUT', `/v1/admin/clients/${many.clientId}`, {
      ...input,
      origins: tooLong,
    });
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ code: 'field_invalid', field: 'origins' }),
    ]);
  });
});

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(digest)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

it('names a challenge id of 128 bits', async () => {
  const { jti = '' } = decodeJwt(await broker.challenge(client, randomText()));
  expect(decodeBase64url(jti)?.length).toBe(16);
});
