import type { ConditionName, Conditions } from '../policy-document.ts';

/** Whether whoever meets one condition meets another. Says no where it cannot tell: nothing rests on a no. */

const setOf = new WeakMap<readonly unknown[], ReadonlySet<unknown>>();

/** Lists are long, and each is compared with many. */
function isWithin<Item>(inner: readonly Item[] = [], outer: readonly Item[] = []): boolean {
  let set = setOf.get(outer);
  if (set === undefined) {
    set = new Set(outer);
    setOf.set(outer, set);
  }
  for (const item of inner) if (!set.has(item)) return false;
  return true;
}
const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

type People = NonNullable<Conditions['people']>;

/** An exception of the wider one must be one of the narrower one, too. */
function coversPeople(wide: People, narrow: People): boolean {
  const isEverybody = ({ users, groups }: People) => users === undefined && groups === undefined;
  const isExceptedToo =
    isWithin(wide.except_users, narrow.except_users) &&
    isWithin(wide.except_groups, narrow.except_groups);
  if (!isExceptedToo) return false;
  if (isEverybody(wide)) return true;
  return (
    !isEverybody(narrow) &&
    isWithin(narrow.users, wide.users) &&
    isWithin(narrow.groups, wide.groups)
  );
}

type Network = NonNullable<Conditions['network']>;

function coversNetwork(wide: Network, narrow: Network): boolean {
  return (
    (wide.location === undefined || wide.location === narrow.location) &&
    (wide.zones === undefined ||
      (narrow.zones !== undefined && isWithin(narrow.zones, wide.zones))) &&
    isWithin(wide.except_zones, narrow.except_zones)
  );
}

type Age = NonNullable<Conditions['certificate_age']>;

const coversAge = (wide: Age, narrow: Age): boolean =>
  (narrow.at_least_days ?? 0) >= (wide.at_least_days ?? 0) &&
  (narrow.at_most_days ?? Number.POSITIVE_INFINITY) <=
    (wide.at_most_days ?? Number.POSITIVE_INFINITY);

type Comparison = (wide: Conditions, narrow: Conditions) => boolean;

/** Of one condition, as part of a rule: a rule that does not name it asks for nothing there. */
function ofRule<Name extends ConditionName>(
  name: Name,
  compare: (wide: NonNullable<Conditions[Name]>, narrow: NonNullable<Conditions[Name]>) => boolean,
): Comparison {
  return (wide, narrow) => {
    const outer = wide[name];
    if (outer === undefined) return true;
    const inner = narrow[name];
    return inner !== undefined && compare(outer, inner);
  };
}

const isListWithin = (wide: readonly string[], narrow: readonly string[]) => isWithin(narrow, wide);

/** Every kind of condition; a new one does not compile until it is here. */
const comparisons: Readonly<Record<ConditionName, Comparison>> = {
  people: ofRule('people', coversPeople),
  network: ofRule('network', coversNetwork),
  client_types: ofRule('client_types', isListWithin),
  platforms: ofRule('platforms', isListWithin),
  device_trust: ofRule('device_trust', isSame),
  channels: ofRule('channels', isListWithin),
  key_protections: ofRule('key_protections', isListWithin),
  enrollment_strengths: ofRule('enrollment_strengths', isListWithin),
  posture: ofRule('posture', isSame),
  certificate_age: ofRule('certificate_age', coversAge),
  time: ofRule('time', isSame),
};

/** Does every sign-in that meets the narrower conditions meet the wider ones? */
export const covers: Comparison = (wide, narrow) =>
  Object.values(comparisons).every((compare) => compare(wide, narrow));
