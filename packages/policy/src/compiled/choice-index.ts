import { type ChoiceName, choicesIn } from '../criteria/choices.ts';
import type { PolicyFacts } from '../facts.ts';
import type { PolicyRule } from '../policy-document.ts';
import { RuleSet, setFor } from './rule-set.ts';

/** Which rules one fact is right for, where a condition is a list of what it may be. */
export class ChoiceIndex<Facts> {
  readonly #factOf: (facts: Facts) => string | undefined;
  readonly #byFact = new Map<string, RuleSet>();
  /** Rules that ask nothing of it, and so the rules for a fact that no rule names. */
  readonly #indifferent: RuleSet;

  constructor(
    rules: readonly PolicyRule[],
    choicesOf: (rule: PolicyRule) => readonly string[] | undefined,
    factOf: (facts: Facts) => string | undefined,
  ) {
    const { length } = rules;
    this.#factOf = factOf;
    this.#indifferent = new RuleSet(length);
    for (const [place, rule] of rules.entries()) {
      const choices = choicesOf(rule);
      if (choices === undefined) this.#indifferent.add(place);
      for (const fact of choices ?? []) setFor(this.#byFact, fact, length).add(place);
    }
    for (const ofFact of this.#byFact.values()) ofFact.addAll(this.#indifferent);
  }

  /** `undefined` when nobody said what it is. */
  find(facts: Facts): RuleSet | undefined {
    const fact = this.#factOf(facts);
    return fact === undefined ? undefined : (this.#byFact.get(fact) ?? this.#indifferent);
  }
}

/** Of a condition that is a list. */
export const choiceIndex = <Facts>(
  rules: readonly PolicyRule[],
  name: ChoiceName,
  factOf: (facts: Facts) => string | undefined,
) => new ChoiceIndex(rules, ({ when }) => choicesIn(when, name), factOf);

/** Of device trust, which is a list of one. */
export const trustIndex = (rules: readonly PolicyRule[]) =>
  new ChoiceIndex<PolicyFacts>(
    rules,
    ({ when: { device_trust } }) => (device_trust === undefined ? undefined : [device_trust]),
    ({ deviceTrust }) => (deviceTrust.trusted ? 'trusted' : 'not_trusted'),
  );
