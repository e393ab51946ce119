import { createExecutionContext, env } from 'cloudflare:test';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { IssuedChallenges } from '../../worker/src/challenge/issued-challenges.ts';
import { PresentedCertificates } from '../../worker/src/challenge/presented-certificate.ts';
import { readSettings } from '../../worker/src/config/settings.ts';
import { SnapshotCache } from '../../worker/src/directory/snapshot-cache.ts';
import { EnrollmentThrottle } from '../../worker/src/enrollment/enrollment-throttle.ts';
import { createApp } from '../../worker/src/http/app.ts';
import { ReadyResponses } from '../../worker/src/http/ready-responses.ts';
import { ClientCertificates } from '../../worker/src/mtls/client-certificate.ts';
import { prepareOcspIssuers } from '../../worker/src/revocation/ocsp-issuers.ts';
import { ReadyAnswers } from '../../worker/src/revocation/ready-answers.ts';
import { organizationObject } from './test-objects.ts';

/** A broker over the same objects as the one of this test run, started with other settings. */
export async function brokerWith(
  changes: Partial<Record<'SHARD_COUNT' | 'PKI_URL', string>>,
): Promise<
  BrokerClient & { readonly fetch: (url: string, init?: RequestInit) => Promise<Response> }
> {
  const read = await readSettings({ ...env, ...changes });
  if (!read.ok) throw new Error(`${read.setting} ${read.detail}`);
  const { settings } = read;
  const { shardCount, deviceIdKeyFingerprint, issuers } = settings;
  const readyAnswers = new ReadyAnswers();
  const app = createApp({
    ...settings,
    organization: organizationObject,
    snapshots: new SnapshotCache(
      (deployment, knownVersion, heldGroups) =>
        organizationObject().snapshot(deployment, knownVersion, heldGroups),
      { shardCount, deviceIdKeyFingerprint },
    ),
    presentedCertificates: new PresentedCertificates(),
    clientCertificates: new ClientCertificates(
      issuers.map(({ issuerCertificate }) => issuerCertificate),
    ),
    issuedChallenges: new IssuedChallenges(),
    enrollmentThrottle: new EnrollmentThrottle(),
    devices: env.DEVICE,
    keys: env.KEY,
    revocation: env.REVOCATION,
    ocspIssuers: prepareOcspIssuers(issuers),
    readyAnswers,
    readyResponses: new ReadyResponses(readyAnswers),
    publishedCrls: new Map(),
    report: () => env.REPORT.get(env.REPORT.idFromName('report')),
    integrations: env.INTEGRATION,
  });
  const fetch = async (url: string, init?: RequestInit) =>
    await app.fetch(new Request(url, init), env, createExecutionContext());
  const { BROKER_URL: brokerUrl, TEST_OWNER_TOKEN: ownerToken } = env;
  return Object.assign(new BrokerClient({ fetch, brokerUrl, ownerToken }), { fetch });
}
