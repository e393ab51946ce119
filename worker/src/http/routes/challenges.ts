import { challengeRequest } from '@countersign/protocol/challenge';
import { challengeTtlSeconds } from '@countersign/protocol/limits';
import { issueChallenge } from '../../challenge/issue-challenge.ts';
import { currentTimeMs } from '../../clock.ts';
import type { ReadSnapshot } from '../../directory/organization-snapshot.ts';
import type { Broker } from '../broker.ts';
import { readableOrigin, withCors } from '../cors.ts';
import { readBody } from '../read-body.ts';
import type { RouteContext } from '../route-context.ts';

const preflightMaxAgeSeconds = 7200;

/**
 * `POST /v1/challenges`. Pages send JSON as `text/plain`, which needs no preflight; `application/json` is taken too.
 * A page of an origin that nobody registered gets a refusal that its browser does not let it read.
 */
export async function postChallenge(broker: Broker, context: RouteContext): Promise<Response> {
  const nowMs = currentTimeMs();
  const read = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!read.ok) return context.refuse({ code: read.code, logDetail: read.detail });
  const answer = await answerChallenge(broker, context, read, nowMs);
  return withCors(answer, readableOrigin(read, context.request));
}

async function answerChallenge(
  broker: Broker,
  context: RouteContext,
  read: ReadSnapshot,
  nowMs: number,
): Promise<Response> {
  const { request } = context;
  const body = await readBody(request, challengeRequest, ['text/plain', 'application/json']);
  if (!body.ok) return context.refuse(body.problem);
  const client = read.snapshot.clients.get(body.value.client_id);
  if (client === undefined) return context.refuse({ code: 'client_unknown', field: 'client_id' });
  const origin = request.headers.get('Origin');
  if (origin === null || !client.origins.includes(origin)) {
    return context.refuse({
      code: 'origin_not_registered',
      logDetail: `origin ${JSON.stringify(origin)} for client ${client.client_id}`,
    });
  }
  const challenge = await issueChallenge(
    broker,
    {
      clientId: client.client_id,
      transaction: body.value.transaction,
      origins: client.origins,
    },
    nowMs,
  );
  const { mtlsUrl } = broker;
  return Response.json({
    challenge,
    expires_in_seconds: challengeTtlSeconds,
    ...(mtlsUrl === undefined ? {} : { mtls_url: mtlsUrl }),
  });
}

/** CORS preflight for pages that send `application/json`. */
export async function preflightChallenge(broker: Broker, context: RouteContext): Promise<Response> {
  const read = await broker.snapshots.read(currentTimeMs(), context.waitUntil);
  if (!read.ok) return context.refuse({ code: read.code, logDetail: read.detail });
  const origin = readableOrigin(read, context.request);
  if (origin === undefined) return context.refuse({ code: 'origin_not_registered' });
  const response = new Response(null, {
    status: 204,
    headers: {
      'Access-Control-Allow-Methods': 'POST',
      'Access-Control-Allow-Headers': 'Content-Type',
      'Access-Control-Max-Age': String(preflightMaxAgeSeconds),
    },
  });
  return withCors(response, origin);
}
