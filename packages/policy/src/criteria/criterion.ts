import type { PolicyFacts } from '../facts.ts';
import type { ConditionName, Conditions } from '../policy-document.ts';
import type { Zones } from '../zones.ts';

/** `unknown`: nobody has said what would tell. */
export type Verdict = 'met' | 'not_met' | 'unknown';

export type Condition<Name extends ConditionName> = NonNullable<Conditions[Name]>;

/** One kind of condition: whether facts meet it, and both sides as an administrator reads them. Pure. */
export type Criterion<Name extends ConditionName> = {
  readonly check: (condition: Condition<Name>, facts: PolicyFacts, zones: Zones) => Verdict;
  readonly seen: (facts: PolicyFacts, zones: Zones, condition: Condition<Name>) => string;
  readonly wanted: (condition: Condition<Name>) => string;
};

export const verdictOf = (isMet: boolean): Verdict => (isMet ? 'met' : 'not_met');

export const oneOf = (names: readonly string[]): string =>
  names.length === 1 ? `${names[0]}` : `one of ${names.join(', ')}`;

export const notSaid = 'not said';
