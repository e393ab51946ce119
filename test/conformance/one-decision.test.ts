// A challenge that no device of ours has answered gives one decision, whatever comes with it.
import { randomBytes } from 'node:crypto';
import type { EvaluationAnswer } from '@countersign/protocol/evaluation';
import type { TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, type FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readBrokerCertificate } from '../support/broker-keys.ts';
import { impersonateIssuer, issueLookAlike, parsed } from '../support/forge-certificate.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
/** Monitor only: an untrusted sign-in is allowed, with a token. */
let client: TestClient;
let device: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start({ shardCount: 8 });
  client = await broker.client.registerClient({ enforcement: 'monitor' });
  device = await enrollDevice(broker);
});
afterAll(() => broker?.stopAndRemove());

/** Evidence that is signed well, with a certificate that nobody issued, for a device that does not exist. */
async function inventedEvidence(challenge: string): Promise<string> {
  const issuer = parsed(readBrokerCertificate(broker.dataDirectory, 'issuer').raw);
  const certificate = await issueLookAlike(parsed(device.certificate), impersonateIssuer(issuer), {
    deviceId: randomBytes(16).toString('base64url'),
  });
  return await device.evidence(challenge, client.origin, { certificate });
}

const tokenOf = ({ context }: EvaluationAnswer) => context.decision_token;

it('when twenty invented devices answer it', async () => {
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = await Promise.all(Array.from({ length: 20 }, () => inventedEvidence(challenge)));
  const answers = await Promise.all(
    evidence.map((each) => broker.client.evaluate(client, { transaction, evidence: each })),
  );
  const allowed = answers.filter(({ decision }) => decision);
  expect(allowed).toHaveLength(1);
  expect(allowed[0]?.context).toMatchObject({
    reason_code: 'monitor_only',
    device_trusted: false,
    decision_token: expect.any(String),
  });
  const others = answers.filter(({ decision }) => !decision);
  expect(new Set(others.map(({ context }) => context.reason_code))).toEqual(
    new Set(['challenge_already_used']),
  );
  expect(others.map(tokenOf)).toEqual(others.map(() => undefined));
});

it('when it was decided without a device before', async () => {
  const { transaction, challenge } = await openTransaction(broker, client);
  const without = evidenceWithoutResponse(challenge, 'extension_timeout');
  const first = await broker.client.evaluate(client, { transaction, evidence: without });
  expect(first).toMatchObject({ decision: true, context: { reason_code: 'monitor_only' } });
  for (let attempt = 0; attempt < 8; attempt++) {
    const evidence = await inventedEvidence(challenge);
    const answer = await broker.client.evaluate(client, { transaction, evidence });
    expect(answer.context.reason_code).toBe('challenge_already_used');
  }
});

it('and a retry of it the same one', async () => {
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = await inventedEvidence(challenge);
  const first = await broker.client.evaluate(client, { transaction, evidence });
  const second = await broker.client.evaluate(client, { transaction, evidence });
  expect(second.context.decision_id).toBe(first.context.decision_id);
  const records = await broker.recordedDecisions();
  const record = records.find(
    ({ shard, sequence }) => `${shard}.${sequence}` === first.context.decision_id,
  );
  expect(record).toMatchObject({ device_id: '', device_trusted: false, opened: true });
});
