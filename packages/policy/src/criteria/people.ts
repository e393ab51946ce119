import type { RequestFacts } from '../facts.ts';
import { type Condition, type Criterion, oneOf, type Verdict, verdictOf } from './criterion.ts';

type Person = Pick<RequestFacts, 'user' | 'groups'>;

/** Who it is. The directory knows groups; whoever is in none is a member of nothing. */
export const people: Criterion<'people'> & {
  readonly check: (condition: Condition<'people'>, person: Person) => Verdict;
  readonly seen: (person: Person) => string;
} = {
  check: ({ users, groups, except_users, except_groups }, facts) => {
    const isIn = (names: readonly string[] | undefined) =>
      names?.some((name) => facts.groups.has(name)) === true;
    const isExcepted = except_users?.includes(facts.user) === true || isIn(except_groups);
    const isEverybody = users === undefined && groups === undefined;
    return verdictOf(
      !isExcepted && (isEverybody || users?.includes(facts.user) === true || isIn(groups)),
    );
  },
  seen: ({ user, groups }) =>
    groups.size === 0 ? user : `${user}, in ${[...groups].toSorted().join(', ')}`,
  wanted: ({ users = [], groups = [], except_users = [], except_groups = [] }) => {
    const named = (someUsers: readonly string[], someGroups: readonly string[]) => [
      ...someUsers,
      ...someGroups.map((group) => `group ${group}`),
    ];
    const included = named(users, groups);
    const excluded = named(except_users, except_groups);
    const who = included.length === 0 ? 'everybody' : oneOf(included);
    return excluded.length === 0 ? who : `${who}, but not ${excluded.join(', ')}`;
  },
};
