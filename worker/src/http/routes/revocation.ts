import { maxOcspRequestBytes } from '@countersign/x509';
import { currentTimeMs } from '../../clock.ts';
import { answerStatus, type StatusAnswer } from '../../revocation/answer-status.ts';
import type { CrlPlace } from '../../revocation/publication.ts';
import { readCrlShard, revocationObjectName } from '../../revocation/revocation-place.ts';
import { maxAgeAt } from '../../revocation/revocation-times.ts';
import { askObject, type Broker } from '../broker.ts';
import { finish } from '../finish.ts';
import { readLimited } from '../read-body.ts';
import type { RouteContext } from '../route-context.ts';

/** Each says who may keep it and for how long; all of them are signed, so that it does not matter who hands them out. */

const ocspResponseType = 'application/ocsp-response';
const ocspRequestType = 'application/ocsp-request';
/** An issuer's certificate never changes under its address, which is its hash. */
const issuerMaxAgeSeconds = 86_400;

const objectOf = (broker: Broker, place: CrlPlace) =>
  broker.revocation.get(broker.revocation.idFromName(revocationObjectName(place)));

function keepFor(nowMs: number, thisUpdateMs: number, nextUpdateMs: number, etag: string) {
  return {
    'Cache-Control': `public, max-age=${maxAgeAt(nowMs, nextUpdateMs)}, no-transform, must-revalidate`,
    ETag: etag,
    'Last-Modified': new Date(thisUpdateMs).toUTCString(),
    Expires: new Date(nextUpdateMs).toUTCString(),
  };
}

/** RFC 9110 section 13.1.2: weak comparison, a list, or anything at all. */
function matches(request: Request, etag: string): boolean {
  const given = request.headers.get('If-None-Match');
  if (given === null) return false;
  return given.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim()));
}

/** `GET /crl/:issuer/:shard`: a revocation list (RFC 5280), DER. */
export async function getCrl(broker: Broker, context: RouteContext): Promise<Response> {
  const issuerId = context.parameter('issuer');
  const crlShard = readCrlShard(context.parameter('shard'));
  const isKnown = broker.issuers.some((issuer) => issuer.issuerId === issuerId);
  if (!isKnown || crlShard === undefined) return context.refuse({ code: 'not_found' });
  const place = { issuerId, crlShard };
  const known = broker.publishedCrls.get(revocationObjectName(place));
  const answer = await askObject(() => objectOf(broker, place).crl(place, known?.number ?? -1));
  if (!answer.ok) return context.refuse({ code: 'storage_unavailable' });
  const der = answer.der ?? known?.der;
  if (der === undefined) return context.refuse({ code: 'internal_error' });
  const { number, thisUpdateMs, nextUpdateMs } = answer;
  broker.publishedCrls.set(revocationObjectName(place), { number, der });
  const etag = `"${number.toString(16)}"`;
  const headers = keepFor(currentTimeMs(), thisUpdateMs, nextUpdateMs, etag);
  if (matches(context.request, etag)) return new Response(null, { status: 304, headers });
  return new Response(der, { headers: { ...headers, 'Content-Type': 'application/pkix-crl' } });
}

/** `GET /certificates/:issuer`: the certificate of an issuer, DER (RFC 5280 section 4.2.2.1). */
export function getIssuerCertificate(broker: Broker, context: RouteContext): Response {
  const issuerId = context.parameter('issuer');
  const issuer = broker.issuers.find((each) => each.issuerId === issuerId);
  if (issuer === undefined) return context.refuse({ code: 'not_found' });
  const headers = {
    'Cache-Control': `public, max-age=${issuerMaxAgeSeconds}`,
    ETag: `"${issuerId}"`,
  };
  if (matches(context.request, headers.ETag)) return new Response(null, { status: 304, headers });
  return new Response(issuer.issuerCertificate, {
    headers: { ...headers, 'Content-Type': 'application/pkix-cert' },
  });
}

/** `POST /ocsp` (RFC 6960 appendix A.1). */
export async function postOcsp(broker: Broker, context: RouteContext): Promise<Response> {
  const { request } = context;
  const [mediaType = ''] = (request.headers.get('Content-Type') ?? '').split(';');
  if (mediaType.trim().toLowerCase() !== ocspRequestType) {
    return context.refuse({ code: 'content_type_unsupported' });
  }
  const body = await readLimited(request, maxOcspRequestBytes);
  if (body === undefined) {
    return context.refuse({
      code: 'body_too_large',
      detail: `at most ${maxOcspRequestBytes} bytes`,
    });
  }
  const { changes } = broker.readyAnswers;
  const answer = await answerFor(broker, context, body);
  if (answer.kind !== 'ready') return ocspResponse(answer.response);
  // A POST's answer is kept by no cache (RFC 5019 section 6 has those in mind that see a GET).
  const { headers } = finish(ocspResponse(new Uint8Array()));
  broker.readyResponses.keepPosted(request.url, body, answer.answer, headers, changes);
  return ocspResponse(answer.answer.response);
}

/**
 * `GET /ocsp/:request` (RFC 6960 appendix A.1): base64 of the request, with the escapes of a URL or, as many clients
 * send it, without.
 */
export async function getOcsp(broker: Broker, context: RouteContext): Promise<Response> {
  const nowMs = currentTimeMs();
  const { url } = context.request;
  const { changes } = broker.readyAnswers;
  const answer = await answerFor(broker, context, requestOfPath(url), nowMs);
  if (answer.kind !== 'ready') return ocspResponse(answer.response);
  const { response, producedAtMs, nextUpdateMs, etag } = answer.answer;
  const headers = keepFor(nowMs, producedAtMs, nextUpdateMs, etag);
  if (matches(context.request, etag)) return new Response(null, { status: 304, headers });
  const answered = ocspResponse(response, headers);
  const kept = finish(new Response(null, answered));
  broker.readyResponses.keep(url, answer.answer, kept.headers, changes);
  return answered;
}

function ocspResponse(response: Uint8Array, headers: Record<string, string> = {}): Response {
  return new Response(response, { headers: { ...headers, 'Content-Type': ocspResponseType } });
}

/** Bytes of the path's last part; none where it is no base64, and none are no request. */
function requestOfPath(url: string): Uint8Array {
  const start = url.indexOf('/ocsp/') + '/ocsp/'.length;
  const [escaped = ''] = url.slice(start).split(/[?#]/, 1);
  if (escaped.length > maxOcspRequestBytes * 2) return new Uint8Array();
  try {
    const binary = atob(decodeURIComponent(escaped));
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch {
    return new Uint8Array();
  }
}

async function answerFor(
  broker: Broker,
  context: RouteContext,
  request: Uint8Array,
  nowMs = currentTimeMs(),
): Promise<StatusAnswer> {
  const issuers = await broker.ocspIssuers();
  const statusContext = {
    issuers,
    ready: broker.readyAnswers,
    ask: async (place: CrlPlace, requestDer: Uint8Array) => {
      const asked = await askObject(() => objectOf(broker, place).ocsp(place, requestDer));
      return 'code' in asked ? ({ ok: false, status: 'tryLater' } as const) : asked;
    },
    waitUntil: context.waitUntil,
  };
  return await answerStatus(request, statusContext, nowMs);
}
