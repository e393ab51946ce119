import * as z from 'zod/mini';
import type { PolicyRule } from '../policy-document.ts';

/** `error`: such a policy is not taken. `warning`: it is, and its author is told. */
export const findingCodes = {
  trust_not_possible: 'error',
  never_matches: 'error',
  factor_missing: 'error',
  unreachable: 'warning',
  shadowed: 'warning',
  no_catch_all_deny: 'warning',
  people_differ: 'warning',
  network_differs: 'warning',
  untrusted_let_in: 'warning',
  posture_not_reported: 'warning',
  trusted_too_early: 'warning',
  fail_open: 'warning',
} as const satisfies Record<string, 'error' | 'warning'>;
export type FindingCode = keyof typeof findingCodes;

/** Something about a policy that its author should know, in words for them. */
export const policyFinding = z.object({
  severity: z.enum(['error', 'warning']),
  code: z.string(),
  /** Of the rule; absent where it is about all of them. */
  rule: z.optional(z.string()),
  /** Of a change of the global policy: the application with which together it comes to that. */
  application: z.optional(z.string()),
  detail: z.string(),
});
export type PolicyFinding = z.infer<typeof policyFinding>;

export const finding = (code: FindingCode, detail: string, rule?: PolicyRule): PolicyFinding => ({
  severity: findingCodes[code],
  code,
  ...(rule === undefined ? {} : { rule: rule.id }),
  detail,
});
