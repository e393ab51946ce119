import type { NetworkZone, PolicyDocument } from '@countersign/policy';
import type { DecisionRecord } from '@countersign/protocol/decision-record';

/** A policy with two rules, and a decision by each of them. */

export const nowMs = Date.UTC(2026, 10, 22, 9);

export const office: NetworkZone = {
  zone_id: 'office',
  name: 'Office',
  on_network: true,
  blocks: ['192.0.2.0/24'],
};
export const policy: PolicyDocument = {
  version: 7,
  enforcement: 'enforce',
  rules: [
    { id: 'managed', when: { device_trust: 'trusted' }, effect: 'allow' },
    {
      id: 'office',
      when: { network: { location: 'on_network' } },
      effect: 'step_up',
      factor: { acr_values: ['phr'], amr_values: [] },
      reauthenticate_after_seconds: 3600,
    },
  ],
  otherwise: 'deny',
};

export const common: DecisionRecord = {
  v: 1,
  shard: 3,
  sequence: 2,
  recorded_at_ms: nowMs - 60_000,
  id: 'Vz8SKhXOV2s5Z3LtJJjVCg',
  opened: true,
  stage: 0,
  client_id: 'sso',
  subject_type: 'user',
  subject: 'ada',
  resource_type: 'application',
  application: 'payroll',
  action: 'sign_in',
  subject_authenticated: true,
  transaction_hash: 'T'.repeat(43),
  request_hash: 'R'.repeat(43),
  organization_version: 9,
  policy_version: 7,
  decision: true,
  reason: 'trusted_device',
  rule: 'managed',
  device_trusted: true,
  device_id: 'fwM-x584-tb4qkV8jpJj3w',
  bound_now: false,
};
export const pending: DecisionRecord = {
  ...common,
  decision: false,
  reason: 'step_up_required',
  rule: 'office',
  device_trusted: false,
  untrusted_reason: 'extension_not_installed',
  device_id: '',
  facts: { ip_address: '192.0.2.9' },
  reauthenticate_after_seconds: 3600,
  pending: {
    factor: { acr_values: ['phr'], amr_values: [] },
    subject_authenticated: false,
    evidence_hash: 'E'.repeat(43),
    expires_at_ms: nowMs,
  },
};
