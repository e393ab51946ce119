import { renewalRequest } from '@countersign/protocol/enrollment';
import { currentTimeMs } from '../../clock.ts';
import { shardOfId } from '../../device/placement.ts';
import { readProvenKey } from '../../enrollment/proven-key.ts';
import { renewDevice } from '../../enrollment/renew-device.ts';
import { verifyRenewalRequest } from '../../enrollment/verify-renewal-request.ts';
import type { Broker } from '../broker.ts';
import { clientAddress } from '../client-address.ts';
import { enrollmentContext } from '../enrollment-context.ts';
import { readBody } from '../read-body.ts';
import { recordEnrollmentFailure } from '../record-enrollment-failure.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** `POST /v1/renewals`: the successor of the certificate whose key signed the request. */
export async function postRenewal(broker: Broker, context: RouteContext): Promise<Response> {
  const body = await readBody(context.request, renewalRequest);
  if (!body.ok) return context.refuse(body.problem);
  const nowMs = currentTimeMs();
  const verified = await verifyRenewalRequest(body.value.renewal_request, {
    brokerUrl: broker.brokerUrl,
    certificates: broker.presentedCertificates,
    nowMs,
  });
  // Of whom nothing is proven, nothing is recorded either.
  if (!verified.ok) return context.refuse(verified);
  const { presented, claims } = verified;
  const deviceId = presented.claimedDeviceId;
  const shard = shardOfId(deviceId, broker.shardCount);
  if (shard === undefined) return context.refuse({ code: 'renewal_certificate_unknown' });
  const ready = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!ready.ok) return context.refuse({ code: ready.code, logDetail: ready.detail });

  const rekey =
    claims.rekey_csr === undefined ? undefined : await readProvenKey(claims.rekey_csr, 'rekey_csr');
  if (rekey?.ok === false) return context.refuse(rekey);
  const renewed = await renewDevice(enrollmentContext(broker, ready.snapshot, nowMs), {
    deviceId,
    shard,
    certificateSha256: presented.sha256,
    rekey:
      rekey === undefined
        ? undefined
        : { subjectPublicKeyInfo: rekey.spki, spkiSha256: rekey.spkiSha256 },
    via: 'host',
  });
  if (renewed.ok) {
    logEvent('renewed', {
      request_id: context.requestId,
      device_id: deviceId,
      renewed: renewed.answer.renewed,
    });
    return Response.json(renewed.answer);
  }
  if (renewed.code !== 'storage_unavailable' && renewed.code !== 'renewal_certificate_unknown') {
    await recordEnrollmentFailure(broker, {
      eventType: 'pki.cert.renew',
      refusal: renewed,
      deviceId,
      address: clientAddress(context.request),
    });
  }
  return context.refuse(renewed);
}
