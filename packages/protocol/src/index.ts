/**
 * The page-safe part: types, codes and the two formats that a web page handles. It imports no schema library, so that
 * `attest()` stays small. Everything with schemas has its own subpath (`@countersign/protocol/challenge` …).
 */
export { decodeBase64url, encodeBase64url } from './base64url.ts';
export { type EvidenceParts, packEvidence, unpackEvidence } from './evidence.ts';
export { isSecureWebOrigin } from './origin.ts';
export {
  type AttestPageReply,
  type AttestPageRequest,
  pageMessageType,
  pageMessageVersion,
  parsePageReply,
  parsePageRequest,
} from './page-messages.ts';
export type {
  AllowCode,
  CommandCode,
  DecisionReason,
  PolicyDenialCode,
  ProblemCode,
  ReasonCode,
  UnavailableCode,
  VerificationCode,
} from './reason-codes.ts';
export { enrollmentLimitText, problemCodes, unavailableCodes } from './reason-codes.ts';
