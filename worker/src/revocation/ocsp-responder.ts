import {
  assembleOcspResponse,
  buildOcspResponseData,
  identifyPublicKey,
  type OcspAnswer,
  type ParsedCertificate,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import type { Issuer } from '../ca/issuer.ts';
import {
  planOcspResponder,
  type ResponderPlan,
  signOcspResponderCertificate,
} from '../ca/sign-revocation.ts';
import { ocspValidityMs, responderRenewalMs } from './revocation-times.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A key that answers about one issuer's certificates. It lives in the memory of one object and nowhere else. */
export type OcspResponder = {
  readonly certificate: ParsedCertificate;
  readonly privateKey: CryptoKey;
  /** SHA-1, which is how RFC 6960 names responders; nothing rests on it. */
  readonly keyHash: Uint8Array;
};

/**
 * Makes a key and has the issuer certify it.
 *
 * @param record puts the certificate on record before it is signed; false: it could not
 * @returns `undefined` when it is not on record
 */
export async function makeOcspResponder(
  issuer: Issuer,
  record: (plan: ResponderPlan) => Promise<boolean>,
  nowMs: number,
): Promise<OcspResponder | undefined> {
  const pair = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  if (!('privateKey' in pair)) throw new TypeError('ECDSA keys come in pairs');
  const exported = await crypto.subtle.exportKey('spki', pair.publicKey);
  if (!(exported instanceof ArrayBuffer)) throw new TypeError('SPKI is bytes');
  const publicKey = await identifyPublicKey(
    expectMade(parseSubjectPublicKeyInfo(new Uint8Array(exported))),
  );
  const plan = expectMade(planOcspResponder(issuer, publicKey, nowMs));
  if (!(await record(plan))) return undefined;
  const certificate = expectMade(await signOcspResponderCertificate(issuer, plan));
  const keyHash = new Uint8Array(await crypto.subtle.digest('SHA-1', publicKey.publicKeyBits));
  return { certificate, privateKey: pair.privateKey, keyHash };
}

/** Whether the responder can be used for a while yet, and is not one of a clock that was ahead. */
export function isUsable(responder: OcspResponder, nowMs: number): boolean {
  const { notBeforeMs, notAfterMs } = responder.certificate;
  return nowMs >= notBeforeMs && nowMs < notAfterMs - responderRenewalMs;
}

/** An OCSP response that has been signed. */
export type SignedStatus = {
  /** OCSPResponse, DER. */
  readonly response: Uint8Array;
  readonly producedAtMs: number;
  readonly nextUpdateMs: number;
};

/** Signs statuses that were read at `nowMs`. */
export async function signStatuses(
  responder: OcspResponder,
  answers: readonly OcspAnswer[],
  nonce: Uint8Array | undefined,
  nowMs: number,
): Promise<SignedStatus> {
  const nextUpdateMs = nowMs + ocspValidityMs;
  const fields = {
    responderKeyHash: responder.keyHash,
    producedAtMs: nowMs,
    nextUpdateMs,
    answers,
    nonce,
  };
  const data = expectMade(buildOcspResponseData(fields, responder.certificate));
  const signature = await crypto.subtle.sign(algorithm, responder.privateKey, data);
  const response = expectMade(
    assembleOcspResponse(data, new Uint8Array(signature), responder.certificate),
  );
  return { response, producedAtMs: nowMs, nextUpdateMs };
}

type Made<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

/** For values that the broker made itself: a failure is a broken deployment, not an answer to somebody. */
function expectMade<Value>(result: Made<Value>): Value {
  if (result.ok) return result.value;
  throw new Error(`${result.reason}: ${result.detail}`);
}
