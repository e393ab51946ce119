// Every token key is replaced while people sign in: nobody notices, and afterwards the old keys are worth nothing.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { verifyReceipt } from '@countersign/admin-cli/verify-receipt';
import { type DecisionReceipt, decisionReceipt } from '@countersign/policy';
import { createCountersignClient } from '@countersign/sso-sdk/server';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { getAs } from '../support/exported-log.ts';
import { signEs256 } from '../support/forge-token.ts';
import { bothKinds, mtlsEvidence, onlyMtls } from '../support/mtls-client.ts';
import { NativeHost } from '../support/native-host.ts';
import { enrollDevice, evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const run = promisify(execFile);
const server = fileURLToPath(new URL('../../packages/edge-server/src/main.ts', import.meta.url));

const rotations = Number(process.env.COUNTERSIGN_ROTATIONS ?? 1);
const signInsPerSecond = 20;
const deviceCount = 6;
/** The SDK's cache of the broker's keys does not ask twice within 30 seconds: what must be waited for is real. */
const times = { publishAtOnceMs: 32_000, settleMs: 32_000, retireMs: 8_000 };

type Purpose = 'challenge' | 'mtls-evidence' | 'decision' | 'response' | 'audit';
const purposes: readonly Purpose[] = [
  'challenge',
  'mtls-evidence',
  'decision',
  'response',
  'audit',
];

let broker: TestBroker;
let client: TestClient;
let careful: TestClient;
let devices: FakeDevice[];
let host: NativeHost;
let sdk: ReturnType<typeof sdkOf>;

const sdkOf = ({ clientId, clientSecret }: TestClient) =>
  createCountersignClient({
    brokerUrl: broker.url,
    clientId,
    authentication: { clientSecret },
    timeoutMs: 10_000,
  });

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true, keyRotation: times });
  client = await broker.client.registerClient();
  careful = await broker.client.registerClient({
    trusted_devices: 'step_up',
    factor: { acr_values: ['phr'], amr_values: [] },
  });
  devices = await Promise.all(Array.from({ length: deviceCount }, () => enrollDevice(broker)));
  host = await NativeHost.install({ origins: [client.origin] });
  await host.enroll(broker);
  sdk = sdkOf(client);
});
afterAll(async () => {
  host?.remove();
  await broker?.stopAndRemove();
});

/** Whatever was not as it should be, and the keys that were seen at work. */
const failures: string[] = [];
const seen: Record<'challenge' | 'decision' | 'response', Set<string>> = {
  challenge: new Set(),
  decision: new Set(),
  response: new Set(),
};
let signIns = 0;

const offeredKey = z.object({
  response_encryption: z.object({
    kid: z.string(),
    jwk: z.object({ kty: z.literal('EC'), crv: z.string(), x: z.string(), y: z.string() }),
  }),
});

async function evidenceBy(device: FakeDevice, challenge: string, kind: number): Promise<string> {
  if (kind === 0) {
    return onlyMtls(challenge, await mtlsEvidence(broker, client, device, challenge));
  }
  const response = await device.respond(challenge, client.origin);
  if (kind > 1) return evidenceOf(challenge, response);
  return bothKinds(challenge, response, await mtlsEvidence(broker, client, device, challenge));
}

function deviceOf(index: number): FakeDevice {
  const device = devices[index % deviceCount];
  if (device === undefined) throw new Error('there are devices');
  return device;
}

/** One sign-in as a site does it, with the real SDK. */
async function signIn(subject: string, answer: (challenge: string) => Promise<string>) {
  signIns += 1;
  try {
    const { transaction, challenge } = await openTransaction(broker, client);
    seen.challenge.add(decodeProtectedHeader(challenge).kid ?? '');
    seen.response.add(offeredKey.parse(decodeJwt(challenge)).response_encryption.kid);
    const decision = await sdk.evaluate({
      subject,
      application: client.application,
      transaction,
      evidence: await answer(challenge),
      subjectAuthenticated: true,
    });
    if (decision.decision) {
      seen.decision.add(decodeProtectedHeader(decision.decisionToken).kid ?? '');
    } else failures.push(`${decision.reasonCode} ${decision.requestId}`);
  } catch (error) {
    failures.push(String(error));
  }
}

/** At a fixed rate, however long each takes: what waits in the front does not slow the others down. */
function startLoad() {
  const underWay = new Set<Promise<void>>();
  let number = 0;
  const timer = setInterval(() => {
    number += 1;
    const index = number % deviceCount;
    const kind = Math.floor(number / deviceCount) % 5;
    const done = signIn(`user-${index}`, (challenge) =>
      evidenceBy(deviceOf(index), challenge, kind),
    );
    underWay.add(done);
    void done.then(() => underWay.delete(done));
  }, 1000 / signInsPerSecond);
  let ending = false;
  const byHost = async () => {
    while (!ending) {
      await signIn('grace', async (challenge) => {
        const answer = await host.attest(challenge, client.origin);
        if (answer.type === 'attest') return evidenceOf(challenge, answer.response);
        throw new Error(JSON.stringify(answer));
      });
      await sleep(500);
    }
  };
  const hosting = byHost();
  return async () => {
    clearInterval(timer);
    ending = true;
    await hosting;
    await Promise.all(underWay);
  };
}

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 90_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`it did not come to pass: ${what}`);
    await sleep(50);
  }
}

const jwks = z.object({ keys: z.array(z.object({ kid: z.string() })) });
async function publishedKeys(): Promise<string[]> {
  const answer = await broker.client.request('/.well-known/jwks.json');
  return jwks.parse(await answer.json()).keys.map(({ kid }) => kid);
}

async function keysInUse(): Promise<Record<Purpose, string>> {
  const ids = await Promise.all(
    purposes.map((purpose) => keyIdOf(readBrokerKey(broker.dataDirectory, purpose))),
  );
  const [challenge = '', mtls = '', decision = '', response = '', audit = ''] = ids;
  return { challenge, 'mtls-evidence': mtls, decision, response, audit };
}

const logged = (event: string) =>
  broker.logLines.filter((line) => line.includes(`"event":"${event}"`)).length;

/** A sign-in that the policy wants a factor for, up to there. */
async function beginCarefully(subject: string) {
  const device = await enrollDevice(broker);
  const { transaction, challenge } = await openTransaction(broker, careful);
  const evidence = await device.evidence(challenge, careful.origin);
  const input = { subject, transaction, evidence };
  const begun = await broker.client.evaluate(careful, input);
  expect(begun.context.reason_code).toBe('step_up_required');
  return () =>
    broker.client.complete(careful, broker.client.evaluationBody(careful, input), { acr: 'phr' });
}

/** A challenge that nobody has answered yet, and a decision token, as they are while this key signs challenges. */
async function takeWhile(challengeKey: string, isOver: () => Promise<boolean>) {
  const expected = { subject: 'user-1', application: client.application };
  let last: { transaction: string; challenge: string } | undefined;
  let token: string | undefined;
  let tokenFor = '';
  while (!(await isOver())) {
    const next = await openTransaction(broker, client);
    if (decodeProtectedHeader(next.challenge).kid !== challengeKey) break;
    last = next;
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await deviceOf(1).evidence(challenge, client.origin);
    const input = { ...expected, transaction, evidence, subjectAuthenticated: true };
    const decision = await sdk.evaluate(input);
    if (decision.decision && token === undefined) {
      token = decision.decisionToken;
      tokenFor = transaction;
    }
    await sleep(100);
  }
  if (last === undefined || token === undefined) throw new Error('there was no time for any');
  return {
    challenge: last,
    /** What responses were encrypted to. */
    encryption: offeredKey.parse(decodeJwt(last.challenge)).response_encryption,
    token,
    expected: { ...expected, transaction: tokenFor },
  };
}

/** Of a sign-in of now. */
async function takeReceipt() {
  const { context } = await broker.client.signIn(client, deviceOf(1), 'user-1');
  const path = `/v1/admin/decisions/${context.decision_id}/receipt`;
  return await getAs(broker.client, path, decisionReceipt);
}

/** The key that signed a receipt which verifies. */
async function keyOfReceipt(receipt: DecisionReceipt): Promise<string | undefined> {
  const verified = await verifyReceipt({
    text: JSON.stringify(receipt),
    rootPem: readFileSync(join(broker.dataDirectory, 'certificates', 'root.pem'), 'utf8'),
    nowMs: Date.now(),
  });
  if (!verified.ok) throw new Error(`${verified.failure}: ${verified.detail}`);
  return decodeProtectedHeader(receipt.receipt).kid;
}

async function rotateOnce(name: string): Promise<void> {
  const before = await keysInUse();
  const stolen = readBrokerKey(broker.dataDirectory, 'challenge');
  const reloads = logged('reloaded');
  const receipt = await takeReceipt();
  const args = [server, 'rotate-keys', '--now', '--data', broker.dataDirectory];
  expect((await run(process.execPath, args)).stdout).toContain('The server has taken the request.');
  await until('published', async () => (await publishedKeys()).length === 4);
  expect((await publishedKeys())[0]).toBe(before.decision);

  const complete = await beginCarefully(name);
  const old = await takeWhile(
    before.challenge,
    async () => (await keysInUse()).challenge !== before.challenge,
  );
  await until('in use', () => logged('reloaded') === reloads + 2);
  const after = await keysInUse();
  for (const purpose of purposes) expect(after[purpose]).not.toBe(before[purpose]);
  expect(await publishedKeys()).toEqual([
    after.decision,
    before.decision,
    after.audit,
    before.audit,
  ]);

  // What began with the old keys ends with the new ones.
  const { transaction, challenge } = old.challenge;
  const evidence = await deviceOf(1).evidence(challenge, client.origin);
  expectTrusted(await broker.client.evaluate(client, { transaction, evidence, subject: 'user-1' }));
  const completed = await complete();
  expect(completed.decision).toBe(true);
  expect(decodeProtectedHeader(completed.context.decision_token ?? '').kid).toBe(after.decision);
  expect(decodeProtectedHeader(old.token).kid).toBe(before.decision);
  await sdkOf(client).verifyDecisionToken(old.token, old.expected);

  // A receipt carries its own way to the root, whatever the keys are by now.
  expect(await keyOfReceipt(receipt)).toBe(before.audit);
  expect(await keyOfReceipt(await takeReceipt())).toBe(after.audit);

  const unused = await openTransaction(broker, client);
  await until('retired', () => logged('reloaded') === reloads + 3);
  expect(await publishedKeys()).toEqual([after.decision, after.audit]);
  await expect(sdkOf(client).verifyDecisionToken(old.token, old.expected)).rejects.toMatchObject({
    code: 'decision_token_key_unknown',
  });
  // Whoever has stolen the old challenge key gets nowhere with it, nor under the new one's name.
  const header = decodeProtectedHeader(unused.challenge);
  const claims = decodeJwt(unused.challenge);
  const forge = (kid: string) => signEs256({ ...header, kid }, { ...claims }, stolen);
  for (const [kid, reason] of [
    [before.challenge, 'challenge_key_unknown'],
    [after.challenge, 'challenge_signature_invalid'],
  ] as const) {
    const forged = await deviceOf(1).evidence(forge(kid), client.origin);
    const input = { transaction: unused.transaction, evidence: forged };
    expectDenied(await broker.client.evaluate(client, input), reason);
  }
  const { challenge: fresh, transaction: freshTransaction } = await openTransaction(broker, client);
  const response = await deviceOf(1).respond(fresh, client.origin, {
    encryption: old.encryption,
  });
  const toOldKey = { transaction: freshTransaction, evidence: evidenceOf(fresh, response) };
  expectDenied(await broker.client.evaluate(client, toOldKey), 'response_undecryptable');
  expect(readdirSync(join(broker.dataDirectory, 'keys'))).toHaveLength(
    purposes.length +
      ['root', 'issuer', 'key-set-signer', 'scep-ra', 'stored-secrets', 'device-id'].length,
  );
}

it('#12 every key, under load: no refusal, no failed request, and the old ones die on time', async () => {
  // From now on the SDK has the keys in its cache.
  await signIn('user-0', (challenge) => evidenceBy(deviceOf(0), challenge, 2));
  const endLoad = startLoad();
  for (let rotation = 1; rotation <= rotations; rotation++) {
    await rotateOnce(`careful-${rotation}`);
  }
  await endLoad();
  expect(failures).toEqual([]);
  expect(signIns).toBeGreaterThan(rotations * 40 * signInsPerSecond * 0.8);
  for (const kids of Object.values(seen)) expect(kids.size).toBe(rotations + 1);
  for (const event of ['request_failed', 'answer_failed', 'reload_cuts_off', 'workerd_ended']) {
    expect([event, logged(event)]).toEqual([event, 0]);
  }
  expect(await broker.brokenRows()).toEqual([]);
});
