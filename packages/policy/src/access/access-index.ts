import { subjectTypeUser } from '@countersign/protocol/evaluation';
import { PeopleIndex } from '../compiled/people-index.ts';
import { CommonRules, RuleSet, setFor } from '../compiled/rule-set.ts';
import type { AccessFacts } from './access-criteria.ts';
import type { AccessRule, PropertyCondition, PropertyValue } from './access-document.ts';
import { type EntityFacts, type PropertyFact, propertyOf } from './properties.ts';

/** Rules by what a fact may be: which of them a value leaves, and which ask nothing of it. */
class ValueIndex {
  readonly #byValue = new Map<PropertyValue, RuleSet>();
  readonly #indifferent: RuleSet;

  /** @param valuesOf what a rule takes; `undefined`: anything */
  constructor(
    rules: readonly AccessRule[],
    valuesOf: (rule: AccessRule) => readonly PropertyValue[] | undefined,
  ) {
    const { length } = rules;
    this.#indifferent = new RuleSet(length);
    for (const [place, rule] of rules.entries()) {
      const values = valuesOf(rule);
      if (values === undefined) this.#indifferent.add(place);
      for (const value of values ?? []) setFor(this.#byValue, value, length).add(place);
    }
    for (const known of this.#byValue.values()) known.addAll(this.#indifferent);
  }

  /** No rule that this leaves out matches. `undefined`: it leaves none out. */
  find(fact: PropertyFact): RuleSet | undefined {
    if (fact === 'unknown') return undefined;
    if (fact === 'absent') return this.#indifferent;
    const [value, ...others] = fact.values;
    if (value === undefined) return this.#indifferent;
    return others.length > 0 ? undefined : (this.#byValue.get(value) ?? this.#indifferent);
  }
}

type Narrowing = (facts: AccessFacts) => RuleSet | undefined;

const oneValue = (value: PropertyValue): PropertyFact => ({ values: [value] });

function* ofProperties(
  rules: readonly AccessRule[],
  conditionsOf: (rule: AccessRule) => readonly PropertyCondition[] | undefined,
  entityOf: (facts: AccessFacts) => EntityFacts,
): Generator<Narrowing> {
  const names = new Set(
    rules.flatMap((rule) => (conditionsOf(rule) ?? []).map(({ name }) => name)),
  );
  for (const name of names) {
    const index = new ValueIndex(rules, (rule) => {
      const own = conditionsOf(rule)?.filter((condition) => condition.name === name) ?? [];
      return own.length === 0 ? undefined : own.flatMap(({ any_of }) => any_of);
    });
    yield (facts) => index.find(propertyOf(entityOf(facts), name));
  }
}

/**
 * Rules about one action on one type, made ready for questions: each condition has an index from what a fact may be to
 * the rules that it leaves, and what all of them leave is looked at in order. So a thousand rules cost little more than
 * ten.
 */
export class AccessIndex {
  readonly #rules: readonly AccessRule[];
  readonly #people: PeopleIndex;
  readonly #narrowings: readonly Narrowing[];

  constructor(rules: readonly AccessRule[]) {
    this.#rules = rules;
    this.#people = new PeopleIndex(rules);
    const resources = new ValueIndex(rules, ({ when }) => when.resources);
    const subjectTypes = new ValueIndex(rules, ({ when }) => when.subject_types);
    this.#narrowings = [
      ({ resourceId }) => resources.find(oneValue(resourceId)),
      ({ subjectType }) => subjectTypes.find(oneValue(subjectType)),
      ...ofProperties(
        rules,
        ({ when }) => when.subject_properties,
        ({ subject }) => subject,
      ),
      ...ofProperties(
        rules,
        ({ when }) => when.resource_properties,
        ({ resource }) => resource,
      ),
      ...ofProperties(
        rules,
        ({ when }) => when.action_properties,
        ({ actionProperties }) => actionProperties,
      ),
    ];
  }

  /** Every rule that could match, and some that do not. In order. */
  *candidates(facts: AccessFacts): Generator<AccessRule, void, undefined> {
    const left = new CommonRules();
    // A subject that is no user has no name here and is in no group.
    const user = facts.subjectType === subjectTypeUser ? facts.subjectId : '';
    this.#people.find({ user, groups: facts.groups }, left);
    for (const narrow of this.#narrowings) {
      const found = narrow(facts);
      if (found !== undefined) left.required.push(found);
    }
    for (let place = left.next(0); place >= 0; place = left.next(place + 1)) {
      const rule = this.#rules[place];
      if (rule !== undefined) yield rule;
    }
  }
}
