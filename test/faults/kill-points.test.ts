// kill -9 of workerd at every named point inside of issuance, renewal, binding, decision and completion: each flush before
// and after it is on disk, each signature, each answer of an object and of the worker. Revocations: kill-revocations.test.ts
import { readFileSync } from 'node:fs';
import { encodeBase64url } from '@countersign/protocol';
import { enrollmentAnswer, renewalAnswer } from '@countersign/protocol/enrollment';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtProgram } from '../support/built-program.ts';
import { buildFaultWorker } from '../support/faults/build-fault-worker.ts';
import { FaultBroker, type FaultPoint } from '../support/faults/fault-broker.ts';
import { certificateOf, enrollDevice } from '../support/sign-in-attempt.ts';

let faults: FaultBroker;
let client: TestClient;
/** Its users need a factor beside a trusted device. */
let demanding: TestClient;
beforeAll(async () => {
  faults = await FaultBroker.start();
  client = await faults.broker.client.registerClient();
  demanding = await faults.broker.client.registerClient({ trusted_devices: 'step_up' });
});
afterAll(() => faults?.stopAndRemove());

/** Something that is asked of the broker, as often as it takes, and what must be true before and after it. */
type Scenario = {
  /** Sends the request. Throws unless it is answered with success; the same answer each time. */
  readonly act: () => Promise<unknown>;
  /** What must hold whether or not the request has had its effect. */
  readonly checkBefore: () => Promise<void>;
  /** What must hold after `act` was answered. */
  readonly checkAfter: () => Promise<void>;
};

async function enrollment(): Promise<Scenario> {
  const { client: admin } = faults.broker;
  const device = await FakeDevice.create();
  const { enrollment_token, device_id } = await admin.createEnrollmentToken(device.hardwareId);
  const request = device.enrollmentRequest(enrollment_token);
  return {
    act: async () => {
      const response = await admin.post('/v1/enrollments', request);
      return enrollmentAnswer.parse(await response.json()).certificate;
    },
    checkBefore: async () => {
      const response = await admin.admin('GET', `/v1/admin/devices/${device_id}`);
      if (response.status === 404) return;
      expect((await certificateOf(faults.broker, { deviceId: device_id })).status).toMatch(
        /^(intent|issued)$/,
      );
    },
    checkAfter: async () => {
      const { certificates, unbound_certificates } = await admin.device(device_id);
      expect(certificates.map(({ status }) => status)).toEqual(['issued']);
      expect(unbound_certificates).toBe(1);
    },
  };
}

/** Rows of this sign-in's own challenge; a challenge decides once. */
async function openedRows(subject: string) {
  const rows = await faults.broker.recordedDecisions();
  return rows.filter((row) => row.opened && row.subject === subject);
}

/** A sign-in of a device that is bound already, or is bound by it. */
async function signIn(options: { readonly isBound: boolean }): Promise<Scenario> {
  const { broker } = faults;
  const device = await enrollDevice(broker);
  const subject = `user-${randomText(8)}`;
  const first = options.isBound ? 1 : 0;
  if (options.isBound) await broker.client.signIn(client, device, subject);
  const transaction = randomText();
  const challenge = await broker.client.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);
  const body = broker.client.evaluationBody(client, { subject, transaction, evidence });
  return {
    act: async () => {
      const response = await broker.client.sendEvaluation(client, body);
      const { decision, context } = evaluationAnswer.parse(await response.json());
      expect(decision, context.reason_code).toBe(true);
      return context.decision_id;
    },
    checkBefore: async () => {
      const rows = await openedRows(subject);
      expect(rows.length - first).toBeLessThanOrEqual(1);
      // A binding is there together with the decision that made it, or not at all.
      const { status, bound_user } = await certificateOf(broker, device);
      expect({ status, bound_user }).toEqual(
        rows.length > 0
          ? { status: 'bound', bound_user: subject }
          : { status: 'issued', bound_user: undefined },
      );
    },
    checkAfter: async () => {
      const rows = await openedRows(subject);
      expect(rows.length).toBe(first + 1);
      expect(rows.every(({ decision }) => decision)).toBe(true);
      expect(rows.filter(({ bound_now }) => bound_now)).toHaveLength(1);
      const { unbound_certificates } = await broker.client.device(device.deviceId ?? '');
      expect(unbound_certificates).toBe(0);
    },
  };
}

/** The second stage of a sign-in that had to wait for a factor; it binds. */
async function completion(): Promise<Scenario> {
  const { broker } = faults;
  const device = await enrollDevice(broker);
  const subject = `user-${randomText(8)}`;
  const transaction = randomText();
  const challenge = await broker.client.challenge(demanding, transaction);
  const evidence = await device.evidence(challenge, demanding.origin);
  const asked = { subject, transaction, evidence };
  const { context } = await broker.client.evaluate(demanding, asked);
  expect(context.step_up?.acr_values).toContain('phr');
  const body = broker.client.evaluationBody(demanding, asked);
  const outcomes = async () => (await openedRows(subject)).map(({ decision }) => decision);
  return {
    act: async () => {
      const answer = await broker.client.complete(demanding, body, { acr: 'phr' });
      expect(answer.decision, answer.context.reason_code).toBe(true);
      return answer.context.decision_id;
    },
    checkBefore: async () => {
      const isCompleted = (await outcomes()).length === 2;
      const { status, bound_user } = await certificateOf(broker, device);
      expect({ status, bound_user }).toEqual(
        isCompleted
          ? { status: 'bound', bound_user: subject }
          : { status: 'issued', bound_user: undefined },
      );
    },
    checkAfter: async () => {
      expect(await outcomes()).toEqual([false, true]);
      expect((await certificateOf(broker, device)).bound_user).toBe(subject);
    },
  };
}

/** To a key of its own, since nothing is due yet. */
async function renewal(): Promise<Scenario> {
  const { broker } = faults;
  const device = await enrollDevice(broker);
  const subject = `user-${randomText(8)}`;
  await broker.client.signIn(client, device, subject);
  const next = await FakeDevice.create(device.hardwareId);
  const claims = { rekey_csr: encodeBase64url(next.csr) };
  const renewal_request = await device.renewalRequest(broker.client.brokerUrl, { claims });
  const certificates = async () => {
    const described = await broker.client.device(device.deviceId ?? '');
    for (const { bound_user } of described.certificates) expect(bound_user).toBe(subject);
    return described.certificates.map(({ status }) => status);
  };
  return {
    act: async () => {
      const response = await broker.client.post('/v1/renewals', { renewal_request });
      return renewalAnswer.parse(await response.json()).certificate;
    },
    checkBefore: async () => {
      expect([['bound'], ['bound', 'intent'], ['superseded', 'bound']]).toContainEqual(
        await certificates(),
      );
      // Whatever became of the renewal, the device can sign in.
      expect(await broker.client.signIn(client, device, subject)).toMatchObject({ decision: true });
    },
    checkAfter: async () => expect(await certificates()).toEqual(['superseded', 'bound']),
  };
}

/**
 * What alarms do in the background meanwhile is not the request's. What a request may call like an alarm does counts
 * once, since nobody knows whose the second one is.
 */
function isOfRequest({ point, passes }: FaultPoint): boolean {
  if (/\.alarm\b|^ReportObject\./.test(point)) return false;
  return passes === 0 || !/^(RevocationObject\.publish|KeyObject\.block)\b/.test(point);
}

const scenarios: Record<string, { make: () => Promise<Scenario>; fewestPoints: number }> = {
  'an enrollment': { make: enrollment, fewestPoints: 11 },
  'a sign-in that binds': { make: () => signIn({ isBound: false }), fewestPoints: 10 },
  'a sign-in of a bound certificate': { make: () => signIn({ isBound: true }), fewestPoints: 4 },
  'a completion': { make: completion, fewestPoints: 10 },
  'a renewal': { make: renewal, fewestPoints: 9 },
};

describe.each(Object.entries(scenarios))('%s', (_, { make, fewestPoints }) => {
  it('#38 is whole or absent after kill -9 at any point, and a retry completes it', async () => {
    const model = await make();
    const points = (await faults.record(model.act)).filter(isOfRequest);
    await model.checkAfter();
    expect(points.length).toBeGreaterThanOrEqual(fewestPoints);
    for (const fault of points) {
      const { point, passes } = fault;
      const scenario = await faults.killAt(fault, make, ({ act }) => act());
      await scenario.checkBefore().catch((error: unknown) => {
        throw new Error(`after a kill at "${point}" (${passes})`, { cause: error });
      });
      const answer = await scenario.act().catch((error: unknown) => {
        throw new Error(`retried after a kill at "${point}" (${passes})`, { cause: error });
      });
      await scenario.checkAfter().catch((error: unknown) => {
        throw new Error(`in the end, after a kill at "${point}" (${passes})`, { cause: error });
      });
      expect(await scenario.act(), 'a second retry').toBe(answer);
    }
    expect(await faults.broker.brokenRows()).toEqual([]);
  });
});

describe('the points', () => {
  it('are in every class of objects that the runtime is configured with', () => {
    const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
    const configuration = read('../../packages/edge-server/src/workerd/workerd-configuration.ts');
    const watched = read('../support/faults/fault-worker.js');
    const classes = [...configuration.matchAll(/className: '(\w+)'/g)].map(([, name]) => name);
    expect(classes.length).toBeGreaterThanOrEqual(3);
    for (const name of classes)
      expect(watched).toContain(`export const ${name} = watch('${name}');`);
  });

  it('are not in the bundle that ships', async () => {
    const faulty = await buildFaultWorker();
    try {
      const [withPoints, shipped] = [faulty.path, await builtProgram('worker')].map((path) =>
        readFileSync(path, 'utf8'),
      );
      for (const trace of ['fault_point', '/fault/', 'evicted by a test', 'async_hooks']) {
        expect(withPoints).toContain(trace);
        expect(shipped).not.toContain(trace);
      }
    } finally {
      faulty.remove();
    }
  });
});
