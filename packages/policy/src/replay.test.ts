import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { describe, expect, it } from 'vitest';
import { type PolicyDocument, policyDocument } from './policy-document.ts';
import { explainRecord, replayDecision, zonesOf } from './replay.ts';
import { type NetworkZone, networkZone } from './zones.ts';

const zone = (zone_id: string, on_network: boolean, block: string): NetworkZone =>
  networkZone.parse({ zone_id, name: zone_id, on_network, blocks: [block] });
const office = zone('office', true, '192.0.2.0/24');
const guests = zone('guests', false, '198.51.100.0/24');
const partner = zone('partner', false, '203.0.113.0/24');

const policy = (when: object, more: object = {}): PolicyDocument =>
  policyDocument.parse({
    version: 7,
    enforcement: 'enforce',
    rules: [{ id: 'rule', when, effect: 'allow', ...more }],
    otherwise: 'deny',
  });

const recorded: DecisionRecord = {
  v: 1,
  shard: 3,
  sequence: 2,
  recorded_at_ms: Date.UTC(2026, 10, 22, 9),
  id: 'Vz8SKhXOV2s5Z3LtJJjVCg',
  opened: true,
  stage: 0,
  client_id: 'sso',
  subject_type: 'user',
  subject: 'ada',
  resource_type: 'application',
  application: 'payroll',
  action: 'sign_in',
  subject_authenticated: false,
  transaction_hash: '',
  request_hash: '',
  organization_version: 9,
  policy_version: 7,
  decision: false,
  reason: 'authentication_required',
  untrusted_reason: 'subject_not_authenticated',
  rule: 'rule',
  device_trusted: false,
  device_id: 'fwM-x584-tb4qkV8jpJj3w',
  bound_now: false,
  facts: { ip_address: '192.0.2.9' },
  pending: { subject_authenticated: true, evidence_hash: '', expires_at_ms: 0 },
};

describe('the networks that an outcome depends on', () => {
  const all = [office, guests, partner];
  it.each<[string, object, NetworkZone[]]>([
    ['none, where no rule asks for one', {}, []],
    ['those that are named', { network: { zones: ['guests'] } }, [guests]],
    ['those that are excepted', { network: { except_zones: ['partner'] } }, [partner]],
    [
      'all that are of the network, where it is asked for',
      { network: { location: 'off_network' } },
      [office],
    ],
  ])('are %s', (_, when, wanted) => {
    expect(zonesOf(policy(when), all)).toEqual(wanted);
  });

  it('give the recorded outcome again without the others', () => {
    const asked = policy({ network: { location: 'on_network' }, device_trust: 'trusted' });
    expect(replayDecision(recorded, asked, zonesOf(asked, all)).kind).toBe('same');
    expect(replayDecision(recorded, asked, []).kind).toBe('different');
  });
});

describe('a decision that waits for the authentication', () => {
  it('is explained by what its rule wants of the device once that has come', () => {
    const [criterion] = explainRecord(recorded, policy({ device_trust: 'trusted' }), []) ?? [];
    expect(criterion).toMatchObject({ criterion: 'device_trust', verdict: 'met' });
  });

  it('is not explained by a policy without its rule', () => {
    expect(explainRecord({ ...recorded, rule: 'other' }, policy({}), [])).toBeUndefined();
  });
});

it('what no policy was asked about is not decided again', () => {
  const refused = { ...recorded, rule: 'none', reason: 'evidence_missing' };
  expect(replayDecision(refused, policy({}), [])).toEqual({ kind: 'not_asked' });
});
