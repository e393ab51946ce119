import type { DecisionReason } from '@countersign/protocol';
import type { DecideBlock, DecideContext } from './decide-context.ts';
import { requestFields } from './decision-fields.ts';
import { appendDecision } from './decision-record.ts';
import type { NamedCertificates } from './named-certificates.ts';
import type { SignIn } from './sign-in.ts';

/**
 * Records a refusal that no challenge keys: under a fresh random id, never replayed, without a token, and no more
 * often than the client's allowance, since one challenge, or none, would do for any number of them.
 *
 * @param spentId challenge id of the row that stands in the way, where one does
 */
export function refuseSignIn(
  context: DecideContext,
  signIn: SignIn,
  named: NamedCertificates,
  reason: DecisionReason,
  spentId: string | undefined,
): DecideBlock {
  if (!context.refusals.take(signIn.clientId, context.nowMs)) {
    return { result: { kind: 'rate_limited' }, head: context.head };
  }
  const { record, head } = appendDecision(context.sql, context.head, {
    ...requestFields(context, signIn, named),
    id: context.randomId(),
    opened: false,
    decision: false,
    reason,
    rule: 'none',
    device_trusted: false,
    bound_now: false,
    ...(spentId === undefined ? {} : { spent_id: spentId }),
  });
  return { result: { kind: 'decided', record }, head };
}
