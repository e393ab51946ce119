import * as policy from '@countersign/policy';
import * as admin from '@countersign/protocol/admin';
import * as authzen from '@countersign/protocol/authzen';
import type { Operation } from './operation.ts';

/** The AuthZEN Authorization API 1.0, and what administrators say of access inside of applications. */
export const authzenOperations: Readonly<Record<string, Operation>> = {
  'POST /access/v1/evaluation': {
    summary: 'Decide a sign-in, or access inside of an application (AuthZEN Authorization API 1.0)',
    body: authzen.singleEvaluationRequest,
    answer: authzen.singleEvaluationAnswer,
  },
  'POST /access/v1/evaluations': {
    summary: 'Decide several (AuthZEN)',
    body: authzen.evaluationsRequest,
    answer: authzen.evaluationsOrSingleAnswer,
  },
  'POST /access/v1/search/subject': {
    summary: 'Who would be permitted (AuthZEN)',
    body: authzen.subjectSearchRequest,
    answer: authzen.entitySearchAnswer,
  },
  'POST /access/v1/search/resource': {
    summary: 'With what a subject would be permitted it (AuthZEN)',
    body: authzen.resourceSearchRequest,
    answer: authzen.entitySearchAnswer,
  },
  'POST /access/v1/search/action': {
    summary: 'What a subject would be permitted with a resource (AuthZEN)',
    body: authzen.actionSearchRequest,
    answer: authzen.actionSearchAnswer,
  },
  'GET /.well-known/authzen-configuration': {
    summary: 'Metadata (AuthZEN)',
    answer: authzen.authzenMetadata,
  },
  'GET /v1/admin/applications/:id/access': {
    summary: 'What may be done inside of an application, or an older version of it',
    query: { version: 'left out: the one in force' },
    answer: policy.accessAnswer,
  },
  'PUT /v1/admin/applications/:id/access': {
    summary: 'Say what may be done inside of an application',
    body: policy.accessChange,
    answer: admin.changeAnswer,
  },
  'GET /v1/admin/applications/:id/access/versions': {
    summary: 'Every version of what may be done inside of an application',
    answer: policy.accessVersions,
  },
};
