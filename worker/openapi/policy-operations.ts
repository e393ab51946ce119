import * as policy from '@countersign/policy';
import * as admin from '@countersign/protocol/admin';
import type { Operation } from './operation.ts';

/** Policies, the networks that they name, and receipts of what they decided. */
export const policyOperations: Readonly<Record<string, Operation>> = {
  'GET /v1/admin/applications/:id/policy': {
    summary: "An application's policy, or an older version of it",
    query: { version: 'left out: the one in force' },
    answer: policy.policyAnswer,
  },
  'PUT /v1/admin/applications/:id/policy': {
    summary: 'Give an application a policy of rules',
    body: policy.policyChange,
    answer: policy.policyChangeAnswer,
  },
  'GET /v1/admin/applications/:id/policy/versions': {
    summary: "Every version of an application's policy",
    answer: policy.policyVersions,
  },
  'POST /v1/admin/applications/:id/policy/simulate': {
    summary: 'What a draft would have made of recorded sign-ins',
    body: policy.simulationRequest,
    answer: policy.simulationAnswer,
  },
  'GET /v1/admin/decisions/:id/receipt': {
    summary: 'A signed receipt of a decision, to be verified without the broker',
    answer: policy.decisionReceipt,
  },
  'GET /v1/admin/zones': { summary: 'Named networks', answer: policy.zoneList },
  'PUT /v1/admin/zones/:id': {
    summary: 'Create or change a named network',
    body: policy.zoneInput,
    answer: admin.changeAnswer,
  },
  'DELETE /v1/admin/zones/:id': {
    summary: 'Remove a named network',
    answer: admin.changeAnswer,
  },
};
