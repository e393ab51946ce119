import { attestationRequest } from '@countersign/protocol/attestation';
import { currentTimeMs } from '../../clock.ts';
import { beginAttestation } from '../../enrollment/tpm/begin-attestation.ts';
import type { Broker } from '../broker.ts';
import { readBody } from '../read-body.ts';
import type { RouteContext } from '../route-context.ts';

/** `POST /v1/attestations`: the first step of an enrollment with a key in a TPM. Stores nothing. */
export async function postAttestation(broker: Broker, context: RouteContext): Promise<Response> {
  const body = await readBody(context.request, attestationRequest);
  if (!body.ok) return context.refuse(body.problem);
  const nowMs = currentTimeMs();
  const ready = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!ready.ok) return context.refuse({ code: ready.code, logDetail: ready.detail });
  const integration = ready.snapshot.integrations.get(body.value.integration_id);
  if (integration?.authority !== 'hardware_attested') {
    return context.refuse({ code: 'enrollment_not_allowed', field: 'integration_id' });
  }
  const { deviceIdKey, storedSecretsKey } = broker;
  const begun = await beginAttestation(
    { deviceIdKey, storedSecretsKey, nowMs },
    integration,
    body.value,
  );
  return begun.ok ? Response.json(begun.answer) : context.refuse(begun);
}
