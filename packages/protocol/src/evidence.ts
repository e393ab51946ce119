import { type UnavailableCode, unavailableCodes } from './reason-codes.ts';

/**
 * What the page posts to its sign-in server, opaque to both: `v1~challenge~response~mtls~unavailable`. The parts are a
 * compact JWS, a compact JWE, a compact JWS and a code; none of them can contain `~`. Empty parts stay empty.
 */
export type EvidenceParts = {
  /** The broker's signed challenge, compact JWS (`challenge+jwt`). */
  readonly unverifiedChallenge: string;
  /** The host's answer, compact JWE around a compact JWS (`device-response+jwt`). */
  readonly unverifiedResponse?: string;
  /** The mTLS endpoint's answer, compact JWE around a compact JWS (`mtls-evidence+jwt`). */
  readonly unverifiedMtlsEvidence?: string;
  /** Why there is no response, in the client's own words. */
  readonly reportedUnavailable?: UnavailableCode;
};

const compactText = /^[A-Za-z0-9_.-]*$/;

/** Packs the parts into the one string that travels through the sign-in form. */
export function packEvidence(parts: EvidenceParts): string {
  return [
    'v1',
    parts.unverifiedChallenge,
    parts.unverifiedResponse ?? '',
    parts.unverifiedMtlsEvidence ?? '',
    parts.reportedUnavailable ?? '',
  ].join('~');
}

/** Takes the parts out again; `undefined` when the string is not of the form above. Checks no signature. */
export function unpackEvidence(evidence: string): EvidenceParts | undefined {
  const [version, challenge, response, mtls, unavailable, ...rest] = evidence.split('~');
  if (version !== 'v1' || challenge === undefined || rest.length > 0) return undefined;
  if (response === undefined || mtls === undefined || unavailable === undefined) return undefined;
  if (![challenge, response, mtls].every((part) => compactText.test(part))) return undefined;
  const reported = unavailableCodes.find((code) => code === unavailable);
  if (unavailable !== '' && reported === undefined) return undefined;
  return {
    unverifiedChallenge: challenge,
    ...(response === '' ? {} : { unverifiedResponse: response }),
    ...(mtls === '' ? {} : { unverifiedMtlsEvidence: mtls }),
    ...(reported === undefined ? {} : { reportedUnavailable: reported }),
  };
}
