// kill -9 of workerd in the middle of enrollments and sign-ins: what was answered is on record, and nothing is twice.
import { createHash, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deviceAnswer } from '@countersign/protocol/admin';
import { enrollmentAnswer, type HardwareId } from '@countersign/protocol/enrollment';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ChainReader } from '../support/model/chain-reader.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { type RecordedDecision, TestBroker } from '../support/test-broker.ts';

const rounds = Number(process.env.COUNTERSIGN_FAULT_ROUNDS ?? 10);
const seed = Number(process.env.COUNTERSIGN_FAULT_SEED ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
/** Several keys for each device, so that the limit of five is reached again and again. */
const keysPerDevice = 8;
const devicesPerRound = 20;
const enrollersAtOnce = 32;
const signersAtOnce = 8;
/** After each kill; the others that were cut off are left to the broker. */
const retriedEnrollments = 12;

let broker: TestBroker;
let client: TestClient;
let signers: FakeDevice[];

beforeAll(async () => {
  broker = await TestBroker.start();
  chains = new ChainReader(broker);
  client = await broker.client.registerClient();
  signers = await Promise.all(Array.from({ length: signersAtOnce }, () => enrollDevice(broker)));
});
afterAll(() => broker?.stopAndRemove());

type Enrollment = {
  readonly device: FakeDevice;
  readonly token: string;
  /** base64url DER, once the broker has answered it. */
  certificate?: string;
};
type SignIn = {
  readonly body: unknown;
  readonly subject: string;
  readonly device: FakeDevice;
  decisionId?: string;
  sentAtMs: number;
};

const enrollments: Enrollment[] = [];
const signIns: SignIn[] = [];
/** Requests that were answered neither with success nor with a refusal that explains itself. */
const oddities: string[] = [];

/** The answer; `undefined` when the connection broke or the broker was not there, as clients must expect. */
async function ask(send: () => Promise<Response>, refusals: readonly string[]) {
  let response: Response;
  let text: string;
  try {
    response = await send();
    text = await response.text();
  } catch {
    return undefined;
  }
  if (response.ok) return text;
  const expected = ['storage_unavailable', 'snapshot_unavailable', ...refusals];
  if (!expected.some((code) => text.includes(`"code":"${code}"`))) {
    oddities.push(`${response.status} ${text}`);
  }
  return undefined;
}

const sendEnrollment = ({ device, token }: Enrollment) =>
  ask(
    () => broker.client.post('/v1/enrollments', device.enrollmentRequest(token)),
    ['enrollment_limit_reached'],
  );

/** Devices that were never enrolled, made before the clock of a round runs. */
const fresh: FakeDevice[] = [];

async function makeFreshDevices(): Promise<void> {
  while (fresh.length < keysPerDevice * devicesPerRound) {
    const hardwareId: HardwareId = { serial_number: `KILL${crypto.randomUUID()}` };
    for (let key = 0; key < keysPerDevice; key++) fresh.push(await FakeDevice.create(hardwareId));
  }
}

/** Enrols one key after another until told to stop; keys of one device follow each other. */
async function keepEnrolling(isOver: () => boolean): Promise<void> {
  for (let device = fresh.shift(); device !== undefined && !isOver(); device = fresh.shift()) {
    const { hardwareId } = device;
    const made = await ask(
      () =>
        broker.client.admin('POST', '/v1/admin/enrollment-tokens', {
          hardware_id: hardwareId,
          ttl_seconds: 3600,
        }),
      [],
    );
    const token = /"enrollment_token":"([\w-]+)"/.exec(made ?? '')?.[1];
    if (token === undefined) continue;
    const enrollment: Enrollment = { device, token };
    enrollments.push(enrollment);
    const text = await sendEnrollment(enrollment);
    if (text !== undefined) {
      enrollment.certificate = enrollmentAnswer.parse(JSON.parse(text)).certificate;
    }
  }
}

const sendSignIn = ({ body }: SignIn) =>
  ask(() => broker.client.sendEvaluation(client, body), ['rate_limited']);

async function keepSigningIn(device: FakeDevice, subject: string, isOver: () => boolean) {
  while (!isOver()) {
    const transaction = randomText();
    const asked = await ask(
      () =>
        broker.client.post(
          '/v1/challenges',
          { client_id: client.clientId, transaction },
          { Origin: client.origin },
        ),
      [],
    );
    const challenge = /"challenge":"([\w.-]+)"/.exec(asked ?? '')?.[1];
    if (challenge === undefined) {
      await sleep(10);
      continue;
    }
    const evidence = await device.evidence(challenge, client.origin);
    const body = broker.client.evaluationBody(client, { subject, transaction, evidence });
    const signIn: SignIn = { body, subject, device, sentAtMs: Date.now() };
    signIns.push(signIn);
    const text = await sendSignIn(signIn);
    if (text !== undefined) {
      const answer = evaluationAnswer.parse(JSON.parse(text));
      signIn.decisionId = answer.context.decision_id;
      if (!answer.decision) oddities.push(text);
    }
  }
}

async function untilHealthy(): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const health = await ask(() => broker.client.request('/healthz'), []);
    if (health !== undefined) return;
    await sleep(20);
  }
  throw new Error('the broker did not come back');
}

const fingerprintOf = (certificate: string) =>
  createHash('sha256').update(Buffer.from(certificate, 'base64url')).digest('base64url');

const deviceIds = new Map<string, string>();

/** The devices of these enrollments, as the administrator sees them. */
async function devicesOnRecord(of: readonly Enrollment[]) {
  const serials = new Set(of.map(({ device }) => device.hardwareId.serial_number ?? ''));
  const answers = await Promise.all(
    [...serials].map(async (serial) => {
      const known = deviceIds.get(serial);
      const id =
        known ?? (await broker.client.createEnrollmentToken({ serial_number: serial })).device_id;
      deviceIds.set(serial, id);
      const response = await broker.client.admin('GET', `/v1/admin/devices/${id}`);
      if (response.status === 404) return undefined;
      return [serial, deviceAnswer.parse(await response.json())] as const;
    }),
  );
  return new Map(answers.filter((answer) => answer !== undefined));
}

let chains: ChainReader;
/** Every decision that was read so far, by its id; rows are never changed. */
const decisions = new Map<string, RecordedDecision>();
const spentChallenges = new Set<string>();

async function readDecisions(): Promise<void> {
  for (const row of await chains.readNew()) {
    decisions.set(`${row.shard}.${row.sequence}`, row);
    if (!row.opened) continue;
    const spent = `${row.id} ${row.device_id}`;
    expect(spentChallenges, 'a challenge decides once').not.toContain(spent);
    spentChallenges.add(spent);
  }
}

type Since = { readonly enrollments: number; readonly signIns: number };
const beginning: Since = { enrollments: 0, signIns: 0 };

/**
 * Checks what came since then; what was checked in an earlier round, the last check of all looks at again.
 *
 * @returns how many certificates are begun and not finished
 */
async function checkRecords(since: Since): Promise<number> {
  const enrolled = enrollments.slice(since.enrollments);
  const devices = await devicesOnRecord(enrolled);
  for (const [serial, device] of devices) {
    // Counters are the rows, and an intent is one of them until it is finished.
    const rows = device.certificates.filter(({ status }) => /^(intent|issued)$/.test(status));
    expect(device.unbound_certificates, serial).toBe(rows.length);
    expect(device.unbound_certificates, serial).toBeLessThanOrEqual(5);
  }
  const serials = [...devices.values()].flatMap(({ certificates }) =>
    certificates.map(({ serial_number }) => serial_number),
  );
  expect(new Set(serials).size).toBe(serials.length);

  const acknowledged = enrolled.filter(({ certificate }) => certificate !== undefined);
  const recorded = new Set(
    [...devices.values()].flatMap(({ certificates }) =>
      certificates.map(({ fingerprint_sha256 }) => fingerprint_sha256),
    ),
  );
  const lost = acknowledged.filter(
    ({ certificate }) => !recorded.has(fingerprintOf(certificate ?? '')),
  );
  expect(lost).toEqual([]);

  await readDecisions();
  for (const { decisionId, subject, device } of signIns.slice(since.signIns)) {
    if (decisionId === undefined) continue;
    expect(decisions.get(decisionId), decisionId).toMatchObject({
      decision: true,
      subject,
      device_id: device.deviceId,
    });
  }
  return [...devices.values()]
    .flatMap(({ certificates }) => certificates)
    .filter(({ status }) => status === 'intent').length;
}

/** Sends again what has no answer and some of what has one: the same certificate, the same decision. */
async function checkRetries(): Promise<void> {
  for (const enrollment of enrollments.slice(-retriedEnrollments)) {
    const text = await sendEnrollment(enrollment);
    if (text === undefined) {
      // Refused for the limit, which an acknowledged certificate never is.
      expect(enrollment.certificate).toBeUndefined();
      continue;
    }
    const { certificate } = enrollmentAnswer.parse(JSON.parse(text));
    enrollment.certificate ??= certificate;
    expect(certificate).toBe(enrollment.certificate);
    const again = await sendEnrollment(enrollment);
    expect(enrollmentAnswer.parse(JSON.parse(again ?? '{}')).certificate).toBe(certificate);
    const { publicKey } = new X509Certificate(Buffer.from(certificate, 'base64url'));
    expect(publicKey.export({ format: 'der', type: 'spki' })).toEqual(
      Buffer.from(enrollment.device.publicKey.spki),
    );
  }
  // A challenge and the outcome of a sign-in live a minute; what is older is refused for that.
  const recent = signIns.filter(({ sentAtMs }) => Date.now() - sentAtMs < 40_000).slice(-60);
  for (const signIn of recent) {
    const text = await sendSignIn(signIn);
    const answer = evaluationAnswer.parse(JSON.parse(text ?? '{}'));
    expect(answer.decision, answer.context.reason_code).toBe(true);
    signIn.decisionId ??= answer.context.decision_id;
    expect(answer.context.decision_id).toBe(signIn.decisionId);
  }
}

it(
  `#38 loses and doubles nothing in ${rounds} rounds of kill -9 (COUNTERSIGN_FAULT_SEED=${seed})`,
  async () => {
    let unanswered = 0;
    for (let round = 1; round <= rounds; round++) {
      await makeFreshDevices();
      const before = { enrollments: enrollments.length, signIns: signIns.length };
      let isOver = false;
      const over = () => isOver;
      const work = [
        ...Array.from({ length: enrollersAtOnce }, () => keepEnrolling(over)),
        ...signers.map((device, index) => keepSigningIn(device, `user-${index}`, over)),
      ];
      await sleep(100 + random() * 600);
      const pid = broker.server.workerdPid();
      if (pid === undefined) throw new Error('workerd runs');
      process.kill(pid, 'SIGKILL');
      await sleep(random() * 100);
      isOver = true;
      await Promise.all(work);
      await untilHealthy();
      expect(broker.server.workerdPid()).not.toBe(pid);
      unanswered += enrollments
        .slice(before.enrollments)
        .filter(({ certificate }) => certificate === undefined).length;
      unanswered += signIns
        .slice(before.signIns)
        .filter(({ decisionId }) => decisionId === undefined).length;

      await checkRecords(before);
      await checkRetries();
      await checkRecords(before);
      expect(oddities).toEqual([]);
    }
    // The kills must have come while there was something to lose.
    const acknowledged = enrollments.filter(({ certificate }) => certificate !== undefined);
    const decided = signIns.filter(({ decisionId }) => decisionId !== undefined);
    expect(acknowledged.length).toBeGreaterThan(50);
    expect(decided.length).toBeGreaterThan(50);
    expect(unanswered).toBeGreaterThan(10);

    // Nobody asks again for the certificates that were cut off; the broker finishes them by itself.
    const deadline = performance.now() + 60_000;
    const isLeft = async () => (await checkRecords(beginning)) > 0;
    while ((await isLeft()) && performance.now() < deadline) await sleep(1000);
    expect(await checkRecords(beginning)).toBe(0);
    expect(await broker.brokenRows()).toEqual([]);
  },
  120_000 + rounds * 20_000,
);
