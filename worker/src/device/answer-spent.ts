import type { DecisionRecord } from '@countersign/protocol/decision-record';
import type { DecideContext } from './decide-context.ts';
import { lostStanding } from './lost-standing.ts';
import type { NamedCertificates } from './named-certificates.ts';
import { refuseSignIn } from './refuse-sign-in.ts';
import type { DecideResult, SignIn } from './sign-in.ts';

/** Until when a row may be given as the answer again; 0 where it never may. */
function answersUntilMs({ token, pending }: DecisionRecord): number {
  return token === undefined ? (pending?.expires_at_ms ?? 0) : token.exp * 1000;
}

/** Do the certificates, their issuers, the binding and the user still carry what was recorded? */
function stillStands(
  { sql, nowMs }: DecideContext,
  signIn: SignIn,
  named: NamedCertificates,
  spent: DecisionRecord,
): boolean {
  // A recorded denial rests on no standing that could have been lost since.
  if (spent.decision && signIn.structuralDenial === 'subject_inactive') return false;
  return lostStanding(sql, spent, named, signIn, nowMs) === undefined;
}

/**
 * Answers a request whose challenge is spent: the recorded outcome to a retry of the same request while its token, or
 * its wait, lasts and nothing it rested on has lost its standing; a refusal to everything else.
 */
export function answerSpent(
  context: DecideContext,
  signIn: SignIn,
  named: NamedCertificates,
  spent: DecisionRecord,
): DecideResult {
  const isRetry =
    spent.client_id === signIn.clientId &&
    spent.request_hash === signIn.requestHash &&
    context.nowMs < answersUntilMs(spent);
  if (!isRetry) return refuseSignIn(context, signIn, named, 'challenge_already_used', spent.id);
  if (!stillStands(context, signIn, named, spent)) {
    return refuseSignIn(context, signIn, named, 'revoked', spent.id);
  }
  return { kind: 'decided', record: spent };
}
