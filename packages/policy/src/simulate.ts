import * as z from 'zod/mini';
import type { Effect } from './policy-document.ts';

/** What a draft would have made of sign-ins that were decided: counted, by rule, with examples. */

const changes = ['newly_denied', 'newly_asked', 'newly_allowed'] as const;
type Change = (typeof changes)[number];

const changeCounts = z.object({
  newly_denied: z.int(),
  newly_asked: z.int(),
  newly_allowed: z.int(),
});

const simulatedSignIn = z.object({
  /** `<shard>.<sequence>`: names the record. */
  decision_id: z.string(),
  recorded_at: z.string(),
  application: z.string(),
  user: z.string(),
  change: z.enum(changes),
  /** The rules that decided and that would have. */
  rule_before: z.string(),
  rule_after: z.string(),
  reason_after: z.string(),
});
export type SimulatedSignIn = z.infer<typeof simulatedSignIn>;

export const simulation = z.object({
  decisions: z.int(),
  unchanged: z.int(),
  ...changeCounts.shape,
  /** People of whom at least one sign-in would have been denied that was not. */
  users_newly_denied: z.int(),
  /** By application, and by the rule that would have decided. */
  rules: z.array(
    z.object({
      application: z.string(),
      rule: z.string(),
      decisions: z.int(),
      ...changeCounts.shape,
    }),
  ),
  examples: z.array(simulatedSignIn),
});
export type Simulation = z.infer<typeof simulation>;

/** What becomes of a sign-in when one effect takes the place of another; `undefined`: nothing. */
export function changeOf(before: Effect, after: Effect): Change | undefined {
  if (before === after) return undefined;
  if (after === 'deny') return 'newly_denied';
  return after === 'step_up' ? 'newly_asked' : 'newly_allowed';
}

const noChanges = { newly_denied: 0, newly_asked: 0, newly_allowed: 0 };
type Counts = { decisions: number } & Record<Change, number>;

/** Of one part of the sign-ins. It crosses to whoever adds the parts up. */
export type PartialSimulation = {
  readonly total: Counts;
  /** By application and rule. */
  readonly rules: Map<string, Map<string, Counts>>;
  /** Ids. */
  readonly denied: Set<string>;
  readonly examples: SimulatedSignIn[];
};

export const emptySimulation = (): PartialSimulation => ({
  total: { decisions: 0, ...noChanges },
  rules: new Map(),
  denied: new Set(),
  examples: [],
});

const examplesOfEach = 10;

/** The counts of a rule, made where there are none. */
function countsOf({ rules }: PartialSimulation, application: string, rule: string): Counts {
  const ofApplication = rules.get(application) ?? new Map<string, Counts>();
  rules.set(application, ofApplication);
  const counts = ofApplication.get(rule) ?? { decisions: 0, ...noChanges };
  ofApplication.set(rule, counts);
  return counts;
}

/** Counts one sign-in. `signIn` is made only where it is kept. */
export function countSignIn(
  part: PartialSimulation,
  { application, rule }: { readonly application: string; readonly rule: string },
  change: Change | undefined,
  signIn: () => Omit<SimulatedSignIn, 'change'>,
): void {
  const ofRule = countsOf(part, application, rule);
  for (const counts of [part.total, ofRule]) {
    counts.decisions += 1;
    if (change !== undefined) counts[change] += 1;
  }
  if (change === undefined) return;
  const told = { ...signIn(), change };
  if (change === 'newly_denied') part.denied.add(told.user);
  addExample(part.examples, told);
}

/** A few of each kind. */
function addExample(examples: SimulatedSignIn[], signIn: SimulatedSignIn): void {
  const alike = examples.filter(({ change }) => change === signIn.change).length;
  if (alike < examplesOfEach) examples.push(signIn);
}

export function addSimulation(sum: PartialSimulation, part: PartialSimulation): void {
  const add = (to: Counts, from: Counts) => {
    to.decisions += from.decisions;
    for (const change of changes) to[change] += from[change];
  };
  add(sum.total, part.total);
  for (const [application, rules] of part.rules) {
    for (const [rule, counts] of rules) add(countsOf(sum, application, rule), counts);
  }
  for (const user of part.denied) sum.denied.add(user);
  for (const example of part.examples) addExample(sum.examples, example);
}

/**
 * As it is answered, rules in their order.
 *
 * @param order by application, the rules of the draft and what stands for none
 */
export function simulationOf(
  { total, rules, denied, examples }: PartialSimulation,
  order: ReadonlyMap<string, readonly string[]>,
): Simulation {
  const { decisions, ...changed } = total;
  const sum = changes.reduce((all, change) => all + changed[change], 0);
  return {
    decisions,
    unchanged: decisions - sum,
    ...changed,
    users_newly_denied: denied.size,
    rules: [...order].flatMap(([application, names]) =>
      names.flatMap((rule) => {
        const counts = rules.get(application)?.get(rule);
        return counts === undefined ? [] : [{ application, rule, ...counts }];
      }),
    ),
    examples,
  };
}
