import { mtlsEvidenceRequest } from '@countersign/protocol/mtls-evidence';
import { readChallenge } from '../../challenge/open-challenge.ts';
import { currentTimeMs } from '../../clock.ts';
import type { ReadSnapshot } from '../../directory/organization-snapshot.ts';
import { issueMtlsEvidence } from '../../mtls/issue-mtls-evidence.ts';
import type { Broker } from '../broker.ts';
import { readableOrigin, withCors } from '../cors.ts';
import { readBody } from '../read-body.ts';
import type { RouteContext } from '../route-context.ts';

/**
 * `POST /v1/mtls-evidence`, at the mTLS URL alone. A browser presents its certificate to requests from any page, so the
 * page must be one that the challenge was made for; there is no preflight to answer, since Firefox would send that
 * without the certificate.
 */
export async function postMtlsEvidence(broker: Broker, context: RouteContext): Promise<Response> {
  const nowMs = currentTimeMs();
  if (broker.mtlsUrl === undefined) return context.refuse({ code: 'mtls_not_enabled' });
  const { origin: called } = new URL(context.request.url);
  if (called !== broker.mtlsUrl) {
    return context.refuse({
      code: 'mtls_wrong_host',
      logDetail: `${JSON.stringify(called)} was called, not ${broker.mtlsUrl}`,
    });
  }
  const read = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!read.ok) return context.refuse({ code: read.code, logDetail: read.detail });
  const answer = await answerEvidence(broker, context, read, nowMs);
  return withCors(answer, readableOrigin(read, context.request), 'include');
}

async function answerEvidence(
  broker: Broker,
  context: RouteContext,
  read: ReadSnapshot,
  nowMs: number,
): Promise<Response> {
  const { request } = context;
  const body = await readBody(request, mtlsEvidenceRequest, ['text/plain']);
  if (!body.ok) return context.refuse(body.problem);

  const opened = await readChallenge(body.value.challenge, {
    brokerUrl: broker.brokerUrl,
    organizationId: broker.organizationId,
    keys: broker.challengeKeys.accepted,
    issuedChallenges: broker.issuedChallenges,
  });
  if (!opened.ok) {
    return context.refuse({
      code: 'mtls_challenge_invalid',
      field: 'challenge',
      detail: opened.reason,
    });
  }
  const challenge = opened.claims;
  if (nowMs >= challenge.exp * 1000) {
    return context.refuse({ code: 'mtls_challenge_expired', field: 'challenge' });
  }

  const client = read.snapshot.clients.get(challenge.client_id);
  if (client === undefined) return context.refuse({ code: 'client_unknown' });
  const origin = request.headers.get('Origin');
  if (origin === null || !challenge.origins.includes(origin) || !client.origins.includes(origin)) {
    return context.refuse({
      code: 'origin_not_registered',
      logDetail: `origin ${JSON.stringify(origin)} for client ${client.client_id}`,
    });
  }

  const presented = await broker.clientCertificates.read(request.cf, nowMs);
  if (!presented.ok) {
    return context.refuse({ code: presented.code, logDetail: presented.detail });
  }
  const evidence = await issueMtlsEvidence(broker, challenge, origin, presented.certificate, nowMs);
  return Response.json({ evidence });
}
