import type { DecisionReason } from '@countersign/protocol';
import { subjectTypeUser } from '@countersign/protocol/evaluation';
import type { Verdict } from '../criteria/criterion.ts';
import { notSaid, oneOf, verdictOf } from '../criteria/criterion.ts';
import { people } from '../criteria/people.ts';
import type { AccessConditions } from './access-document.ts';
import {
  checkProperties,
  type EntityFacts,
  seenProperties,
  wantedProperties,
} from './properties.ts';

/** What is asked, and all that is known of it. */
export type AccessFacts = {
  readonly subjectType: string;
  readonly subjectId: string;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
  /** Those of the user's groups that any rule could name; of other subjects none. */
  readonly groups: ReadonlySet<string>;
  readonly subject: EntityFacts;
  readonly resource: EntityFacts;
  /** An action is never on record. */
  readonly actionProperties: EntityFacts;
  /** Of the device that the subject has just signed in with; `undefined` where nobody has shown a sign-in. */
  readonly deviceTrust: ShownDeviceTrust | undefined;
};

/** `reason`: what the device has lost since that sign-in; absent where it was no trusted one then. */
export type ShownDeviceTrust =
  | { readonly trusted: true }
  | { readonly trusted: false; readonly reason?: DecisionReason };

export type AccessCriterionName = keyof AccessConditions;

/** One condition of a rule with what was wanted and what was seen, both for people to read. */
export type CheckedAccessCriterion = {
  readonly criterion: AccessCriterionName;
  readonly verdict: Verdict;
  readonly wanted: string;
  readonly seen: string;
};

type Condition<Name extends AccessCriterionName> = NonNullable<AccessConditions[Name]>;

type AccessCriterion<Name extends AccessCriterionName> = {
  readonly check: (condition: Condition<Name>, facts: AccessFacts) => Verdict;
  readonly wanted: (condition: Condition<Name>) => string;
  readonly seen: (facts: AccessFacts, condition: Condition<Name>) => string;
};

type NamesCriterion = 'actions' | 'resource_types' | 'resources' | 'subject_types';
const named = (seen: (facts: AccessFacts) => string): AccessCriterion<NamesCriterion> => ({
  check: (names, facts) => verdictOf(names.includes(seen(facts))),
  wanted: oneOf,
  seen,
});

type PropertiesCriterion = 'subject_properties' | 'resource_properties' | 'action_properties';
const properties = (
  entityOf: (facts: AccessFacts) => EntityFacts,
): AccessCriterion<PropertiesCriterion> => ({
  check: (conditions, facts) => checkProperties(conditions, entityOf(facts)),
  wanted: wantedProperties,
  seen: (facts, conditions) => seenProperties(conditions, entityOf(facts)),
});

/** Every kind of condition; a new one does not compile until it is here. In the order in which they are looked at. */
const criteria: { readonly [Name in AccessCriterionName]: AccessCriterion<Name> } = {
  actions: named(({ action }) => action),
  resource_types: named(({ resourceType }) => resourceType),
  resources: named(({ resourceId }) => resourceId),
  subject_types: named(({ subjectType }) => subjectType),
  people: {
    check: (condition, { subjectType, subjectId: user, groups }) =>
      subjectType === subjectTypeUser ? people.check(condition, { user, groups }) : 'not_met',
    wanted: people.wanted,
    seen: ({ subjectType, subjectId: user, groups }) =>
      subjectType === subjectTypeUser ? people.seen({ user, groups }) : `a ${subjectType}`,
  },
  device_trust: {
    check: (condition, { deviceTrust }) =>
      deviceTrust === undefined
        ? 'unknown'
        : verdictOf(condition === (deviceTrust.trusted ? 'trusted' : 'not_trusted')),
    wanted: (condition) => condition.replace('_', ' '),
    seen: ({ deviceTrust }) => {
      if (deviceTrust === undefined) return notSaid;
      if (deviceTrust.trusted) return 'trusted';
      return deviceTrust.reason === undefined
        ? 'not trusted'
        : `not trusted: ${deviceTrust.reason}`;
    },
  },
  subject_properties: properties(({ subject }) => subject),
  resource_properties: properties(({ resource }) => resource),
  action_properties: properties(({ actionProperties }) => actionProperties),
};

type Check = {
  readonly verdict: (when: AccessConditions, facts: AccessFacts) => Verdict;
  readonly explain: (
    when: AccessConditions,
    facts: AccessFacts,
  ) => CheckedAccessCriterion | undefined;
};

/** A criterion as it is asked about a whole rule: what the rule does not name is met. */
function ofRule<Name extends AccessCriterionName>(name: Name): Check {
  const { check, wanted, seen }: AccessCriterion<Name> = criteria[name];
  return {
    verdict: (when, facts) => {
      const condition = when[name];
      return condition === undefined ? 'met' : check(condition, facts);
    },
    explain: (when, facts) => {
      const condition = when[name];
      if (condition === undefined) return undefined;
      const verdict = check(condition, facts);
      return { criterion: name, verdict, wanted: wanted(condition), seen: seen(facts, condition) };
    },
  };
}

const checks: readonly Check[] = [
  ofRule('actions'),
  ofRule('resource_types'),
  ofRule('resources'),
  ofRule('subject_types'),
  ofRule('people'),
  ofRule('device_trust'),
  ofRule('subject_properties'),
  ofRule('resource_properties'),
  ofRule('action_properties'),
];

/** All conditions must be met: one that is not settles it, whatever is unknown besides. */
export function checkAccess(when: AccessConditions, facts: AccessFacts): Verdict {
  let verdict: Verdict = 'met';
  for (const check of checks) {
    const one = check.verdict(when, facts);
    if (one === 'not_met') return one;
    if (one === 'unknown') verdict = one;
  }
  return verdict;
}

export const explainAccess = (
  when: AccessConditions,
  facts: AccessFacts,
): CheckedAccessCriterion[] => checks.flatMap(({ explain }) => explain(when, facts) ?? []);
