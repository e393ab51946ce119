import type { RequestFacts } from '../facts.ts';
import type { Conditions } from '../policy-document.ts';
import { type CommonRules, RuleSet, setFor } from './rule-set.ts';

/** Which rules are for a person: by name, by group, less the exceptions. Costs what the person's groups cost, whatever rules there are. */
export class PeopleIndex {
  readonly #everybody: RuleSet;
  readonly #byUser = new Map<string, RuleSet>();
  readonly #byGroup = new Map<string, RuleSet>();
  readonly #exceptUser = new Map<string, RuleSet>();
  readonly #exceptGroup = new Map<string, RuleSet>();

  constructor(rules: ReadonlyArray<{ readonly when: Pick<Conditions, 'people'> }>) {
    const { length } = rules;
    this.#everybody = new RuleSet(length);
    for (const [place, { when }] of rules.entries()) {
      const { users, groups, except_users = [], except_groups = [] } = when.people ?? {};
      if (users === undefined && groups === undefined) this.#everybody.add(place);
      for (const [sets, names] of [
        [this.#byUser, users ?? []],
        [this.#byGroup, groups ?? []],
        [this.#exceptUser, except_users],
        [this.#exceptGroup, except_groups],
      ] as const) {
        for (const name of names) setFor(sets, name, length).add(place);
      }
    }
  }

  /** Adds the sets of rules that are for the person, and those of which the person is excepted. */
  find(
    { user, groups }: Pick<RequestFacts, 'user' | 'groups'>,
    { included, excepted }: CommonRules,
  ): void {
    included.push(this.#everybody);
    add(included, this.#byUser.get(user));
    add(excepted, this.#exceptUser.get(user));
    for (const group of groups) {
      add(included, this.#byGroup.get(group));
      add(excepted, this.#exceptGroup.get(group));
    }
  }
}

function add(sets: RuleSet[], found: RuleSet | undefined): void {
  if (found !== undefined) sets.push(found);
}
