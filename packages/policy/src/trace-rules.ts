import * as z from 'zod/mini';
import { checkConditions, explainConditions } from './criteria/index.ts';
import type { PolicyFacts } from './facts.ts';
import type { PolicyDocument } from './policy-document.ts';
import type { Zones } from './zones.ts';

const checkedCriterion = z.object({
  criterion: z.string(),
  verdict: z.enum(['met', 'not_met', 'unknown']),
  wanted: z.string(),
  seen: z.string(),
});

/** What became of one rule: whether it matches, and each of its criteria with the value wanted and the value seen. */
export const tracedRule = z.object({
  rule: z.string(),
  name: z.optional(z.string()),
  effect: z.string(),
  verdict: z.enum(['met', 'not_met', 'unknown', 'disabled']),
  criteria: z.array(checkedCriterion),
});
export type TracedRule = z.infer<typeof tracedRule>;

/** Every rule in order, until one surely matches: also why those that did not. */
export function traceRules(policy: PolicyDocument, facts: PolicyFacts, zones: Zones): TracedRule[] {
  const rules: TracedRule[] = [];
  for (const { id, name, effect, when, enabled } of policy.rules) {
    const verdict = enabled === false ? ('disabled' as const) : checkConditions(when, facts, zones);
    const criteria = explainConditions(when, facts, zones);
    rules.push({ rule: id, ...(name === undefined ? {} : { name }), effect, verdict, criteria });
    if (verdict === 'met') break;
  }
  return rules;
}
