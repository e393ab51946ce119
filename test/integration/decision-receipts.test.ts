import {
  decisionReceipt,
  decisionReceiptClaims,
  type NetworkZone,
  replayDecision,
} from '@countersign/policy';
import { decisionRecord } from '@countersign/protocol/decision-record';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';
import { runInOrganization } from './test-objects.ts';
import { newUser } from './test-users.ts';

// Every kind of decision, decided once more from its receipt; and the networks that it names, as they were.

async function receiptOf({ context }: EvaluationAnswer) {
  const path = `/v1/admin/decisions/${context.decision_id}/receipt`;
  const { receipt } = decisionReceipt.parse(await (await broker.admin('GET', path)).json());
  const claims = decisionReceiptClaims.parse(decodeJwt(receipt));
  return { claims, record: decisionRecord.parse(JSON.parse(claims.row.record)) };
}

/** What comes of computing it again; `none` where no policy was asked. */
async function replayOf(answer: EvaluationAnswer): Promise<string> {
  const { claims, record } = await receiptOf(answer);
  expect(record.reason).toBe(answer.context.reason_code);
  if (claims.policy === undefined) return 'none';
  const { document, zones } = claims.policy;
  expect(claims.criteria).toEqual(answer.context.policy.criteria);
  return replayDecision(record, document, zones).kind;
}

async function ask(client: TestClient, body: object): Promise<EvaluationAnswer> {
  const response = await broker.sendEvaluation(client, body);
  return evaluationAnswer.parse(await response.json());
}

async function bodyOf(client: TestClient, device: FakeDevice | undefined, told: object = {}) {
  const transaction = randomText();
  const challenge = await broker.challenge(client, transaction);
  const evidence =
    device === undefined
      ? `v1~${challenge}~~~extension_not_installed`
      : await device.evidence(challenge, client.origin);
  const body = broker.evaluationBody(client, { transaction, evidence, subject: newUser() });
  return { ...body, context: { ...body.context, ...told } };
}

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

const put = async (path: string, body: object) => {
  const response = await broker.admin('PUT', path, body);
  expect(response.status, await response.clone().text()).toBe(200);
};
const putRules = (client: TestClient, rules: readonly object[], more: object = {}) =>
  put(`/v1/admin/applications/${client.application}/policy`, {
    policy: { enforcement: 'enforce', rules, otherwise: 'deny', ...more },
  });
const someZone = () => `zone-${randomText(6).toLowerCase().replaceAll('_', '-')}`;

describe('computed once more', () => {
  it('an allow that binds, a denial, and a refusal that no policy was asked about', async () => {
    const client = await broker.registerClient();
    const device = await enrolled();
    expect(await replayOf(await ask(client, await bodyOf(client, device)))).toBe('same');
    // The certificate is somebody's by now.
    expect(await replayOf(await ask(client, await bodyOf(client, device)))).toBe('same');
    expect(await replayOf(await ask(client, await bodyOf(client, undefined)))).toBe('same');
    const unbidden = { transaction: randomText(), evidence: 'nonsense' };
    expect(await replayOf(await broker.evaluate(client, unbidden))).toBe('none');
    const unknown = { ...(await bodyOf(client, undefined)), action: { name: 'dance' } };
    expect(await replayOf(await ask(client, unknown))).toBe('none');
  });

  it('a sign-in that waits for a factor, and its completion', async () => {
    const client = await broker.registerClient({ trusted_devices: 'step_up' });
    const body = await bodyOf(client, await enrolled());
    const pending = await ask(client, body);
    expect(pending.context.reason_code).toBe('step_up_required');
    expect(await replayOf(pending)).toBe('same');
    const completed = await broker.complete(client, body, { acr: 'phr' });
    expect(completed.decision).toBe(true);
    expect(await replayOf(completed)).toBe('same');
  });

  it('a sign-in that waits for the password, and its completion', async () => {
    const client = await broker.registerClient();
    const body = await bodyOf(client, await enrolled(), { subject_authenticated: false });
    const pending = await ask(client, body);
    expect(pending.context.reason_code).toBe('authentication_required');
    expect(await replayOf(pending)).toBe('same');
    const authenticated = { ...body, context: { ...body.context, subject_authenticated: true } };
    const completed = await broker.complete(client, authenticated, {});
    expect(completed.decision).toBe(true);
    expect(await replayOf(completed)).toBe('same');
  });

  it('an application that monitors', async () => {
    const client = await broker.registerClient({ enforcement: 'monitor' });
    const answer = await ask(client, await bodyOf(client, undefined));
    expect(answer.context.reason_code).toBe('monitor_only');
    expect(await replayOf(answer)).toBe('same');
  });

  it('what the global policy decided, as it was then, whichever of the two has changed since', async () => {
    const client = await broker.registerClient();
    const globalPolicy = (id: string) =>
      put('/v1/admin/global-policy', {
        policy: {
          enforcement: 'enforce',
          rules: [{ id, when: { device_trust: 'trusted' }, effect: 'allow' }],
          otherwise: 'deny',
        },
      });
    await globalPolicy('first');
    await putRules(client, [], { otherwise: 'global' });
    const device = await enrolled();
    const before = await ask(client, await bodyOf(client, device));
    expect(before.context.policy.rule).toBe('global/first');
    await globalPolicy('second');
    const between = await ask(client, await bodyOf(client, await enrolled()));
    expect(between.context.policy.rule).toBe('global/second');
    await putRules(client, [], { otherwise: 'allow' });
    expect(await replayOf(before)).toBe('same');
    expect(await replayOf(between)).toBe('same');
    const { claims } = await receiptOf(between);
    expect(claims.policy?.document.rules.map(({ id }) => id)).toEqual(['global/second']);
  });

  it('rules about everything, with what nobody said', async () => {
    const client = await broker.registerClient();
    const zone = someZone();
    await put(`/v1/admin/zones/${zone}`, { name: 'Office', blocks: ['192.0.2.0/24'] });
    await putRules(client, [
      { id: 'phones', when: { platforms: ['ios', 'android'] }, effect: 'deny' },
      {
        id: 'office',
        when: { network: { zones: [zone] }, client_types: ['web_or_modern'] },
        effect: 'allow',
        reauthenticate_after_seconds: 3600,
      },
      {
        id: 'young',
        when: { device_trust: 'trusted', certificate_age: { at_most_days: 30 } },
        effect: 'step_up',
        factor: { acr_values: ['phr'], amr_values: [] },
      },
    ]);
    const device = await enrolled();
    const told = [
      {},
      { ip_address: '192.0.2.7' },
      { ip_address: '192.0.2.7', client_type: 'web_or_modern', platform: 'windows' },
      { ip_address: '198.51.100.7', client_type: 'legacy', platform: 'ios' },
      { platform: 'macos' },
    ];
    const reasons = new Set<string>();
    for (const context of told) {
      for (const by of [device, undefined]) {
        const answer = await ask(client, await bodyOf(client, by, context));
        reasons.add(answer.context.reason_code);
        expect(await replayOf(answer), JSON.stringify(context)).toBe('same');
      }
    }
    expect(reasons.size).toBeGreaterThan(2);
  });
});

describe('networks', () => {
  const zonesIn = async (answer: EvaluationAnswer) => {
    const { claims } = await receiptOf(answer);
    return claims.policy?.zones.map(({ zone_id, blocks }: NetworkZone) => [zone_id, ...blocks]);
  };
  const onNetwork = async () => {
    const client = await broker.registerClient();
    const when = { network: { location: 'on_network' } };
    await putRules(client, [{ id: 'inside', when, effect: 'allow' }]);
    return client;
  };
  const signIn = async (client: TestClient) =>
    ask(client, await bodyOf(client, undefined, { ip_address: '203.0.113.9' }));

  it('are those of the time of the decision: made later, changed since, or deleted', async () => {
    const [zone, later] = [someZone(), someZone()];
    const blocks = ['203.0.113.0/24'];
    const client = await onNetwork();
    const before = await signIn(client);
    expect(before.decision).toBe(false);
    await put(`/v1/admin/zones/${zone}`, { name: 'x', on_network: true, blocks });
    const during = await signIn(client);
    expect(during.decision).toBe(true);
    const changed = ['198.51.100.0/24'];
    await put(`/v1/admin/zones/${zone}`, { name: 'x', on_network: true, blocks: changed });
    const moved = await signIn(client);
    expect((await broker.admin('DELETE', `/v1/admin/zones/${zone}`)).status).toBe(200);
    await put(`/v1/admin/zones/${later}`, { name: 'x', on_network: true, blocks });
    expect((await broker.admin('DELETE', `/v1/admin/zones/${later}`)).status).toBe(200);
    const after = await signIn(client);
    expect(await zonesIn(before)).toEqual([]);
    expect(await zonesIn(during)).toEqual([[zone, ...blocks]]);
    expect(await zonesIn(moved)).toEqual([[zone, ...changed]]);
    expect(await zonesIn(after)).toEqual([]);
    for (const answer of [before, during, moved, after])
      expect(await replayOf(answer)).toBe('same');
  });

  it('from before their versions were kept are as they were until they are changed', async () => {
    const zone = someZone();
    const blocks = ['203.0.113.0/24'];
    const client = await onNetwork();
    await put(`/v1/admin/zones/${zone}`, { name: 'x', on_network: true, blocks });
    await runInOrganization(({ storage }) =>
      storage.sql.exec('DELETE FROM zone_versions WHERE zone_id = ?', zone),
    );
    const answer = await signIn(client);
    expect(await zonesIn(answer)).toEqual([[zone, ...blocks]]);
    const changed = ['198.51.100.0/24'];
    await put(`/v1/admin/zones/${zone}`, { name: 'x', on_network: true, blocks: changed });
    expect(await zonesIn(answer)).toEqual([[zone, ...blocks]]);
    expect(await replayOf(answer)).toBe('same');
    await broker.admin('DELETE', `/v1/admin/zones/${zone}`);
  });
});
