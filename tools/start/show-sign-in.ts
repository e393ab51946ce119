import { createHash, type X509Certificate } from 'node:crypto';
import { packEvidence } from '@countersign/protocol';
import { challengeClaims } from '@countersign/protocol/challenge';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { parseFields } from '@countersign/protocol/schemas';
import type { DemoBrokerClient } from './broker-client.ts';
import { type DemoDevice, demoCertificate } from './demo-device.ts';
import { attestWithHost } from './native-host.ts';
import { type Report, StepError } from './report.ts';
import { openSignInPage, submitSignIn } from './sign-in-site.ts';

/** One complete sign-in without a browser: this program does what page and extension do, everything else is real. */

const person = { username: 'ada', password: 'countersign-demo' };

function decodeJson(part: string | undefined): unknown {
  return JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8') || 'null');
}

/** What the challenge says, read for display; the host is the one that verifies it. */
function readChallenge(challenge: string) {
  const [header, payload] = challenge.split('.');
  const claims = parseFields(challengeClaims, decodeJson(payload));
  const { alg, kid } = Object(decodeJson(header));
  if (claims.ok) return { alg: String(alg), kid: String(kid), claims: claims.value };
  throw new StepError(
    `challenge: "${claims.field}" ${claims.detail}`,
    'Build everything again: remove the folder dist and start again.',
  );
}

/** The JWS algorithm that follows from a certificate's key. */
function signatureAlgorithm({ publicKey }: X509Certificate): string {
  switch (publicKey.asymmetricKeyDetails?.namedCurve) {
    case 'prime256v1':
      return 'ES256 (ECDSA P-256, SHA-256)';
    case 'secp384r1':
      return 'ES384 (ECDSA P-384, SHA-384)';
    default:
      return 'RS256 (RSA, SHA-256)';
  }
}

function certificateLines(certificate: X509Certificate): string[] {
  const { raw, validFromDate, validToDate } = certificate;
  const day = (date: Date) => date.toISOString().slice(0, 10);
  return [
    `serial number ${certificate.serialNumber.toLowerCase()}`,
    `fingerprint ${createHash('sha256').update(raw).digest('base64url')} (SHA-256)`,
    `valid ${day(validFromDate)} to ${day(validToDate)}, issued by ${certificate.issuer.replace(/^CN=/, '')}`,
  ];
}

export async function showSignIn(
  report: Report,
  broker: DemoBrokerClient,
  siteUrl: string,
  device: DemoDevice,
): Promise<void> {
  const page = await openSignInPage(siteUrl);
  report.row('page', `${siteUrl}/ with a new transaction, tied to this browser's cookie`);

  const { challenge } = await broker.requestChallenge(page.clientId, page.transaction, siteUrl);
  const { alg, kid, claims } = readChallenge(challenge);
  report.row(
    'challenge',
    `${claims.jti}, good for ${claims.exp - claims.iat} seconds`,
    `signed by the broker with ${alg}, key ${kid}`,
  );

  const answer = await attestWithHost(device.host, challenge, siteUrl);
  if (answer.type !== 'attest') {
    const code = answer.type === 'error' ? answer.code : 'host_answer_malformed';
    const detail = answer.type === 'error' ? answer.detail : answer.type;
    throw new StepError(
      `signature: the native host refused (${code}): ${detail}`,
      reasonTexts[code].administrator,
    );
  }
  report.row('origin', `${siteUrl}, on the challenge's list and on the host's own`);
  const certificate = demoCertificate(device);
  const { alg: keyManagement, enc } = Object(decodeJson(answer.response.split('.')[0]));

  const evidence = packEvidence({
    unverifiedChallenge: challenge,
    unverifiedResponse: answer.response,
  });
  const outcome = await submitSignIn(siteUrl, page, { ...person, evidence });
  if (outcome.decisionId === '') {
    throw new StepError(
      `decision: the sign-in site answered ${outcome.status} (${outcome.reasonCode}): ${outcome.reasonText}`,
      'The log of the broker, below, says more.',
    );
  }
  const record = await broker.decisionRecord(outcome.decisionId);
  const isTrusted = outcome.outcome === 'trusted';
  const verified = isTrusted ? 'verified by the broker with the certificate' : 'not trusted';
  report.row(
    'signature',
    `${signatureAlgorithm(certificate)}, ${verified}`,
    `key protection: ${record.response?.key_protection ?? 'unknown'}; response encrypted to the broker (${keyManagement}, ${enc})`,
  );
  const onRecord = (await broker.device(record.device_id).catch(() => undefined))?.certificates;
  const status = onRecord?.find(
    ({ fingerprint_sha256: fingerprint }) => fingerprint === record.certificate_sha256,
  );
  const since = record.bound_now ? 'by this sign-in' : 'by an earlier sign-in';
  const user = status?.bound_user;
  report.row(
    'certificate',
    ...certificateLines(certificate),
    user === undefined
      ? `on record as ${status?.status ?? 'unknown'}`
      : `on record, bound to ${user} ${since}`,
  );
  report.row('policy rule', outcome.rule);
  report.outcome(
    'decision',
    isTrusted,
    outcome.status === 200 ? 'allowed' : 'denied',
    `${outcome.reasonCode}: ${outcome.reasonText}`,
  );
  report.row('', `recorded as ${outcome.decisionId} before it was answered`);
  if (!isTrusted) {
    throw new StepError(
      `decision: the demo device is not trusted (${outcome.reasonCode})`,
      adviceFor(outcome.reasonCode, device),
    );
  }
}

/** What the code means, and how to get a fresh demo device. */
function adviceFor(code: string, { stateDirectory }: DemoDevice): string {
  const meaning = Object.entries(reasonTexts).find(([known]) => known === code)?.[1].administrator;
  return `${meaning ?? ''} For a fresh demo device, remove ${stateDirectory} and start again.`;
}
