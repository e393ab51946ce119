import * as policy from '@countersign/policy';
import * as admin from '@countersign/protocol/admin';
import * as failOpen from '@countersign/protocol/fail-open';
import * as learnMore from '@countersign/protocol/learn-more';
import type { Operation } from './operation.ts';

/** Policies, the networks that they name, receipts of what they decided, and what happens where nothing is decided. */
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
  'GET /v1/admin/applications/:id/fail-open': {
    summary: 'Whether people are let in to an application while the broker is away',
    answer: failOpen.failOpenAnswer,
  },
  'PUT /v1/admin/applications/:id/fail-open': {
    summary: 'Choose that, or choose it no longer',
    body: failOpen.failOpenInput,
    answer: failOpen.failOpenChangeAnswer,
  },
  'POST /v1/fail-open-statements': {
    summary: 'A signed statement that a sign-in server may let people in while the broker is away',
    body: failOpen.failOpenRequest,
    answer: failOpen.failOpenStatementAnswer,
  },
  'POST /v1/fail-open-reports': {
    summary: 'Report sign-ins that were let in so; may be sent again',
    body: failOpen.failOpenReports,
    answer: failOpen.failOpenReportsAnswer,
  },
  'GET /v1/admin/learn-more': {
    summary: 'The link that people get who were not signed in',
    answer: learnMore.learnMoreAnswer,
  },
  'PUT /v1/admin/learn-more': {
    summary: 'Set or take away that link',
    body: learnMore.learnMoreInput,
    answer: learnMore.learnMoreChangeAnswer,
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
