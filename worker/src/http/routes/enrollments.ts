import { enrollmentRequest } from '@countersign/protocol/enrollment';
import { currentTimeMs } from '../../clock.ts';
import { enrollDevice } from '../../enrollment/enroll-device.ts';
import { askObject, type Broker, deviceShard, keyShard } from '../broker.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** `POST /v1/enrollments`: a certificate for a proven key and a one-time token. */
export async function postEnrollment(broker: Broker, context: RouteContext): Promise<Response> {
  const body = await readBody(context.request, enrollmentRequest);
  if (!body.ok) return context.refuse(body.problem);
  const ready = await broker.snapshots.read(currentTimeMs(), context.waitUntil);
  if (!ready.ok) return context.refuse({ code: ready.code, logDetail: ready.detail });
  const enrolled = await enrollDevice(
    {
      ...broker,
      issuerCertificate: broker.issuers[0]?.issuerCertificate ?? broker.rootCertificate,
      examine: (shard, request) =>
        askObject(() => deviceShard(broker, shard).examineIssuance(request)),
      claimKey: (shard, spki, deviceId) =>
        askObject(() => keyShard(broker, shard).claim(spki, deviceId)),
      issue: (shard, request) => askObject(() => deviceShard(broker, shard).issue(request)),
    },
    body.value,
  );
  if (!enrolled.ok) return context.refuse(enrolled);
  logEvent('enrolled', { request_id: context.requestId, device_id: enrolled.answer.device_id });
  return Response.json(enrolled.answer, { status: 201 });
}
