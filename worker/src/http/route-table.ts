import type { Broker } from './broker.ts';
import type { RouteContext } from './route-context.ts';
import { getAccess, getAccessVersions, putAccess } from './routes/access.ts';
import { getDecisions, postEnrollmentToken, putApplication, putClient } from './routes/admin.ts';
import {
  deleteAdmin,
  getAdmins,
  getSelf,
  postAdmin,
  postAdminToken,
  putAdmin,
} from './routes/admins.ts';
import { postAttestation } from './routes/attestations.ts';
import { postChallenge, preflightChallenge } from './routes/challenges.ts';
import { getDecisionReceipt } from './routes/decision-receipts.ts';
import { getDeviceTrust, putDeviceTrust } from './routes/device-trust.ts';
import {
  getApprovals,
  getDevice,
  getDevices,
  postApproval,
  postDeviceRevocation,
  postHold,
  postRelease,
  postRevocation,
  postUnblock,
} from './routes/devices.ts';
import {
  getDirectory,
  postDirectoryResumption,
  putDirectory,
  putDirectoryImport,
} from './routes/directory.ts';
import { postEnrollment } from './routes/enrollments.ts';
import { postCompletion } from './routes/evaluation.ts';
import { postEvaluation, postEvaluations } from './routes/evaluations.ts';
import {
  getFailOpen,
  postFailOpenReports,
  postFailOpenStatement,
  putFailOpen,
} from './routes/fail-open.ts';
import {
  getGlobalPolicy,
  getGlobalPolicyVersions,
  putGlobalPolicy,
} from './routes/global-policy.ts';
import { deleteGroup, getGroup, getGroups, putGroup } from './routes/groups.ts';
import {
  deleteIntegration,
  getIntegrationImpact,
  putIntegrationState,
} from './routes/integration-states.ts';
import { postJamfWebhook, postManagementWebhook } from './routes/integration-webhooks.ts';
import {
  getIntegration,
  getIntegrationScripts,
  getIntegrations,
  postIntegration,
  postIntegrationSecret,
  postWebhookSecret,
  putIntegration,
} from './routes/integrations.ts';
import { getIssuers, postIssuerActivation, postIssuerRetirement } from './routes/issuers.ts';
import { getLearnMore, putLearnMore } from './routes/learn-more.ts';
import {
  deleteLogStream,
  getLogStreams,
  postLogStream,
  postLogStreamResume,
  postLogStreamTest,
} from './routes/log-streams.ts';
import { postCredentialsTest, putInventory } from './routes/management.ts';
import { getAuthzenConfiguration, getHealth, getJwks, getKeySet } from './routes/metadata.ts';
import { getMode, putMode } from './routes/mode.ts';
import { postMtlsEvidence } from './routes/mtls-evidence.ts';
import { getApplications, getPolicy, getPolicyVersions, putPolicy } from './routes/policies.ts';
import { postGlobalPolicySimulation, postPolicySimulation } from './routes/policy-simulation.ts';
import { postPolicyWhatIf } from './routes/policy-what-if.ts';
import { postRenewal } from './routes/renewals.ts';
import { getCrl, getIssuerCertificate, getOcsp, postOcsp } from './routes/revocation.ts';
import { getScep, postScep } from './routes/scep.ts';
import {
  getResourceType,
  getResourceTypes,
  getSchema,
  getSchemas,
  getScimMe,
  getServiceProviderConfig,
  postScimBulk,
} from './routes/scim-discovery.ts';
import {
  deleteScimGroup,
  getScimGroup,
  getScimGroups,
  patchScimGroup,
  postScimGroup,
  putScimGroup,
} from './routes/scim-groups.ts';
import {
  deleteScimUser,
  getScimUser,
  getScimUsers,
  patchScimUser,
  postScimUser,
  putScimUser,
} from './routes/scim-users.ts';
import { postActionSearch, postResourceSearch, postSubjectSearch } from './routes/searches.ts';
import {
  getArchivedChains,
  getArchivedDecisions,
  getMarks,
  getState,
  getStateRows,
} from './routes/state.ts';
import { postImport, postImportEnd, postImportRows } from './routes/state-import.ts';
import {
  getCheckpoints,
  getLog,
  getLogSettings,
  getOrganizationEvents,
  postLogRebuild,
  putLogSettings,
} from './routes/system-log.ts';
import { getJob, getUser, postUserRevocation, putUser } from './routes/users.ts';
import { deleteZone, getZones, putZone } from './routes/zones.ts';

export type Route = (broker: Broker, context: RouteContext) => Promise<Response> | Response;
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';

export const mtlsEvidencePath = '/v1/mtls-evidence';

/** Every address of the broker. What starts with `/v1/admin` or `/scim` is made by `forAdmin`, which says who may. */
export const routes: ReadonlyArray<readonly [Method, string, Route]> = [
  ['POST', '/v1/challenges', postChallenge],
  ['OPTIONS', '/v1/challenges', preflightChallenge],
  ['POST', mtlsEvidencePath, postMtlsEvidence],
  ['POST', '/v1/attestations', postAttestation],
  ['POST', '/v1/enrollments', postEnrollment],
  ['POST', '/v1/renewals', postRenewal],
  ['GET', '/v1/key-set', getKeySet],
  ['POST', '/v1/integrations/:id/jamf-webhook', postJamfWebhook],
  ['POST', '/v1/integrations/:id/webhook', postManagementWebhook],
  ['POST', '/access/v1/evaluation', postEvaluation],
  ['POST', '/access/v1/evaluations', postEvaluations],
  ['POST', '/access/v1/search/subject', postSubjectSearch],
  ['POST', '/access/v1/search/resource', postResourceSearch],
  ['POST', '/access/v1/search/action', postActionSearch],
  ['POST', '/v1/completions', postCompletion],
  ['POST', '/v1/fail-open-statements', postFailOpenStatement],
  ['POST', '/v1/fail-open-reports', postFailOpenReports],
  ['GET', '/.well-known/authzen-configuration', getAuthzenConfiguration],
  ['GET', '/.well-known/jwks.json', getJwks],
  ['GET', '/healthz', getHealth],
  ['GET', '/crl/:issuer/:shard', getCrl],
  ['POST', '/ocsp', postOcsp],
  // Base64 has slashes, which not every client escapes.
  ['GET', '/ocsp/:request{.+}', getOcsp],
  ['GET', '/certificates/:issuer', getIssuerCertificate],
  ['GET', '/scep/:integration', getScep],
  ['POST', '/scep/:integration', postScep],
  // Clients of long ago have the name of a program in their settings.
  ['GET', '/scep/:integration/pkiclient.exe', getScep],
  ['POST', '/scep/:integration/pkiclient.exe', postScep],
  ['GET', '/v1/admin/applications', getApplications],
  ['PUT', '/v1/admin/applications/:id', putApplication],
  ['GET', '/v1/admin/applications/:id/fail-open', getFailOpen],
  ['PUT', '/v1/admin/applications/:id/fail-open', putFailOpen],
  ['GET', '/v1/admin/applications/:id/policy', getPolicy],
  ['PUT', '/v1/admin/applications/:id/policy', putPolicy],
  ['GET', '/v1/admin/applications/:id/policy/versions', getPolicyVersions],
  ['POST', '/v1/admin/applications/:id/policy/simulate', postPolicySimulation],
  ['POST', '/v1/admin/applications/:id/policy/what-if', postPolicyWhatIf],
  ['GET', '/v1/admin/global-policy', getGlobalPolicy],
  ['PUT', '/v1/admin/global-policy', putGlobalPolicy],
  ['GET', '/v1/admin/global-policy/versions', getGlobalPolicyVersions],
  ['POST', '/v1/admin/global-policy/simulate', postGlobalPolicySimulation],
  ['GET', '/v1/admin/applications/:id/access', getAccess],
  ['PUT', '/v1/admin/applications/:id/access', putAccess],
  ['GET', '/v1/admin/applications/:id/access/versions', getAccessVersions],
  ['PUT', '/v1/admin/clients/:id', putClient],
  ['GET', '/v1/admin/zones', getZones],
  ['PUT', '/v1/admin/zones/:id', putZone],
  ['DELETE', '/v1/admin/zones/:id', deleteZone],
  ['POST', '/v1/admin/enrollment-tokens', postEnrollmentToken],
  ['GET', '/v1/admin/devices', getDevices],
  ['GET', '/v1/admin/devices/:id', getDevice],
  ['POST', '/v1/admin/devices/:id/revoke', postDeviceRevocation],
  ['POST', '/v1/admin/devices/:id/unblock', postUnblock],
  ['POST', '/v1/admin/devices/:id/certificates/:sha256/revoke', postRevocation],
  ['POST', '/v1/admin/devices/:id/certificates/:sha256/hold', postHold],
  ['POST', '/v1/admin/devices/:id/certificates/:sha256/release', postRelease],
  ['GET', '/v1/admin/enrollment-approvals', getApprovals],
  ['POST', '/v1/admin/devices/:id/enrollment-approvals/:sha256', postApproval],
  ['GET', '/v1/admin/shards/:shard/decisions', getDecisions],
  ['GET', '/v1/admin/decisions/:id/receipt', getDecisionReceipt],
  ['POST', '/v1/admin/integrations/:id/test-credentials', postCredentialsTest],
  ['PUT', '/v1/admin/integrations/:id/inventory', putInventory],
  ['GET', '/v1/admin/users/:id', getUser],
  ['PUT', '/v1/admin/users/:id', putUser],
  ['POST', '/v1/admin/users/:id/revoke', postUserRevocation],
  ['GET', '/v1/admin/jobs/:id', getJob],
  ['GET', '/v1/admin/organization/events', getOrganizationEvents],
  ['GET', '/v1/admin/log', getLog],
  ['GET', '/v1/admin/log/settings', getLogSettings],
  ['PUT', '/v1/admin/log/settings', putLogSettings],
  ['POST', '/v1/admin/log/rebuild', postLogRebuild],
  ['GET', '/v1/admin/log-streams', getLogStreams],
  ['POST', '/v1/admin/log-streams', postLogStream],
  ['DELETE', '/v1/admin/log-streams/:id', deleteLogStream],
  ['POST', '/v1/admin/log-streams/:id/test', postLogStreamTest],
  ['POST', '/v1/admin/log-streams/:id/resume', postLogStreamResume],
  ['GET', '/v1/admin/checkpoints', getCheckpoints],
  ['GET', '/v1/admin/self', getSelf],
  ['GET', '/v1/admin/admins', getAdmins],
  ['POST', '/v1/admin/admins', postAdmin],
  ['PUT', '/v1/admin/admins/:id', putAdmin],
  ['DELETE', '/v1/admin/admins/:id', deleteAdmin],
  ['POST', '/v1/admin/admins/:id/token', postAdminToken],
  ['GET', '/v1/admin/mode', getMode],
  ['PUT', '/v1/admin/mode', putMode],
  ['GET', '/v1/admin/device-trust', getDeviceTrust],
  ['PUT', '/v1/admin/device-trust', putDeviceTrust],
  ['GET', '/v1/admin/learn-more', getLearnMore],
  ['PUT', '/v1/admin/learn-more', putLearnMore],
  ['GET', '/v1/admin/integrations', getIntegrations],
  ['POST', '/v1/admin/integrations', postIntegration],
  ['GET', '/v1/admin/integrations/:id', getIntegration],
  ['PUT', '/v1/admin/integrations/:id', putIntegration],
  ['DELETE', '/v1/admin/integrations/:id', deleteIntegration],
  ['GET', '/v1/admin/integrations/:id/impact', getIntegrationImpact],
  ['GET', '/v1/admin/integrations/:id/scripts', getIntegrationScripts],
  ['POST', '/v1/admin/integrations/:id/secret', postIntegrationSecret],
  ['PUT', '/v1/admin/integrations/:id/state', putIntegrationState],
  ['POST', '/v1/admin/integrations/:id/webhook-secret', postWebhookSecret],
  ['GET', '/v1/admin/groups', getGroups],
  ['GET', '/v1/admin/groups/:id', getGroup],
  ['PUT', '/v1/admin/groups/:id', putGroup],
  ['DELETE', '/v1/admin/groups/:id', deleteGroup],
  ['GET', '/v1/admin/directory', getDirectory],
  ['PUT', '/v1/admin/directory', putDirectory],
  ['POST', '/v1/admin/directory/resume', postDirectoryResumption],
  ['PUT', '/v1/admin/directory/import', putDirectoryImport],
  ['GET', '/scim/v2/ServiceProviderConfig', getServiceProviderConfig],
  ['GET', '/scim/v2/ResourceTypes', getResourceTypes],
  ['GET', '/scim/v2/ResourceTypes/:id', getResourceType],
  ['GET', '/scim/v2/Schemas', getSchemas],
  ['GET', '/scim/v2/Schemas/:id', getSchema],
  ['GET', '/scim/v2/Users', getScimUsers],
  ['POST', '/scim/v2/Users', postScimUser],
  ['GET', '/scim/v2/Users/:id', getScimUser],
  ['PUT', '/scim/v2/Users/:id', putScimUser],
  ['PATCH', '/scim/v2/Users/:id', patchScimUser],
  ['DELETE', '/scim/v2/Users/:id', deleteScimUser],
  ['GET', '/scim/v2/Groups', getScimGroups],
  ['POST', '/scim/v2/Groups', postScimGroup],
  ['GET', '/scim/v2/Groups/:id', getScimGroup],
  ['PUT', '/scim/v2/Groups/:id', putScimGroup],
  ['PATCH', '/scim/v2/Groups/:id', patchScimGroup],
  ['DELETE', '/scim/v2/Groups/:id', deleteScimGroup],
  ['POST', '/scim/v2/Bulk', postScimBulk],
  ['GET', '/scim/v2/Me', getScimMe],
  ['GET', '/v1/admin/issuers', getIssuers],
  ['POST', '/v1/admin/issuers/:id/activate', postIssuerActivation],
  ['POST', '/v1/admin/issuers/:id/retire', postIssuerRetirement],
  ['GET', '/v1/admin/archived-chains', getArchivedChains],
  ['GET', '/v1/admin/archived-chains/:id/decisions', getArchivedDecisions],
  ['GET', '/v1/admin/state', getState],
  ['GET', '/v1/admin/state/marks', getMarks],
  ['GET', '/v1/admin/state/rows', getStateRows],
  ['POST', '/v1/admin/state/import', postImport],
  ['POST', '/v1/admin/state/import/rows', postImportRows],
  ['POST', '/v1/admin/state/import/finish', postImportEnd],
];
