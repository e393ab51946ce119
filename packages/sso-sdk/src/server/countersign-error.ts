import type { ProblemCode } from '@countersign/protocol';
import { reasonTexts } from '@countersign/protocol/reason-texts';

/** What this package itself finds; append only, like the broker's own codes. */
export const ownTexts = {
  options_invalid: 'An option of createCountersignClient() is missing or wrong.',
  input_invalid: 'An argument is missing or wrong, so nothing was sent.',
  broker_unreachable:
    'The broker could not be reached. Check its address, the network and its TLS certificate.',
  broker_timeout: 'The broker did not answer in time.',
  broker_answer_malformed:
    'The broker answered something that this version does not understand. Check the URL and the versions.',
  decision_keys_unavailable: "The broker's public keys (/.well-known/jwks.json) cannot be read.",
  decision_token_missing:
    'The broker says yes without a decision token to prove it: it was sent no evidence with a challenge of its own.',
  decision_token_malformed: 'The decision token is not a compact JWS with the expected claims.',
  decision_token_type_wrong:
    'The token is signed for another purpose; its typ is not decision+jwt.',
  decision_token_algorithm_not_allowed: 'The decision token is not signed with ES256.',
  decision_token_key_unknown: "The decision token's key is not among the broker's public keys.",
  decision_token_key_wrong_purpose:
    "The decision token's key is published for another purpose than decisions.",
  decision_token_key_without_purpose:
    "The broker does not say what the decision token's key is for: it is older than this package. Upgrade the broker first.",
  decision_token_signature_invalid: 'The signature of the decision token is wrong.',
  decision_token_expired:
    'The decision token has expired. If it is fresh, compare the clocks of this server and the broker.',
  decision_token_not_yet_valid:
    'The decision token was issued in the future. Compare the clocks of this server and the broker.',
  decision_token_lifetime_wrong: 'The decision token lives longer than the protocol allows.',
  decision_token_wrong_issuer: 'The decision token comes from another broker.',
  decision_token_wrong_audience: 'The decision token was made for another client.',
  decision_token_wrong_subject: 'The decision token was made for another user.',
  decision_token_wrong_application: 'The decision token was made for another application.',
  decision_token_wrong_action: 'The decision token was made for another action.',
  decision_token_wrong_transaction: 'The decision token was made for another sign-in transaction.',
  decision_token_denies: 'The decision token says that the sign-in is not allowed.',
} as const;

type OwnCode = keyof typeof ownTexts;

/** Codes of this package, and the broker's own (RFC 9457 problem documents). */
export type CountersignErrorCode = OwnCode | ProblemCode;

export type CountersignErrorFacts = {
  readonly cause?: unknown;
  /** HTTP status, when the broker answered. */
  readonly status?: number | undefined;
  /** The argument, option or member of the request that is wrong. */
  readonly field?: string | undefined;
  readonly detail?: string | undefined;
  /** `X-Request-ID` of the call; the broker's log has it too. */
  readonly requestId?: string | undefined;
  /** The broker's text for the person; there is one for every code without it. */
  readonly userText?: string | undefined;
};

/** No decision, and therefore: not allowed. Holds no secret and no evidence, so that it can be logged as it is. */
export class CountersignError extends Error {
  readonly code: CountersignErrorCode;
  readonly status: number | undefined;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  /** For the person at the browser: what to do next. */
  readonly userText: string;

  constructor(code: CountersignErrorCode, facts: CountersignErrorFacts = {}) {
    const about = [facts.field, facts.detail].filter((part) => part !== undefined).join(' ');
    const text = isOwnCode(code) ? ownTexts[code] : reasonTexts[code].administrator;
    super(`${code}: ${text}${about === '' ? '' : ` (${about})`}`, { cause: facts.cause });
    this.name = 'CountersignError';
    this.code = code;
    this.status = facts.status;
    this.field = facts.field;
    this.requestId = facts.requestId;
    this.userText =
      facts.userText ??
      (isOwnCode(code)
        ? 'The check of this device failed. Try again in a minute.'
        : reasonTexts[code].person);
  }
}

function isOwnCode(code: CountersignErrorCode): code is OwnCode {
  return Object.hasOwn(ownTexts, code);
}
