import * as policy from '@countersign/policy';
import * as admin from '@countersign/protocol/admin';
import type { Operation } from './operation.ts';

/** Policies, and the networks that they name. */
export const policyOperations: Readonly<Record<string, Operation>> = {
  'GET /v1/admin/applications': {
    summary: 'Applications, with where their policies are from',
    answer: policy.applicationList,
  },
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
  'POST /v1/admin/applications/:id/policy/what-if': {
    summary: 'What would become of a sign-in that is only thought of',
    body: policy.whatIfRequest,
    answer: policy.whatIfAnswer,
  },
  'GET /v1/admin/global-policy': {
    summary: 'What stands behind the policies of all applications, or an older version of it',
    query: { version: 'left out: the one in force' },
    answer: policy.globalPolicyAnswer,
  },
  'PUT /v1/admin/global-policy': {
    summary: 'Change the global policy',
    body: policy.globalPolicyChange,
    answer: policy.policyChangeAnswer,
  },
  'GET /v1/admin/global-policy/versions': {
    summary: 'Every version of the global policy',
    answer: policy.globalPolicyVersions,
  },
  'POST /v1/admin/global-policy/simulate': {
    summary: 'What a draft of the global policy would have made of recorded sign-ins',
    body: policy.globalSimulationRequest,
    answer: policy.simulationAnswer,
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
