import type {
  PolicyDifference,
  PolicyFinding,
  simulationAnswer,
  TracedRule,
  whatIfAnswer,
} from '@countersign/policy';
import type * as z from 'zod/mini';
import { lines, rows, type Section, table } from '../command-line/command.ts';

/** What policies come to, for people to read. */

export const findingTable = (findings: readonly PolicyFinding[]) =>
  table(
    ['rule', 'finding', 'what'],
    findings.map(({ rule = '-', application, code, detail }) => [
      application === undefined ? rule : `${rule} (${application})`,
      code,
      detail,
    ]),
    'Nothing to say.',
  );

function differenceRow(difference: PolicyDifference): string[] {
  switch (difference.kind) {
    case 'policy_changed':
      return ['-', `${difference.member}: ${difference.before} → ${difference.after}`];
    case 'rule_changed':
      return [difference.rule, `${difference.member}: ${difference.before} → ${difference.after}`];
    case 'rule_moved':
      return [difference.rule, `moved from place ${difference.before} to ${difference.after}`];
    case 'rule_added':
      return [difference.rule, `added: ${difference.text}`];
    case 'rule_removed':
      return [difference.rule, `removed: ${difference.text}`];
  }
}

export const differenceTable = (differences: readonly PolicyDifference[]) =>
  table(['rule', 'difference'], differences.map(differenceRow), 'Nothing differs.');

export function simulationSections(found: z.infer<typeof simulationAnswer>): Section[] {
  const countsOf = (counts: Pick<typeof found, 'newly_denied' | 'newly_asked' | 'newly_allowed'>) =>
    [counts.newly_denied, counts.newly_asked, counts.newly_allowed].map(String);
  return [
    lines(
      `Of ${found.decisions} sign-ins ${found.unchanged} would have ended alike. ${found.newly_denied} by ${found.users_newly_denied} people would have been denied, ${found.newly_asked} asked for a factor, ${found.newly_allowed} allowed, that were not.`,
      ...(found.complete ? [] : ['There are more: take fewer days.']),
    ),
    table(
      ['application', 'rule', 'sign-ins', 'newly denied', 'newly asked', 'newly allowed'],
      found.rules.map((rule) => [
        rule.application,
        rule.rule,
        String(rule.decisions),
        ...countsOf(rule),
      ]),
      'There are none.',
    ),
    table(
      [
        'change',
        'application',
        'user',
        'when',
        'rule before',
        'rule after',
        'reason after',
        'decision',
      ],
      found.examples.map((one) => [
        one.change,
        one.application,
        one.user,
        one.recorded_at,
        one.rule_before,
        one.rule_after,
        one.reason_after,
        one.decision_id,
      ]),
      'Nothing would have changed.',
    ),
  ];
}

const effects = { allow: 'allowed', deny: 'denied', step_up: 'asked for a factor' } as const;

/** What became of each rule that was looked at. */
export const ruleTable = (rules: readonly TracedRule[]): Section =>
  table(
    ['rule', 'matches', 'criterion', 'is', 'wanted', 'seen'],
    rules.flatMap(({ rule, verdict, criteria }) => {
      const [first, ...others] = criteria.map((one) => [
        one.criterion,
        one.verdict,
        one.wanted,
        one.seen,
      ]);
      return [
        [rule, verdict, ...(first ?? ['', '', 'everybody', ''])],
        ...others.map((other) => ['', '', ...other]),
      ];
    }),
    'The policy has no rules.',
  );

export function whatIfSections(found: z.infer<typeof whatIfAnswer>): Section[] {
  const { factor } = found;
  const seconds = found.reauthenticate_after_seconds;
  return [
    rows(
      ['outcome', effects[found.effect]],
      ['rule', found.rule],
      ['reason', found.reason],
      ['acr values', factor?.acr_values.join(' ') || undefined],
      ['amr values', factor?.amr_values.join(' ') || undefined],
      ['asked anew after', seconds === undefined ? undefined : `${seconds} s`],
      [
        'uncertain',
        found.uncertain ? 'something was not said, so the strictest outcome stands' : undefined,
      ],
    ),
    ruleTable(found.rules),
  ];
}
