import { env, runInDurableObject, SELF } from 'cloudflare:test';
import {
  decodePem,
  type ParsedCertificate,
  type ParsedCrl,
  parseCertificate,
  parseCrl,
  serialNumberFromRandom,
  verifyCrlSignature,
} from '@countersign/x509';
import {
  certificateIdOf,
  type OcspRequestParts,
  ocspRequestOf,
} from '../../packages/x509/src/testing/make-ocsp-request.ts';
import type { CertificateStanding } from '../../worker/src/revocation/certificate-standing.ts';
import type { CrlPlace } from '../../worker/src/revocation/publication.ts';
import type { RevocationObject } from '../../worker/src/revocation/revocation-object.ts';
import { revocationObjectName } from '../../worker/src/revocation/revocation-place.ts';
import { ringAlarm } from './test-alarms.ts';

/** Lists and OCSP answers of the broker under test, as others see them, and the objects behind them. */

type Result<Value> = { ok: true; value: Value } | { ok: false; reason: string; detail: string };

export function must<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.value;
}

export const brokerUrl = env.BROKER_URL;
export const issuer: ParsedCertificate = must(
  parseCertificate(must(decodePem(env.ISSUER_CERTIFICATE, 'CERTIFICATE'))),
);
export const issuerId = Buffer.from(await crypto.subtle.digest('SHA-256', issuer.der)).toString(
  'base64url',
);

export const placeOf = (crlShard: number): CrlPlace => ({ issuerId, crlShard });

export const revocationObject = (crlShard: number) =>
  env.REVOCATION.get(env.REVOCATION.idFromName(revocationObjectName(placeOf(crlShard))));

export const inRevocation = <Answer>(
  crlShard: number,
  run: (object: RevocationObject, state: DurableObjectState) => Answer | Promise<Answer>,
): Promise<Answer> => runInDurableObject(revocationObject(crlShard), run);

export const ringAlarmOf = (crlShard: number) => ringAlarm(revocationObject(crlShard));

/** A serial number of a certificate that is on this list if it is revoked. */
export function newSerialNumber(crlShard: number): Uint8Array {
  const random = crypto.getRandomValues(new Uint8Array(16));
  random[15] = ((random[15] ?? 0) & 0xf0) | crlShard;
  return serialNumberFromRandom(random);
}

export const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const day = 86_400_000;

export function standing(
  serialNumber: Uint8Array,
  changes: Partial<CertificateStanding> = {},
): CertificateStanding {
  return {
    serialNumber,
    notAfterMs: Date.now() + 30 * day,
    status: 'good',
    changedAtMs: Date.now(),
    statusVersion: 1,
    ...changes,
  };
}

export async function publish(crlShard: number, ...standings: CertificateStanding[]) {
  const told = await revocationObject(crlShard).publish(placeOf(crlShard), standings);
  if (!told.ok) throw new Error(told.code);
}

export const crlUrl = (crlShard: number | string) => `${brokerUrl}/crl/${issuerId}/${crlShard}.crl`;

/** The list as anybody gets it, verified. */
export async function fetchCrl(crlShard: number): Promise<ParsedCrl> {
  const response = await SELF.fetch(crlUrl(crlShard));
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const crl = must(parseCrl(new Uint8Array(await response.arrayBuffer())));
  must(await verifyCrlSignature(crl, issuer.subjectPublicKey));
  return crl;
}

export const listed = async (crlShard: number) =>
  (await fetchCrl(crlShard)).entries.map(({ serialNumber }) => serialNumber);

export async function ocspRequest(
  serialNumbers: readonly Uint8Array[],
  parts: Partial<OcspRequestParts> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const ids = serialNumbers.map((serialNumber) => certificateIdOf(issuer, hexOf(serialNumber)));
  return ocspRequestOf({ certificateIds: await Promise.all(ids), ...parts });
}

export const postOcsp = (request: Uint8Array<ArrayBuffer>) =>
  SELF.fetch(`${brokerUrl}/ocsp`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/ocsp-request' },
    body: request,
  });

export const getOcsp = (request: Uint8Array, headers: Record<string, string> = {}) => {
  const base64 = Buffer.from(request).toString('base64');
  return SELF.fetch(`${brokerUrl}/ocsp/${encodeURIComponent(base64)}`, { headers });
};

/**
 * The statuses of a response, in order: tags of CertStatus (RFC 6960 section 4.2.1) are looked for behind each serial
 * number, or the error's name. What the whole is worth, real clients say in test/conformance.
 */
export async function statusesOf(
  response: Response,
  serialNumbers: readonly Uint8Array[],
): Promise<readonly string[]> {
  const hex = hexOf(new Uint8Array(await response.arrayBuffer()));
  const errors: Record<string, string> = {
    '30030a0101': 'malformedRequest',
    '30030a0103': 'tryLater',
    '30030a0106': 'unauthorized',
  };
  const error = errors[hex];
  if (error !== undefined) return [error];
  const names: Record<string, string> = { '80': 'good', a1: 'revoked', '82': 'unknown' };
  return serialNumbers.map((serialNumber) => {
    const at = hex.indexOf(hexOf(serialNumber)) + 2 * serialNumber.length;
    return names[hex.slice(at, at + 2)] ?? `? ${hex.slice(at, at + 8)}`;
  });
}

export const statusOf = async (serialNumber: Uint8Array) =>
  (await statusesOf(await postOcsp(await ocspRequest([serialNumber])), [serialNumber]))[0];
