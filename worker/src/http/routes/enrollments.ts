import { type EnrollmentRequest, enrollmentRequest } from '@countersign/protocol/enrollment';
import { currentTimeMs } from '../../clock.ts';
import { enrollDevice } from '../../enrollment/enroll-device.ts';
import type { EnrollmentContext, EnrollmentRefusal } from '../../enrollment/enrollment-context.ts';
import { establishAuthority } from '../../enrollment/establish-authority.ts';
import { identifyDevice } from '../../enrollment/identify-device.ts';
import { readProvenKey } from '../../enrollment/proven-key.ts';
import { parseCompactJws } from '../../token/compact-jws.ts';
import type { Broker } from '../broker.ts';
import { clientAddress } from '../client-address.ts';
import { enrollmentContext } from '../enrollment-context.ts';
import { readBody } from '../read-body.ts';
import { recordEnrollmentFailure } from '../record-enrollment-failure.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** What was found out about a request by the time that it was refused. */
type Known = { deviceId?: string; integrationId?: string; secretId?: string };

/** Refusals that somebody gets who tries out what permits an enrollment. */
const guesses: ReadonlySet<EnrollmentRefusal['code']> = new Set([
  'enrollment_token_invalid',
  'enrollment_proof_invalid',
  'enrollment_secret_unknown',
]);

/** `POST /v1/enrollments`: a certificate for a proven key, where something permits it. */
export async function postEnrollment(broker: Broker, context: RouteContext): Promise<Response> {
  const address = clientAddress(context.request);
  const nowMs = currentTimeMs();
  const eventType = 'user.credential.enroll';
  const body = await readBody(context.request, enrollmentRequest);
  if (!body.ok) {
    const refusal = body.problem;
    await recordEnrollmentFailure(broker, { eventType, refusal, address, sender: 'unproven' });
    return context.refuse(refusal);
  }
  const ready = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!ready.ok) return context.refuse({ code: ready.code, logDetail: ready.detail });

  const known: Known = {};
  const enrolling = enrollmentContext(broker, ready.snapshot, nowMs);
  const enrolled = await enroll(enrolling, body.value, known);
  if (enrolled.ok) {
    logEvent('enrolled', { request_id: context.requestId, device_id: enrolled.answer.device_id });
    return Response.json(enrolled.answer, { status: 201 });
  }
  const { isOneOfMany } = await recordEnrollmentFailure(broker, {
    eventType,
    refusal: enrolled,
    ...known,
    user: body.value.user,
    address,
    sender: guesses.has(enrolled.code) ? 'guess' : 'known',
  });
  return context.refuse(
    isOneOfMany ? { code: 'enrollment_throttled', logDetail: enrolled.code } : enrolled,
  );
}

/** Whose secret a proof claims to be by, if that is an integration at all: names of one's own making count for nothing. */
function claimedSecretOf(
  { snapshot }: EnrollmentContext,
  { authority }: EnrollmentRequest,
): string | undefined {
  const proof = 'proof' in authority ? authority.proof : undefined;
  const kid = proof === undefined ? undefined : parseCompactJws(proof)?.unverifiedHeader.kid;
  return typeof kid === 'string' && snapshot.integrations.has(kid) ? kid : undefined;
}

async function enroll(context: EnrollmentContext, request: EnrollmentRequest, known: Known) {
  const secretId = claimedSecretOf(context, request);
  if (secretId !== undefined) known.secretId = secretId;
  const device = await identifyDevice(request.hardware_id, context);
  if (!device.ok) return device;
  known.deviceId = device.deviceId;
  const key = await readProvenKey(request.csr, 'csr');
  if (!key.ok) return key;
  const { csr, spki } = key;
  const permit = await establishAuthority(context, { device, csr, spki, request });
  if (!permit.ok) return permit;
  if (permit.integration !== undefined) known.integrationId = permit.integration.integration_id;
  return await enrollDevice(context, { device, key, permit, via: 'host' });
}
