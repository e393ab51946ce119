import type { ProblemCode } from '@countersign/protocol';
import { answerTexts } from '@countersign/protocol/answer-texts';
import { encodeCertificatesOnly } from '@countersign/x509/cms';
import { currentTimeMs } from '../../clock.ts';
import { answerPkiOperation, type ScepOutcome } from '../../scep/answer-pki-operation.ts';
import { caCapabilities } from '../../scep/ca-capabilities.ts';
import { maxPkiMessageBytes } from '../../scep/pki-message.ts';
import { readGetMessage } from '../../scep/read-get-message.ts';
import type { Broker } from '../broker.ts';
import { clientAddress } from '../client-address.ts';
import { readLimited } from '../read-body.ts';
import { recordEnrollmentFailure } from '../record-enrollment-failure.ts';
import { logEvent, type RouteContext } from '../route-context.ts';
import { scepChain, scepContext } from '../scep-context.ts';

/**
 * A refused message is answered no sooner than this after it came: what took how long until it was refused is not for
 * the sender to measure.
 */
const refusalAfterMs = 50;

/** What somebody gets who tries out challenges, keys or envelopes. */
const guesses: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'scep_signature_invalid',
  'scep_signer_mismatch',
  'scep_request_invalid',
  'scep_challenge_invalid',
  'scep_challenge_spent',
  'scep_challenge_expired',
  'scep_challenge_wrong_device',
  'scep_transaction_reused',
  'enrollment_token_invalid',
  'certificate_not_found',
]);

/** `GET /scep/:integration`: capabilities, certificates, and messages of clients that cannot POST (RFC 8894 section 4). */
export async function getScep(broker: Broker, context: RouteContext): Promise<Response> {
  const { searchParams, search } = new URL(context.request.url);
  const operation = searchParams.get('operation');
  if (operation !== 'PKIOperation') return await describeAuthority(broker, context, operation);
  const message = readGetMessage(search, maxPkiMessageBytes);
  return message.ok
    ? await answerMessage(broker, context, message.bytes)
    : context.refuse({ code: message.code });
}

/** `POST /scep/:integration?operation=PKIOperation`. Clients disagree about the media type. */
export async function postScep(broker: Broker, context: RouteContext): Promise<Response> {
  const { searchParams } = new URL(context.request.url);
  if (searchParams.get('operation') !== 'PKIOperation') {
    return context.refuse({ code: 'scep_operation_unknown' });
  }
  const bytes = await readLimited(context.request, maxPkiMessageBytes);
  if (bytes === undefined) return context.refuse({ code: 'body_too_large' });
  return await answerMessage(broker, context, bytes);
}

/** What a request at this address is about, while SCEP is switched on for it. */
async function findScep(broker: Broker, context: RouteContext, nowMs: number) {
  const { scep } = broker;
  const read = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!read.ok) return { ok: false, problem: { code: read.code, logDetail: read.detail } } as const;
  const { snapshot } = read;
  const integration = snapshot.integrations.get(context.parameter('integration'));
  return scep === undefined || integration?.scep.enabled !== true
    ? ({ ok: false, problem: { code: 'scep_not_enabled' } } as const)
    : ({ ok: true, scep, integration, snapshot } as const);
}

async function describeAuthority(
  broker: Broker,
  context: RouteContext,
  operation: string | null,
): Promise<Response> {
  if (operation !== 'GetCACaps' && operation !== 'GetCACert') {
    return context.refuse({ code: 'scep_operation_unknown' });
  }
  const found = await findScep(broker, context, currentTimeMs());
  if (!found.ok) return context.refuse(found.problem);
  if (operation === 'GetCACaps') {
    const headers = { 'Content-Type': 'text/plain' };
    return new Response(`${caCapabilities.join('\n')}\n`, { headers });
  }
  const { authority, issuer, root } = scepChain(broker, found.scep, found.snapshot);
  return new Response(encodeCertificatesOnly([authority, issuer, root]), {
    headers: { 'Content-Type': 'application/x-x509-ca-ra-cert' },
  });
}

async function answerMessage(
  broker: Broker,
  context: RouteContext,
  bytes: Uint8Array,
): Promise<Response> {
  const refusalDue = new Promise((resolve) => setTimeout(resolve, refusalAfterMs));
  const nowMs = currentTimeMs();
  const address = clientAddress(context.request);
  const closedSeconds = broker.enrollmentThrottle.secondsClosedTo(address, nowMs);
  if (closedSeconds !== undefined) {
    return context.refuse({ code: 'enrollment_throttled', retryAfterSeconds: closedSeconds });
  }
  const found = await findScep(broker, context, nowMs);
  if (!found.ok) return context.refuse(found.problem);
  const { scep, integration, snapshot } = found;
  const answering = await scepContext(broker, context, scep, integration, { snapshot, nowMs });
  const answer = await answerPkiOperation(
    answering,
    bytes,
    (code) => answerTexts[code].administrator,
  );
  if (!answer.ok) {
    const refusal = { code: answer.code, logDetail: answer.detail };
    const { integration_id: integrationId } = integration;
    const eventType = 'user.credential.enroll';
    const refused = { eventType, refusal, integrationId, address, sender: 'unproven' } as const;
    await recordEnrollmentFailure(broker, refused);
    await refusalDue;
    return context.refuse(refusal);
  }
  const { outcome, body } = answer;
  if (outcome.refusal !== undefined) {
    await noteRefusal(broker, context, integration.integration_id, outcome);
    await refusalDue;
  } else {
    const { deviceId, isRenewal } = outcome;
    const known = { request_id: context.requestId, device_id: deviceId };
    if (isRenewal) logEvent('renewed', known);
    else logEvent('enrolled', known);
  }
  return new Response(body, { headers: { 'Content-Type': 'application/x-pki-message' } });
}

async function noteRefusal(
  broker: Broker,
  { request, requestId }: RouteContext,
  integrationId: string,
  { transactionId, deviceId, refusal, isRenewal }: ScepOutcome,
): Promise<void> {
  if (refusal === undefined) return;
  const { code, detail } = refusal;
  logEvent('scep_refused', {
    request_id: requestId,
    integration_id: integrationId,
    transaction_id: transactionId,
    device_id: deviceId,
    code,
    detail,
  });
  await recordEnrollmentFailure(broker, {
    eventType: isRenewal ? 'pki.cert.renew' : 'user.credential.enroll',
    refusal,
    deviceId,
    integrationId,
    address: clientAddress(request),
    sender: guesses.has(code) ? 'guess' : 'known',
  });
}
