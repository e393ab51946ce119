import { renewalRequest } from '@countersign/protocol/enrollment';
import { currentTimeMs } from '../../clock.ts';
import { shardOfId } from '../../device/placement.ts';
import { readProvenKey } from '../../enrollment/proven-key.ts';
import { renewDevice } from '../../enrollment/renew-device.ts';
import { verifyRenewalRequest } from '../../enrollment/verify-renewal-request.ts';
import type { Broker } from '../broker.ts';
import { clientAddress } from '../client-address.ts';
import { enrollmentContext } from '../enrollment-context.ts';
import type { Problem } from '../problem.ts';
import { readBody } from '../read-body.ts';
import { recordEnrollmentFailure } from '../record-enrollment-failure.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** `POST /v1/renewals`: the successor of the certificate whose key signed the request. */
export async function postRenewal(broker: Broker, context: RouteContext): Promise<Response> {
  const address = clientAddress(context.request);
  const refuse = async (refusal: Problem, sender: 'known' | 'unproven', deviceId?: string) => {
    const eventType = 'pki.cert.renew';
    await recordEnrollmentFailure(broker, { eventType, refusal, deviceId, address, sender });
    return context.refuse(refusal);
  };
  const body = await readBody(context.request, renewalRequest);
  if (!body.ok) return await refuse(body.problem, 'unproven');
  const nowMs = currentTimeMs();
  const verified = await verifyRenewalRequest(body.value.renewal_request, {
    brokerUrl: broker.brokerUrl,
    certificates: broker.presentedCertificates,
    nowMs,
  });
  if (!verified.ok) return await refuse(verified, 'unproven');
  const { presented, claims } = verified;
  const deviceId = presented.claimedDeviceId;
  const shard = shardOfId(deviceId, broker.shardCount);
  if (shard === undefined) return await refuse({ code: 'renewal_certificate_unknown' }, 'unproven');
  const ready = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!ready.ok) return context.refuse({ code: ready.code, logDetail: ready.detail });

  const rekey =
    claims.rekey_csr === undefined ? undefined : await readProvenKey(claims.rekey_csr, 'rekey_csr');
  if (rekey?.ok === false) return await refuse(rekey, 'unproven');
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
  // Whoever signed with the key of a certificate that is not on record has made that certificate.
  const isUnknown = renewed.code === 'renewal_certificate_unknown';
  return isUnknown ? await refuse(renewed, 'unproven') : await refuse(renewed, 'known', deviceId);
}
