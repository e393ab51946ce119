import { IssuedChallenges } from './challenge/issued-challenges.ts';
import { PresentedCertificates } from './challenge/presented-certificate.ts';
import { currentTimeMs } from './clock.ts';
import type { Environment } from './config/environment.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { SnapshotCache } from './directory/snapshot-cache.ts';
import { EnrollmentThrottle } from './enrollment/enrollment-throttle.ts';
import { createApp, requestIdOf } from './http/app.ts';
import { finish } from './http/finish.ts';
import { problemResponse } from './http/problem.ts';
import { discardBody } from './http/read-body.ts';
import { isShortQuestion, ReadyResponses } from './http/ready-responses.ts';
import { logEvent } from './http/route-context.ts';
import { ClientCertificates } from './mtls/client-certificate.ts';
import { prepareOcspIssuers } from './revocation/ocsp-issuers.ts';
import { readyAnswers } from './revocation/ready-answers.ts';

export { ReportObject } from './audit/report-object.ts';
export { DeviceObject } from './device/device-object.ts';
export { OrganizationObject } from './directory/organization-object.ts';
export { KeyObject } from './enrollment/key-object.ts';
export { IntegrationObject } from './integrations/integration-object.ts';
export { RevocationObject } from './revocation/revocation-object.ts';

type App = ReturnType<typeof createApp>;

const organizationObjectName = 'organization';

function assemble(environment: Environment, settings: Settings): App {
  const organization = () =>
    environment.ORGANIZATION.get(environment.ORGANIZATION.idFromName(organizationObjectName));
  return createApp({
    ...settings,
    // Their keys are for the device shards alone.
    issuers: settings.issuers.map(({ issuerId, issuerCertificate }) => ({
      issuerId,
      issuerCertificate,
    })),
    organization,
    snapshots: new SnapshotCache(
      (deployment, knownVersion, heldGroups) =>
        organization().snapshot(deployment, knownVersion, heldGroups),
      {
        shardCount: settings.shardCount,
        deviceIdKeyFingerprint: settings.deviceIdKeyFingerprint,
      },
    ),
    presentedCertificates: new PresentedCertificates(),
    clientCertificates: new ClientCertificates(
      settings.issuers.map(({ issuerCertificate }) => issuerCertificate),
    ),
    issuedChallenges: new IssuedChallenges(),
    enrollmentThrottle: new EnrollmentThrottle(),
    devices: environment.DEVICE,
    keys: environment.KEY,
    revocation: environment.REVOCATION,
    ocspIssuers: prepareOcspIssuers(settings.issuers),
    readyAnswers,
    readyResponses,
    publishedCrls: new Map(),
    report: () => environment.REPORT.get(environment.REPORT.idFromName('report')),
    integrations: environment.INTEGRATION,
  });
}

const readyResponses = new ReadyResponses(readyAnswers);
let app: App | undefined;

/** Settings are read once for each isolate; wrong ones are read again, so that a repair needs no restart. */
async function loadApp(environment: Environment): Promise<App | Response> {
  if (app !== undefined) return app;
  const result = await readSettings(environment);
  if (!result.ok) {
    logEvent('configuration_invalid', { setting: result.setting, detail: result.detail });
    return problemResponse({
      code: 'configuration_invalid',
      field: result.setting,
      detail: result.detail,
    });
  }
  app = assemble(environment, result.settings);
  return app;
}

export default {
  async fetch(request, environment, context): Promise<Response> {
    let asked: Request = request;
    let ready = readyResponses.find(request, currentTimeMs());
    if (ready === undefined && isShortQuestion(request)) {
      const body = await request.bytes();
      ready = readyResponses.findPosted(request.url, body, currentTimeMs());
      asked = new Request(request, { body });
    }
    if (ready !== undefined) return ready;
    const loaded = await loadApp(environment);
    const response =
      loaded instanceof Response ? loaded : await loaded.fetch(asked, environment, context);
    if (!response.ok) await discardBody(asked);
    return finish(response, requestIdOf(asked));
  },
} satisfies ExportedHandler<Environment>;
