const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** From thisUpdate to nextUpdate of a list. */
export const crlValidityMs = 24 * hourMs;
/** A list is made anew after this long, whether or not anything has changed. */
export const crlRenewalMs = 6 * hourMs;
/** After a revocation, so that many of them share one list. */
export const crlCoalesceMs = 1000;
/** After a list that could not be made. */
export const crlRetryMs = minuteMs;
/**
 * How long a certificate stays on record, and on the list if it is revoked, after its end: RFC 5280 section 3.3 asks
 * for one regular list, and this is four.
 */
export const retentionMs = crlValidityMs;

/** From thisUpdate to nextUpdate of an OCSP answer. */
export const ocspValidityMs = 4 * hourMs;
/** A responder whose certificate ends within this time is followed by another one. */
export const responderRenewalMs = 72 * hourMs;

/** An isolate hands out an answer for this long after it was signed, unless it hears of a change sooner. */
export const readyAnswerMs = minuteMs;
/** From then on, a question has it made anew, while it is still handed out. */
export const readyAnswerRenewalMs = minuteMs / 2;

/** For how long others may keep lists and answers without asking again, well within nextUpdate. */
export const maxAgeSeconds = 300;

/** Seconds for which an answer may be kept at `nowMs`: never beyond `nextUpdateMs`. */
export function maxAgeAt(nowMs: number, nextUpdateMs: number): number {
  return Math.max(0, Math.min(maxAgeSeconds, Math.floor((nextUpdateMs - nowMs) / 1000)));
}
