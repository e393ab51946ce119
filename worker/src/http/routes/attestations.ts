import {
  type AttestationAnswer,
  type AttestationRequest,
  attestationRequest,
} from '@countersign/protocol/attestation';
import { currentTimeMs } from '../../clock.ts';
import type { OrganizationSnapshot } from '../../directory/organization-snapshot.ts';
import type { EnrollmentRefusal } from '../../enrollment/enrollment-context.ts';
import { identifyDevice } from '../../enrollment/identify-device.ts';
import { beginAttestation } from '../../enrollment/tpm/begin-attestation.ts';
import type { Broker } from '../broker.ts';
import { clientAddress } from '../client-address.ts';
import { readBody } from '../read-body.ts';
import { recordEnrollmentFailure } from '../record-enrollment-failure.ts';
import type { RouteContext } from '../route-context.ts';

/** `POST /v1/attestations`: the first step of an enrollment with a key in a TPM. Stores nothing but refusals. */
export async function postAttestation(broker: Broker, context: RouteContext): Promise<Response> {
  const address = clientAddress(context.request);
  const nowMs = currentTimeMs();
  const closedSeconds = broker.enrollmentThrottle.secondsClosedTo(address, nowMs);
  if (closedSeconds !== undefined) {
    return context.refuse({ code: 'enrollment_throttled', retryAfterSeconds: closedSeconds });
  }
  const body = await readBody(context.request, attestationRequest);
  const eventType = 'user.credential.enroll';
  if (!body.ok) {
    const refusal = body.problem;
    await recordEnrollmentFailure(broker, { eventType, refusal, address, sender: 'unproven' });
    return context.refuse(refusal);
  }
  const ready = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!ready.ok) return context.refuse({ code: ready.code, logDetail: ready.detail });
  const begun = await begin(broker, ready.snapshot, body.value, nowMs);
  if (begun.ok) return Response.json(begun.answer);
  await recordEnrollmentFailure(broker, {
    eventType,
    refusal: begun,
    deviceId: begun.deviceId,
    integrationId: body.value.integration_id,
    address,
    sender: 'known',
  });
  return context.refuse(begun);
}

async function begin(
  broker: Broker,
  snapshot: OrganizationSnapshot,
  request: AttestationRequest,
  nowMs: number,
): Promise<
  | { readonly ok: true; readonly answer: AttestationAnswer }
  | (EnrollmentRefusal & { readonly deviceId?: string })
> {
  const device = await identifyDevice(request.hardware_id, broker);
  if (!device.ok) return device;
  const { deviceId } = device;
  const integration = snapshot.integrations.get(request.integration_id);
  if (integration?.authority !== 'hardware_attested') {
    return { ok: false, code: 'enrollment_not_allowed', field: 'integration_id', deviceId };
  }
  const { storedSecretsKey } = broker;
  const begun = await beginAttestation({ storedSecretsKey, nowMs }, integration, deviceId, request);
  return begun.ok ? begun : { ...begun, deviceId };
}
