import { noRuleId } from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import { isMilestone } from '../audit/is-milestone.ts';
import { authenticationEventType, suppressedEvent } from '../audit/system-log-event.ts';
import type { DecideContext } from './decide-context.ts';
import { requestFields } from './decision-fields.ts';
import { appendDecision } from './decision-record.ts';
import type { NamedCertificates } from './named-certificates.ts';
import type { DecideResult, SignIn } from './sign-in.ts';

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
): DecideResult {
  const beyond = context.refusals.take(signIn.clientId, context.nowMs);
  if (beyond > 0) {
    if (isMilestone(beyond)) {
      const facts = { client_id: signIn.clientId };
      const event = suppressedEvent(authenticationEventType, beyond, reason, facts);
      context.log(event, context.shard);
    }
    return { kind: 'rate_limited' };
  }
  const record = appendDecision(context, {
    ...requestFields(context, signIn, named),
    id: context.randomId(),
    opened: false,
    decision: false,
    reason,
    rule: noRuleId,
    device_trusted: false,
    bound_now: false,
    ...(spentId === undefined ? {} : { spent_id: spentId }),
  });
  return { kind: 'decided', record };
}
