import * as policy from '@countersign/policy';
import * as admin from '@countersign/protocol/admin';
import * as access from '@countersign/protocol/admin-access';
import * as deviceTrust from '@countersign/protocol/admin-device-trust';
import * as devices from '@countersign/protocol/admin-devices';
import * as directory from '@countersign/protocol/admin-directory';
import * as integrations from '@countersign/protocol/admin-integrations';
import * as users from '@countersign/protocol/admin-users';
import * as attestation from '@countersign/protocol/attestation';
import * as authzen from '@countersign/protocol/authzen';
import * as challenge from '@countersign/protocol/challenge';
import * as enrollment from '@countersign/protocol/enrollment';
import * as evaluation from '@countersign/protocol/evaluation';
import * as failOpen from '@countersign/protocol/fail-open';
import * as keySet from '@countersign/protocol/key-set';
import * as learnMore from '@countersign/protocol/learn-more';
import * as management from '@countersign/protocol/management-webhooks';
import * as mtls from '@countersign/protocol/mtls-evidence';
import * as problem from '@countersign/protocol/problem';
import * as state from '@countersign/protocol/state';
import * as log from '@countersign/protocol/system-log';
import { authzenOperations } from './authzen-operations.ts';
import { directoryOperations } from './directory-operations.ts';
import type { Operation } from './operation.ts';
import { policyOperations } from './policy-operations.ts';

export const schemaModules: readonly object[] = [
  policy,
  ...[admin, access, attestation, authzen, challenge, devices, deviceTrust, directory],
  ...[enrollment, evaluation, failOpen, learnMore],
  ...[integrations, keySet, log, management, mtls, problem, state, users],
];

const page = { after: 'sequence after which the page begins', limit: '1 to 1000' };
const revocationList = 'application/pkix-crl';
const ocsp = { bodyType: 'application/ocsp-request', answerType: 'application/ocsp-response' };
const scep = {
  answerType: 'application/x-pki-message',
  query: { operation: 'GetCACaps, GetCACert or PKIOperation' },
};
const override = { override: '`true`: although something would break' };

/** Every address of the broker. `openapi-document.ts` makes the document of it, and a test holds it to the routes. */
export const operations: Readonly<Record<string, Operation>> = {
  'POST /v1/challenges': {
    summary: 'Begin a sign-in: a challenge for a page',
    body: challenge.challengeRequest,
    answer: challenge.challengeAnswer,
  },
  'OPTIONS /v1/challenges': { summary: 'CORS preflight', status: [204] },
  'POST /v1/mtls-evidence': {
    summary: 'Evidence of a client certificate, at the mTLS URL alone',
    body: mtls.mtlsEvidenceRequest,
    bodyType: 'text/plain',
    answer: mtls.mtlsEvidenceAnswer,
  },
  'POST /v1/attestations': {
    summary: 'First step of an enrollment that a TPM permits',
    body: attestation.attestationRequest,
    answer: attestation.attestationAnswer,
  },
  'POST /v1/enrollments': {
    summary: 'Enroll a device',
    body: enrollment.enrollmentRequest,
    answer: enrollment.enrollmentAnswer,
    status: [201],
  },
  'POST /v1/renewals': {
    summary: 'Renew a certificate',
    body: enrollment.renewalRequest,
    answer: enrollment.renewalAnswer,
  },
  'GET /v1/key-set': { summary: "The broker's keys for hosts", answer: keySet.keySetAnswer },
  'POST /v1/integrations/:id/jamf-webhook': {
    summary: 'What Jamf Pro sends: a request for a SCEP challenge, or a reason to look a device up',
    body: management.jamfWebhook,
    answerType: 'text/plain',
  },
  'POST /v1/integrations/:id/webhook': {
    summary: 'What another management sends: a reason to look a device up',
    body: management.managementWebhook,
    answer: management.managementWebhookAnswer,
  },
  ...authzenOperations,
  'POST /v1/completions': {
    summary: 'Finish a pending decision',
    body: evaluation.completionRequest,
    answer: evaluation.evaluationAnswer,
  },
  'GET /.well-known/jwks.json': {
    summary:
      'Keys that decision tokens and checkpoints verify with, each with its purpose (RFC 7517)',
    answer: keySet.jsonWebKeySet,
  },
  'GET /healthz': { summary: 'Whether the broker can decide' },
  'GET /crl/:issuer/:shard': {
    summary: 'Certificate revocation list (RFC 5280)',
    answerType: revocationList,
  },
  'POST /ocsp': { summary: 'Status of certificates (RFC 6960)', ...ocsp },
  'GET /ocsp/:request': {
    summary: 'Status of certificates (RFC 6960 appendix A, RFC 5019)',
    answerType: ocsp.answerType,
  },
  'GET /certificates/:issuer': {
    summary: "An issuer's certificate",
    answerType: 'application/pkix-cert',
  },
  'GET /scep/:integration': { summary: 'SCEP (RFC 8894)', ...scep },
  'POST /scep/:integration': {
    summary: 'SCEP (RFC 8894)',
    bodyType: 'application/x-pki-message',
    ...scep,
  },
  'GET /scep/:integration/pkiclient.exe': { summary: 'SCEP, as older clients spell it', ...scep },
  'POST /scep/:integration/pkiclient.exe': {
    summary: 'SCEP, as older clients spell it',
    bodyType: 'application/x-pki-message',
    ...scep,
  },
  'PUT /v1/admin/applications/:id': {
    summary: 'Create or change an application',
    body: admin.applicationInput,
    answer: policy.policyChangeAnswer,
  },
  ...policyOperations,
  ...directoryOperations,
  'PUT /v1/admin/clients/:id': {
    summary: 'Create or change a client',
    body: admin.clientInput,
    answer: admin.changeAnswer,
  },
  'POST /v1/admin/enrollment-tokens': {
    summary: 'Make a token that one device may spend once',
    body: admin.enrollmentTokenInput,
    answer: admin.enrollmentTokenAnswer,
    status: [201],
  },
  'GET /v1/admin/devices': {
    summary: 'List or find devices',
    answer: devices.deviceList,
    query: {
      serial_number: 'of one device',
      hardware_uuid: 'of one device',
      after: '`next` of the page before',
      limit: '1 to 200',
    },
  },
  'GET /v1/admin/devices/:id': {
    summary: 'A device with its certificates',
    answer: admin.deviceAnswer,
  },
  'POST /v1/admin/devices/:id/revoke': {
    summary: 'Revoke everything that a device has, and block it',
    body: devices.deviceRevocationInput,
    answer: devices.standingAnswer,
  },
  'POST /v1/admin/devices/:id/unblock': {
    summary: 'Let a blocked device enroll again',
    answer: devices.standingAnswer,
  },
  'POST /v1/admin/devices/:id/certificates/:sha256/revoke': {
    summary: 'Revoke a certificate with its lineage',
    body: admin.revocationInput,
    answer: devices.standingAnswer,
  },
  'POST /v1/admin/devices/:id/certificates/:sha256/hold': {
    summary: 'Put a certificate on hold',
    answer: devices.standingAnswer,
  },
  'POST /v1/admin/devices/:id/certificates/:sha256/release': {
    summary: 'Release a certificate from hold',
    answer: devices.standingAnswer,
  },
  'GET /v1/admin/enrollment-approvals': {
    summary: 'Enrollments that wait for an administrator',
    answer: devices.approvalList,
  },
  'POST /v1/admin/devices/:id/enrollment-approvals/:sha256': {
    summary: 'Approve an enrollment',
    answer: devices.approvalAnswer,
  },
  'GET /v1/admin/shards/:shard/decisions': {
    summary: 'The hash chain of a shard',
    answer: admin.decisionPage,
    query: page,
  },
  'POST /v1/admin/integrations/:id/test-credentials': {
    summary: 'Ask the management whether it takes the credentials',
    answer: management.testedCredentials,
  },
  'PUT /v1/admin/integrations/:id/inventory': {
    summary: 'Replace the inventory of an integration that is a file',
    bodyType: 'text/csv',
    answer: management.inventoryAnswer,
  },
  'GET /v1/admin/users/:id': { summary: 'A user', answer: users.userAnswer },
  'PUT /v1/admin/users/:id': {
    summary: 'Make a user known, deactivate or reactivate one',
    body: users.userInput,
    answer: users.userChangeAnswer,
    status: [200, 202],
  },
  'POST /v1/admin/users/:id/revoke': {
    summary: 'End every binding of a user',
    body: users.userRevocationInput,
    answer: users.userChangeAnswer,
    status: [200, 202],
  },
  'GET /v1/admin/jobs/:id': {
    summary: 'How far a job is',
    answer: users.jobAnswer,
    status: [200, 202],
  },
  'GET /v1/admin/organization/events': {
    summary: "The organization's own chain of events",
    answer: log.organizationEventPage,
    query: page,
  },
  'GET /v1/admin/log': {
    summary: 'Search the system log',
    answer: log.logPage,
    query: Object.fromEntries(
      Object.keys(log.logQuery.shape).map((name) => [name, 'see logQuery in PROTOCOL.md']),
    ),
  },
  'GET /v1/admin/log/settings': { summary: 'How long the log is kept', answer: log.logSettings },
  'PUT /v1/admin/log/settings': {
    summary: 'Change how long the log is kept',
    body: log.logSettings,
    answer: log.logSettings,
  },
  'POST /v1/admin/log/rebuild': {
    summary: 'Bring every row to the log again',
    answer: log.logRebuildAnswer,
    status: [202],
  },
  'GET /v1/admin/log-streams': { summary: 'Streams of the log', answer: log.logStreams },
  'POST /v1/admin/log-streams': {
    summary: 'Stream the log to a webhook',
    body: log.logStreamInput,
    answer: log.logStreamCreated,
    status: [201],
  },
  'DELETE /v1/admin/log-streams/:id': { summary: 'End a stream', answer: log.logStream },
  'POST /v1/admin/log-streams/:id/test': {
    summary: 'Send a test delivery',
    answer: log.logStreamTest,
  },
  'POST /v1/admin/log-streams/:id/resume': {
    summary: 'Let a paused stream go on',
    answer: log.logStream,
  },
  'GET /v1/admin/checkpoints': {
    summary: 'Signed checkpoints of every chain',
    answer: log.checkpointSet,
  },
  'GET /v1/admin/self': { summary: 'Who asks', answer: access.selfAnswer },
  'GET /v1/admin/admins': { summary: 'Administrators', answer: access.adminList },
  'POST /v1/admin/admins': {
    summary: 'Create an administrator; the token is shown once',
    body: access.adminInput,
    answer: access.adminTokenAnswer,
    status: [201],
  },
  'PUT /v1/admin/admins/:id': {
    summary: "Change an administrator's name and role",
    body: access.adminChange,
    answer: access.adminAnswer,
  },
  'DELETE /v1/admin/admins/:id': {
    summary: "End an administrator's access",
    answer: access.adminAnswer,
  },
  'POST /v1/admin/admins/:id/token': {
    summary: 'Give an administrator a new token, shown once',
    body: access.adminTokenInput,
    answer: access.adminTokenAnswer,
  },
  'GET /v1/admin/mode': { summary: 'Modes of the organization', answer: access.modeAnswer },
  'PUT /v1/admin/mode': {
    summary: 'Make the broker read-only, or writable; ask for known users',
    body: access.modeInput,
    answer: access.modeAnswer,
  },
  'GET /v1/admin/device-trust': {
    summary: 'Whether device trust is on, and what relies on it',
    answer: deviceTrust.deviceTrustAnswer,
  },
  'PUT /v1/admin/device-trust': {
    summary: 'Switch device trust off or on, for the whole organization',
    body: deviceTrust.deviceTrustInput,
    answer: deviceTrust.deviceTrustChangeAnswer,
  },
  'GET /v1/admin/integrations': {
    summary: 'Management integrations',
    answer: integrations.integrationList,
  },
  'POST /v1/admin/integrations': {
    summary: 'Create an integration, disabled; the organization secret is shown once',
    body: integrations.integrationInput,
    answer: integrations.integrationSecretAnswer,
    status: [201],
  },
  'GET /v1/admin/integrations/:id': {
    summary: 'An integration',
    answer: integrations.integrationAnswer,
  },
  'PUT /v1/admin/integrations/:id': {
    summary: "Change an integration's settings",
    body: integrations.integrationChange,
    answer: integrations.integrationChangeAnswer,
  },
  'DELETE /v1/admin/integrations/:id': {
    summary: 'Delete an integration and revoke its certificates',
    answer: integrations.integrationDeletion,
    status: [200, 202],
    query: override,
  },
  'GET /v1/admin/integrations/:id/impact': {
    summary: 'What relies on an integration',
    answer: integrations.integrationImpact,
  },
  'GET /v1/admin/integrations/:id/scripts': {
    summary: 'Enrollment scripts, with a place for the secret',
    answer: integrations.enrollmentScripts,
  },
  'POST /v1/admin/integrations/:id/secret': {
    summary: 'Reset the organization secret; the new one is shown once, the old one ends at once',
    answer: integrations.integrationSecretAnswer,
  },
  'PUT /v1/admin/integrations/:id/state': {
    summary: 'Disable an integration, try it with groups, or let it count for all',
    body: integrations.integrationStateInput,
    answer: integrations.integrationChangeAnswer,
  },
  'POST /v1/admin/integrations/:id/webhook-secret': {
    summary: "Reset the webhooks' secret, shown once",
    answer: integrations.webhookSecretAnswer,
  },
  'GET /v1/admin/groups': { summary: 'Groups of users', answer: integrations.groupList },
  'GET /v1/admin/groups/:id': { summary: 'A group', answer: integrations.groupAnswer },
  'PUT /v1/admin/groups/:id': {
    summary: 'Create a group, or give it all its members anew',
    body: integrations.groupInput,
    answer: admin.changeAnswer,
  },
  'DELETE /v1/admin/groups/:id': { summary: 'Delete a group', answer: admin.changeAnswer },
  'GET /v1/admin/issuers': {
    summary: 'Issuers, with the certificates that depend on each',
    answer: access.issuerList,
  },
  'POST /v1/admin/issuers/:id/activate': {
    summary: 'Have an issuer issue from now on',
    answer: access.issuerChangeAnswer,
  },
  'POST /v1/admin/issuers/:id/retire': {
    summary: 'Retire an issuer: its certificates count no longer',
    body: access.issuerChangeInput,
    answer: access.issuerChangeAnswer,
  },
  'GET /v1/admin/archived-chains': {
    summary: 'Chains from before imports',
    answer: state.archivedChains,
  },
  'GET /v1/admin/archived-chains/:id/decisions': {
    summary: 'Rows of such a chain',
    answer: state.archivedDecisionPage,
    query: page,
  },
  'GET /v1/admin/state': { summary: 'What an export is of', answer: state.stateAnswer },
  'GET /v1/admin/state/marks': {
    summary: 'Marks that an older copy is noticed by',
    answer: state.marksAnswer,
    query: { from: 'first shard' },
  },
  'GET /v1/admin/state/rows': {
    summary: 'A page of an export',
    answer: state.statePage,
    query: {
      object: '`device`, `key` or `organization`',
      shard: 'number of the shard',
      section: 'name of the section',
      after: '`next` of the page before',
      through: 'last sequence of decisions',
    },
  },
  'POST /v1/admin/state/import': {
    summary: 'Begin an import, where nothing is stored yet',
    body: state.importBeginning,
  },
  'POST /v1/admin/state/import/rows': { summary: 'A page of an import', body: state.importPage },
  'POST /v1/admin/state/import/finish': { summary: 'End an import', body: state.importEnd },
};
