// A disk without space: nothing is allowed that was not recorded, nothing that was answered is lost, and once there is
// space again everything goes on without a start.
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import { problemDocument } from '@countersign/protocol/problem';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SmallDiskBroker } from '../support/faults/small-disk-broker.ts';

let broker: SmallDiskBroker;
let client: TestClient;
beforeAll(async () => {
  broker = await SmallDiskBroker.start(32);
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stop());

type Answer = {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
};

async function read(sent: Promise<Response>): Promise<Answer> {
  const response = await sent;
  const retryAfter = response.headers.get('Retry-After');
  return { status: response.status, text: await response.text(), retryAfter };
}

/** Refused for want of space, in the form that clients know. */
function expectUnavailable({ status, text, retryAfter }: Answer): void {
  expect(text).toMatch(/"code":"(storage|snapshot)_unavailable"/);
  expect(problemDocument.parse(JSON.parse(text)).status).toBe(503);
  expect(status).toBe(503);
  expect(Number(retryAfter)).toBeGreaterThan(0);
}

type SignIn = { readonly body: unknown; readonly mayBeAllowed: boolean; answer?: EvaluationAnswer };
type Enrollment = { readonly device: FakeDevice; readonly token: string; certificate?: string };

async function prepareSignIn(device: FakeDevice, subject: string): Promise<SignIn> {
  const transaction = randomText();
  const challenge = await broker.client.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);
  const body = broker.client.evaluationBody(client, { subject, transaction, evidence });
  return { body, mayBeAllowed: subject !== 'mallory' };
}

/** @returns whether it was answered with a decision */
async function send(signIn: SignIn): Promise<boolean> {
  const answer = await read(broker.client.sendEvaluation(client, signIn.body));
  if (answer.status >= 300) {
    expectUnavailable(answer);
    return false;
  }
  const decided = evaluationAnswer.parse(JSON.parse(answer.text));
  expect(decided.decision).toBe(signIn.mayBeAllowed);
  expect(decided.context.decision_id).toBe(
    signIn.answer?.context.decision_id ?? decided.context.decision_id,
  );
  signIn.answer = decided;
  return true;
}

/** @returns whether it was answered with a certificate */
async function enroll(enrollment: Enrollment): Promise<boolean> {
  const { device, token } = enrollment;
  const answer = await read(broker.client.post('/v1/enrollments', device.enrollmentRequest(token)));
  if (answer.status >= 300) {
    expectUnavailable(answer);
    return false;
  }
  const { certificate } = enrollmentAnswer.parse(JSON.parse(answer.text));
  expect(certificate).toBe(enrollment.certificate ?? certificate);
  enrollment.certificate = certificate;
  return true;
}

const enrollments: Enrollment[] = [];
const signIns: SignIn[] = [];

async function checkRecords(): Promise<void> {
  const rows = new Map<string, string>();
  for (let shard = 0; shard < broker.shardCount; shard++) {
    const { rows: page, head } = await broker.client.decisions(shard);
    expect(firstBrokenRow(page, head)).toBeUndefined();
    for (const row of page) rows.set(`${shard}.${row.sequence}`, row.record);
  }
  for (const { answer } of signIns) {
    if (answer === undefined) continue;
    const record = JSON.parse(rows.get(answer.context.decision_id) ?? '{}');
    expect(record.decision, answer.context.decision_id).toBe(answer.decision);
  }
  for (const { device, certificate } of enrollments) {
    const { device_id } = await broker.client.createEnrollmentToken(device.hardwareId);
    const { certificates, unbound_certificates } = await broker.client.device(device_id);
    expect(certificates.length, 'one key, one certificate').toBe(1);
    expect(unbound_certificates).toBe(1);
    if (certificate !== undefined) expect(certificates[0]?.status).toBe('issued');
  }
}

it('refuses with 503 while the disk is full, loses nothing, and goes on when there is space', async () => {
  const bound = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const device = await FakeDevice.create();
      await broker.client.enroll(device);
      const user = `user-${index}`;
      expect((await broker.client.signIn(client, device, user)).decision).toBe(true);
      return { device, user };
    }),
  );
  // Tokens are rows, too: made while there is space.
  for (let index = 0; index < 60; index++) {
    const device = await FakeDevice.create();
    const { enrollment_token } = await broker.client.createEnrollmentToken(device.hardwareId);
    enrollments.push({ device, token: enrollment_token });
  }
  const workerd = broker.server.workerdPid;

  broker.fill();
  expect(broker.freeBytes).toBe(0);
  const refused = { enrollments: 0, signIns: 0, changes: 0 };
  // What SQLite has set aside takes a few more rows, so that the load goes on until every kind was refused often.
  for (let round = 0; round < 40 && Math.min(...Object.values(refused)) < 20; round++) {
    const batch = enrollments.slice((round * 10) % 60, ((round * 10) % 60) + 10);
    const work = batch.map(async (enrollment) => {
      if (!(await enroll(enrollment))) refused.enrollments += 1;
    });
    for (const { device, user } of bound) {
      const asked = await prepareSignIn(device, round % 4 === 0 ? 'mallory' : user);
      signIns.push(asked);
      work.push(
        send(asked).then((isAnswered) => {
          if (!isAnswered) refused.signIns += 1;
        }),
      );
    }
    await Promise.all(work);
    const name = `change-${round}`;
    const input = { name, enforcement: 'monitor' };
    const change = await read(broker.client.admin('PUT', `/v1/admin/applications/${name}`, input));
    if (change.status >= 300) {
      expectUnavailable(change);
      refused.changes += 1;
    }
    // A retry in the meantime gets what was recorded, or another refusal.
    await Promise.all(signIns.slice(-4).map(send));
  }
  expect(Math.min(...Object.values(refused)), JSON.stringify(refused)).toBeGreaterThanOrEqual(20);
  expect((await broker.client.request('/healthz')).status).toBe(200);

  broker.freeSpace();
  // Everything that was refused is done now, what was answered is answered the same.
  for (const enrollment of enrollments) expect(await enroll(enrollment)).toBe(true);
  for (const signIn of signIns) expect(await send(signIn)).toBe(true);
  for (const { device, user } of bound) {
    const answer = await broker.client.signIn(client, device, user);
    expect(answer.decision, answer.context.reason_code).toBe(true);
  }
  expect(broker.server.workerdPid).toBe(workerd);
  await checkRecords();

  // It was on disk, and not in memory alone.
  await broker.server.killWorkerd();
  await checkRecords();
});
