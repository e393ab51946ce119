import { renewalAnswer } from '@countersign/protocol/enrollment';
import { parseFields } from '@countersign/protocol/schemas';
import type { Configuration } from '../configuration/configuration.ts';
import type { Enrollment } from '../enrollment/enrollment-record.ts';
import { callBroker } from '../http/call-broker.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { renew } from '../renewal/renew.ts';
import { renewAfterSeconds } from '../renewal/renewal-due.ts';
import { signRenewalRequest } from '../renewal/sign-renewal-request.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

const check = 'standing';
/** Two clocks may differ by this much about whether a renewal is due. */
const marginSeconds = 3600;

/**
 * Does the certificate still count at the broker? Asked by a renewal before its time, which the broker answers with the
 * certificate that there is, after it has looked at everything that a renewal needs. Where it has a newer one, as after
 * the profile was shortened, that is kept: the one before counts for its overlap only.
 */
export async function checkStanding(
  configuration: Configuration,
  enrollment: Enrollment,
  nowSeconds: number,
  timeoutMs: number,
): Promise<Finding> {
  if (nowSeconds > renewAfterSeconds(enrollment) - marginSeconds) {
    return warning(check, 'not asked, since a renewal is due', 'run `countersign renew`');
  }
  const keyStores = await openKeyStores(configuration);
  const request = await signRenewalRequest({
    brokerUrl: enrollment.brokerUrl,
    leafCertificate: enrollment.leafCertificate,
    keyStore: keyStores.open(enrollment.keyId),
    nowSeconds,
  });
  if (!request.ok) return warning(check, `not asked: ${request.detail}`, 'see "key"');
  const answer = await callBroker({
    brokerUrl: enrollment.requestedUrl,
    method: 'POST',
    path: '/v1/renewals',
    body: { renewal_request: request.value },
    timeoutMs,
  });
  if (answer.ok) {
    const parsed = parseFields(renewalAnswer, answer.value);
    if (!parsed.ok) {
      return warning(check, "the broker's answer is malformed", 'tell whoever runs the broker');
    }
    const isNewer = !Buffer.from(parsed.value.certificate, 'base64url').equals(
      enrollment.leafCertificate,
    );
    if (!isNewer) return ok(check, 'the broker knows the certificate as good');
    const kept = await renew({
      stateDirectory: configuration.stateDirectory,
      keyStores,
      nowSeconds,
    });
    return kept.ok
      ? ok(check, 'the broker had a newer certificate, which is in use from now on')
      : warning(check, `a newer certificate is there: ${kept.detail}`, 'run `countersign renew`');
  }
  if (answer.reason !== 'broker_refused') {
    return warning(check, `not known: ${answer.detail}`, 'try again in a while');
  }
  const { code, title } = answer.problem;
  const detail = `${code}: ${title}`;
  return answer.problem.status === 429 || answer.problem.status >= 500
    ? warning(check, `not known: ${detail}`, 'try again in a while')
    : failure(check, detail, 'tell IT support the code; PROTOCOL.md says what it asks for');
}
