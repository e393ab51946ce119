import { chosenId } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { PolicyDocument } from './policy-document.ts';
import { hypotheticalSignIn, type WhatIfOutcome, whatIf } from './what-if.ts';
import { networkZone, type Zones, zoneFields } from './zones.ts';

/** What a policy is to come to, as data: sign-ins that are only thought of, each with the outcome that its author wants. */

const expectation = z.strictObject({
  effect: z.enum(['allow', 'deny', 'step_up']),
  rule: z.optional(z.string()),
  reason: z.optional(z.string()),
  reauthenticate_after_seconds: z.optional(z.int()),
});

export const policyTests = z.strictObject({
  /** Networks by id, for tests without a broker: where there is one, its own count. */
  zones: z.optional(z.record(chosenId, z.strictObject(zoneFields))),
  tests: z
    .array(
      z.strictObject({
        name: z.string().check(z.minLength(1), z.maxLength(256)),
        given: hypotheticalSignIn,
        expect: expectation,
      }),
    )
    .check(
      z.minLength(1),
      z.maxLength(10_000),
      z.refine((tests) => new Set(tests.map(({ name }) => name)).size === tests.length, {
        error: 'must have different names',
      }),
    ),
});
export type PolicyTests = z.infer<typeof policyTests>;

/** A test that came out otherwise: what was wanted and what there was, of the first member that differs. */
export type FailedTest = {
  readonly name: string;
  readonly member: keyof z.infer<typeof expectation>;
  readonly wanted: string;
  readonly found: string;
  readonly outcome: WhatIfOutcome;
};

/** The networks that tests name themselves, for where nobody knows those of the organization. */
export const zonesOfTests = ({ zones = {} }: PolicyTests): Zones =>
  Object.entries(zones).map(([zone_id, fields]) => networkZone.parse({ zone_id, ...fields }));

const members = ['effect', 'rule', 'reason', 'reauthenticate_after_seconds'] as const;

/** Runs them all; those that fail, in their order. Pure. */
export function runPolicyTests(
  policy: PolicyDocument,
  { tests }: PolicyTests,
  zones: Zones,
  nowMs: number,
): FailedTest[] {
  return tests.flatMap(({ name, given, expect }) => {
    const outcome = whatIf(policy, given, zones, nowMs);
    const member = members.find(
      (each) => expect[each] !== undefined && expect[each] !== outcome[each],
    );
    return member === undefined
      ? []
      : [
          {
            name,
            member,
            wanted: String(expect[member]),
            found: String(outcome[member] ?? 'none'),
            outcome,
          },
        ];
  });
}
