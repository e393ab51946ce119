import { Hono } from 'hono';
import type { Broker } from './broker.ts';
import { logEvent, type RouteContext, refuseWithLog } from './route-context.ts';
import { getDecisions, postEnrollmentToken, putApplication, putClient } from './routes/admin.ts';
import { postAttestation } from './routes/attestations.ts';
import { postChallenge, preflightChallenge } from './routes/challenges.ts';
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
import { postEnrollment } from './routes/enrollments.ts';
import { postCompletion, postEvaluation } from './routes/evaluation.ts';
import {
  deleteLogStream,
  getLogStreams,
  postLogStream,
  postLogStreamResume,
  postLogStreamTest,
} from './routes/log-streams.ts';
import { getAuthzenConfiguration, getHealth, getJwks, getKeySet } from './routes/metadata.ts';
import { postMtlsEvidence } from './routes/mtls-evidence.ts';
import { postRenewal } from './routes/renewals.ts';
import { getCrl, getIssuerCertificate, getOcsp, postOcsp } from './routes/revocation.ts';
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
  postLogRebuild,
  putLogSettings,
} from './routes/system-log.ts';
import { getJob, getUser, postUserRevocation, putUser } from './routes/users.ts';

type Route = (broker: Broker, context: RouteContext) => Promise<Response> | Response;
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

const mtlsEvidencePath = '/v1/mtls-evidence';

/** Every address of the broker. */
const routes: ReadonlyArray<readonly [Method, string, Route]> = [
  ['POST', '/v1/challenges', postChallenge],
  ['OPTIONS', '/v1/challenges', preflightChallenge],
  ['POST', mtlsEvidencePath, postMtlsEvidence],
  ['POST', '/v1/attestations', postAttestation],
  ['POST', '/v1/enrollments', postEnrollment],
  ['POST', '/v1/renewals', postRenewal],
  ['GET', '/v1/key-set', getKeySet],
  ['POST', '/access/v1/evaluation', postEvaluation],
  ['POST', '/v1/completions', postCompletion],
  ['GET', '/.well-known/authzen-configuration', getAuthzenConfiguration],
  ['GET', '/.well-known/jwks.json', getJwks],
  ['GET', '/healthz', getHealth],
  ['GET', '/crl/:issuer/:shard', getCrl],
  ['POST', '/ocsp', postOcsp],
  // Base64 has slashes, which not every client escapes.
  ['GET', '/ocsp/:request{.+}', getOcsp],
  ['GET', '/certificates/:issuer', getIssuerCertificate],
  ['PUT', '/v1/admin/applications/:id', putApplication],
  ['PUT', '/v1/admin/clients/:id', putClient],
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
  ['GET', '/v1/admin/users/:id', getUser],
  ['PUT', '/v1/admin/users/:id', putUser],
  ['POST', '/v1/admin/users/:id/revoke', postUserRevocation],
  ['GET', '/v1/admin/jobs/:id', getJob],
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
  ['GET', '/v1/admin/archived-chains', getArchivedChains],
  ['GET', '/v1/admin/archived-chains/:id/decisions', getArchivedDecisions],
  ['GET', '/v1/admin/state', getState],
  ['GET', '/v1/admin/state/marks', getMarks],
  ['GET', '/v1/admin/state/rows', getStateRows],
  ['POST', '/v1/admin/state/import', postImport],
  ['POST', '/v1/admin/state/import/rows', postImportRows],
  ['POST', '/v1/admin/state/import/finish', postImportEnd],
];

const requestIds = new WeakMap<Request, string>();
/** AuthZEN has any text come back; what is logged is JSON, so that no character of it can forge a line. */
const requestIdPattern = /^[\x20-\x7e]{1,256}$/;

/** The caller's `X-Request-ID` where it is harmless in a log, a fresh one otherwise. */
export function requestIdOf(request: Request): string {
  const known = requestIds.get(request);
  if (known !== undefined) return known;
  const given = request.headers.get('X-Request-ID');
  const id = given !== null && requestIdPattern.test(given) ? given : crypto.randomUUID();
  requestIds.set(request, id);
  return id;
}

/** Headers that every answer carries. Nobody keeps an answer that does not say for how long. */
export function finish(response: Response, requestId: string): Response {
  if (!response.headers.has('Cache-Control')) response.headers.set('Cache-Control', 'no-store');
  response.headers.set('X-Content-Type-Options', 'nosniff');
  response.headers.set('Referrer-Policy', 'no-referrer');
  response.headers.set('X-Request-ID', requestId);
  return response;
}

/** The broker's HTTP interface. Whatever fails in a way without a code of its own is answered as `internal_error`. */
export function createApp(broker: Broker): Hono {
  const app = new Hono();
  const { mtlsUrl } = broker;
  if (mtlsUrl !== undefined) {
    // Where browsers present certificates to whatever page asks, there is nothing but the one address that expects it.
    app.use(async (hono, next) => {
      const { url } = hono.req.raw;
      if (url.startsWith(`${mtlsUrl}/`) && hono.req.path !== mtlsEvidencePath) {
        return refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'not_found' });
      }
      return await next();
    });
  }
  for (const [method, path, route] of routes) {
    app.on(method, path, (hono) =>
      route(broker, {
        request: hono.req.raw,
        requestId: requestIdOf(hono.req.raw),
        waitUntil: (work) => hono.executionCtx.waitUntil(work),
        refuse: refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw)),
        parameter: (name) => hono.req.param(name) ?? '',
      }),
    );
  }
  for (const path of new Set(routes.map(([, path]) => path))) {
    const allow = routes
      .filter((route) => route[1] === path)
      .map(([method]) => method)
      .join(', ');
    app.all(path, (hono) =>
      refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'method_not_allowed', allow }),
    );
  }
  app.notFound((hono) =>
    refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'not_found' }),
  );
  app.onError((error, hono) => {
    const requestId = requestIdOf(hono.req.raw);
    logEvent('failed', { request_id: requestId, error: error.stack ?? String(error) });
    return refuseWithLog(hono.req.raw, requestId)({ code: 'internal_error' });
  });
  return app;
}
