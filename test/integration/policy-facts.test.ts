import { evaluatePolicy, findMatch, recordedFacts } from '@countersign/policy';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeAll, describe, expect, it } from 'vitest';
import { policyOfChoices } from '../../worker/src/policy/simple-policy.ts';
import { broker } from './test-broker.ts';
import { recordOf } from './test-objects.ts';
import { newUser, signInBody } from './test-users.ts';

// What a sign-in is decided by: told by the sign-in server, signed by the device, on record; and kept, to be asked again.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

async function ask(device: FakeDevice, user: string, context: object = {}) {
  const body = await signInBody(client, device, user);
  return await broker.sendEvaluation(client, { ...body, context: { ...body.context, ...context } });
}

async function decided(device: FakeDevice, user: string, context: object = {}) {
  const response = await ask(device, user, context);
  return evaluationAnswer.parse(await response.json()).context;
}

describe('what the sign-in server tells', () => {
  it('is on record, with what is known of the certificate', async () => {
    const told = { ip_address: '2001:db8::1', client_type: 'web_or_modern', platform: 'ios' };
    const { decision_id } = await decided(await enrolled(), newUser(), told);
    const { facts, response } = await recordOf(decision_id);
    expect(facts).toEqual({
      ip_address: '2001:db8::1',
      client_type: 'web_or_modern',
      platform: 'ios',
      enrollment_strength: 'one_time_token',
      certificate_age_seconds: expect.any(Number),
    });
    // The device has signed its own platform, which is the one that counts.
    expect(response?.posture.platform).not.toBe('ios');
  });

  it.each(['192.0.2', '192.0.2.256', 'ada', 'fe80::1%eth0', '192.0.2.1/24'])(
    'is refused where it is no address: %s',
    async (ip_address) => {
      const response = await ask(await enrolled(), newUser(), { ip_address });
      expect(response.status).toBe(400);
      expect(problemDocument.parse(await response.json())).toMatchObject({
        code: 'field_invalid',
        field: 'context.ip_address',
      });
    },
  );

  it.each([{ client_type: 'browser' }, { platform: 'linux' }, { ip_address: 7 }])(
    'is refused where it is of another form: %j',
    async (context) => {
      expect((await ask(await enrolled(), newUser(), context)).status).toBe(400);
    },
  );
});

describe('a decision', () => {
  it('says what its rule asked for and what it saw', async () => {
    const { policy } = await decided(await enrolled(), newUser());
    expect(policy).toMatchObject({
      rule: 'trusted-devices',
      criteria: [{ criterion: 'device_trust', verdict: 'met', wanted: 'trusted', seen: 'trusted' }],
    });
  });

  it('names no criteria where no rule decided', async () => {
    const body = broker.evaluationBody(client, { transaction: 'A'.repeat(43) });
    const response = await broker.sendEvaluation(client, body);
    const { policy, reason_code } = evaluationAnswer.parse(await response.json()).context;
    expect([policy.rule, policy.criteria, reason_code]).toEqual([
      'none',
      undefined,
      'evidence_missing',
    ]);
  });

  it('comes to the same when its record is asked again', async () => {
    const device = await enrolled();
    const user = newUser();
    const ids = [
      (await decided(device, user, { ip_address: '192.0.2.1' })).decision_id,
      (await decided(device, newUser())).decision_id,
      (await decided(device, user, { platform: 'ios', client_type: 'legacy' })).decision_id,
    ];
    const policy = policyOfChoices(1, {
      enforcement: 'enforce',
      trusted_devices: 'allow',
      other_devices: 'deny',
      factor: { acr_values: [], amr_values: [] },
    });
    const reasons: string[] = [];
    for (const id of ids) {
      const record = await recordOf(id);
      const again = evaluatePolicy(
        policy,
        (facts) => findMatch(policy, facts, []),
        recordedFacts(record),
      );
      expect(again).toMatchObject({ reason: record.reason, rule: record.rule });
      reasons.push(record.reason);
    }
    expect(reasons).toEqual([
      'trusted_device',
      'certificate_bound_to_other_user',
      'trusted_device',
    ]);
  });
});
