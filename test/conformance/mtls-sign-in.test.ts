// Sign-ins by client certificate: alone, beside the extension, and everything that must not come of them.
import { packEvidence } from '@countersign/protocol';
import type { EvaluationAnswer } from '@countersign/protocol/evaluation';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { type BrokerKeyName, keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { recipientOf } from '../support/forge-response.ts';
import { encryptJwe, signEs256 } from '../support/forge-token.ts';
import { bothKinds, mtlsEvidence, onlyMtls } from '../support/mtls-client.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  openTransaction,
} from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true });
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stopAndRemove());

const byMtls = (device: FakeDevice, subject?: string) =>
  evaluateWith(
    broker,
    client,
    async (challenge) => onlyMtls(challenge, await mtlsEvidence(broker, client, device, challenge)),
    subject,
  );

/** The extension's answer by one device, the certificate of another. */
const byBoth = (extensionDevice: FakeDevice, mtlsDevice: FakeDevice) =>
  evaluateWith(broker, client, async (challenge) =>
    bothKinds(
      challenge,
      await extensionDevice.respond(challenge, client.origin),
      await mtlsEvidence(broker, client, mtlsDevice, challenge),
    ),
  );

const recordedChannel = z.looseObject({
  reason: z.string(),
  device_id: z.string(),
  channel: z.optional(z.string()),
  alarm: z.optional(z.string()),
});

async function recordOf(answer: EvaluationAnswer) {
  const [shard, sequence] = answer.context.decision_id.split('.').map(Number);
  const { rows } = await broker.client.decisions(shard ?? -1);
  const row = rows.find((each) => each.sequence === sequence);
  return recordedChannel.parse(JSON.parse(row?.record ?? 'null'));
}

describe('a sign-in', () => {
  it('by mTLS alone is trusted, binds, and is recorded as such', async () => {
    const device = await enrollDevice(broker);
    const answer = await byMtls(device);
    expectTrusted(answer);
    expect(await recordOf(answer)).toMatchObject({ channel: 'mtls', device_id: device.deviceId });
    expect((await certificateOf(broker, device)).bound_user).toBe('ada');
    expectTrusted(await byMtls(device));
    expectDenied(await byMtls(device, 'grace'), 'certificate_bound_to_other_user');
  });

  it('by both is trusted where both name one certificate', async () => {
    const device = await enrollDevice(broker);
    const answer = await byBoth(device, device);
    expectTrusted(answer);
    expect(await recordOf(answer)).toMatchObject({ channel: 'both', device_id: device.deviceId });
    expect((await recordOf(answer)).alarm).toBeUndefined();
  });

  it('by the extension is what it was', async () => {
    const device = await enrollDevice(broker);
    const answer = await broker.client.signIn(client, device);
    expectTrusted(answer);
    expect(await recordOf(answer)).toMatchObject({ channel: 'extension' });
  });

  it.each(['ec-p384', 'rsa-2048'] as const)(
    'by mTLS with a key of kind %s is trusted',
    async (kind) => {
      expectTrusted(await byMtls(await enrollDevice(broker, kind)));
    },
  );

  it('by both is denied as an alarm where they name two devices', async () => {
    const [one, other] = [await enrollDevice(broker), await enrollDevice(broker)];
    const before = broker.logLines.length;
    const answer = await byBoth(one, other);
    expectDenied(answer, 'evidence_lineage_mismatch');
    expect(await recordOf(answer)).toMatchObject({
      reason: 'evidence_lineage_mismatch',
      alarm: 'lineage_mismatch',
    });
    const alarms = () =>
      broker.logLines.slice(before).filter((line) => line.includes('"event":"alarm"'));
    await expect.poll(alarms, { timeout: 5_000 }).toHaveLength(1);
    expect(alarms()[0]).toContain('lineage_mismatch');
    // Neither was bound, and each goes on by itself.
    expectTrusted(await byMtls(one));
    expectTrusted(await byMtls(other, 'grace'));
  });

  it('by both is denied as an alarm where they name two enrollments of one device', async () => {
    const device = await enrollDevice(broker);
    const again = await FakeDevice.create(device.hardwareId);
    await broker.client.enroll(again);
    expect(again.deviceId).toBe(device.deviceId);
    const answer = await byBoth(device, again);
    expectDenied(answer, 'evidence_lineage_mismatch');
    expect(await recordOf(answer)).toMatchObject({ alarm: 'lineage_mismatch' });
  });

  it('#19 by a certificate that was revoked after its evidence was given is denied', async () => {
    const device = await enrollDevice(broker);
    const { fingerprint_sha256 } = await certificateOf(broker, device);
    const revoke = () => broker.client.revoke(device.deviceId ?? '', fingerprint_sha256);
    const answer = await evaluateWith(broker, client, async (challenge) => {
      const evidence = await mtlsEvidence(broker, client, device, challenge);
      await revoke();
      return onlyMtls(challenge, evidence);
    });
    expectDenied(answer, 'certificate_revoked');
    // The TLS layer has not heard of it and still accepts it, as do later attempts up to the decision.
    expectDenied(await byMtls(device), 'certificate_revoked');
    expectDenied(await byBoth(device, device), 'certificate_revoked');
  });
});

describe('mTLS evidence', () => {
  it('#1 is of no use twice, nor for another challenge, client or transaction', async () => {
    const device = await enrollDevice(broker);
    const first = await openTransaction(broker, client);
    const evidence = await mtlsEvidence(broker, client, device, first.challenge);
    const second = await openTransaction(broker, client);
    expectDenied(
      await broker.client.evaluate(client, {
        transaction: second.transaction,
        evidence: onlyMtls(second.challenge, evidence),
      }),
      'mtls_evidence_wrong_challenge',
    );
    expectDenied(
      await broker.client.evaluate(client, {
        transaction: second.transaction,
        evidence: onlyMtls(first.challenge, evidence),
      }),
      'challenge_wrong_transaction',
    );
    const otherClient = await broker.client.registerClient();
    expectDenied(
      await broker.client.evaluate(otherClient, {
        transaction: first.transaction,
        evidence: onlyMtls(first.challenge, evidence),
      }),
      'challenge_wrong_client',
    );
    const honest = {
      transaction: first.transaction,
      evidence: onlyMtls(first.challenge, evidence),
    };
    const answer = await broker.client.evaluate(client, honest);
    expectTrusted(answer);
    const retried = await broker.client.evaluate(client, honest);
    expectTrusted(retried);
    expect(retried.context.decision_id).toBe(answer.context.decision_id);
    expectDenied(
      await broker.client.evaluate(client, { ...honest, subject: 'grace' }),
      'challenge_already_used',
    );
  });

  it('is unreadable for the page', async () => {
    const device = await enrollDevice(broker);
    const { challenge } = await openTransaction(broker, client);
    const [header = '', key, ...rest] = (
      await mtlsEvidence(broker, client, device, challenge)
    ).split('.');
    expect(key).toBe('');
    expect(rest).toHaveLength(3);
    const parsed = JSON.parse(Buffer.from(header, 'base64url').toString());
    expect(Object.keys(parsed).toSorted()).toEqual(['alg', 'enc', 'epk', 'kid']);
    expect(parsed.kid).toBe(recipientOf(challenge).kid);
    const bytes = rest.map((part) => Buffer.from(part, 'base64url').toString('latin1')).join();
    expect(bytes).not.toContain(device.deviceId);
  });

  it('beside a good response still has to be good', async () => {
    const device = await enrollDevice(broker);
    const answer = await evaluateWith(broker, client, async (challenge) =>
      bothKinds(challenge, await device.respond(challenge, client.origin), 'a.b.c.d.e'),
    );
    expectDenied(answer, 'mtls_evidence_undecryptable');
  });

  it('in place of a response, and a response in its place, are neither', async () => {
    const device = await enrollDevice(broker);
    const swapped = await evaluateWith(broker, client, async (challenge) =>
      packEvidence({
        unverifiedChallenge: challenge,
        unverifiedResponse: await mtlsEvidence(broker, client, device, challenge),
      }),
    );
    expectDenied(swapped, 'response_malformed');
    const other = await evaluateWith(broker, client, async (challenge) =>
      onlyMtls(challenge, await device.respond(challenge, client.origin)),
    );
    expectDenied(other, 'mtls_evidence_malformed');
  });
});

const challengeClaims = z.object({
  iss: z.string(),
  aud: z.string(),
  jti: z.string(),
  exp: z.number(),
});

describe('#7 #10 mTLS evidence that the endpoint did not give', () => {
  let device: FakeDevice;
  let certificateSha256: string;
  beforeAll(async () => {
    device = await enrollDevice(broker);
    certificateSha256 = (await certificateOf(broker, device)).fingerprint_sha256;
  });

  type Forgery = {
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly header?: Readonly<Record<string, unknown>>;
    readonly signedBy?: BrokerKeyName;
    readonly unencrypted?: true;
  };

  /** A sign-in with evidence that the test makes as the endpoint would, but for what it changes. */
  const evaluateForged = ({ claims, header, signedBy = 'mtls-evidence', unencrypted }: Forgery) =>
    evaluateWith(broker, client, async (challenge) => {
      const { iss, aud, jti, exp } = challengeClaims.parse(decodeJwt(challenge));
      const genuine = {
        iss,
        aud,
        challenge_id: jti,
        origin: client.origin,
        device_id: device.deviceId,
        certificate_sha256: certificateSha256,
        iat: Math.floor(Date.now() / 1000),
        exp,
      };
      const kid = await keyIdOf(readBrokerKey(broker.dataDirectory, 'mtls-evidence'));
      const jws = signEs256(
        { alg: 'ES256', typ: 'mtls-evidence+jwt', kid, ...header },
        { ...genuine, ...claims },
        readBrokerKey(broker.dataDirectory, signedBy),
      );
      return onlyMtls(challenge, unencrypted ? jws : encryptJwe(jws, recipientOf(challenge)));
    });

  it('would be believed if nothing were wrong with it', async () => {
    expectTrusted(await evaluateForged({}));
  });

  it.each([
    ['challenge_id', 'A'.repeat(22), 'mtls_evidence_wrong_challenge'],
    ['iss', 'https://other.example', 'mtls_evidence_wrong_audience'],
    ['aud', 'org_other', 'mtls_evidence_wrong_audience'],
    ['origin', 'https://evil.example', 'mtls_evidence_wrong_origin'],
    ['origin', 'null', 'mtls_evidence_malformed'],
    ['exp', 1_000_000_000, 'mtls_evidence_expired'],
    ['exp', '9999999999', 'mtls_evidence_malformed'],
    ['exp', undefined, 'mtls_evidence_malformed'],
    ['certificate_sha256', 'A'.repeat(43), 'certificate_unknown'],
    ['certificate_sha256', 'AAAA', 'mtls_evidence_malformed'],
  ] as const)('with %s %j is refused', async (member, value, reason) => {
    expectDenied(await evaluateForged({ claims: { [member]: value } }), reason);
  });

  it.each([
    [{ typ: 'decision+jwt' }, 'mtls_evidence_malformed'],
    [{ typ: undefined }, 'mtls_evidence_malformed'],
    [{ alg: 'none' }, 'mtls_evidence_malformed'],
    [{ alg: 'HS256' }, 'mtls_evidence_malformed'],
    [{ crit: ['exp'] }, 'mtls_evidence_malformed'],
    [{ jwk: {} }, 'mtls_evidence_malformed'],
    [{ kid: 'other' }, 'mtls_evidence_key_unknown'],
    [{ kid: undefined }, 'mtls_evidence_key_unknown'],
  ] as const)('with the header %j is refused', async (header, reason) => {
    expectDenied(await evaluateForged({ header }), reason);
  });

  it.each(['challenge', 'decision', 'issuer'] as const)(
    "signed by the broker's %s key is refused",
    async (signedBy) => {
      expectDenied(await evaluateForged({ signedBy }), 'mtls_evidence_signature_invalid');
    },
  );

  it('is refused when it is not encrypted', async () => {
    expectDenied(await evaluateForged({ unencrypted: true }), 'mtls_evidence_undecryptable');
  });
});
