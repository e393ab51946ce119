import type { Verdict } from '../criteria/criterion.ts';
import {
  maxTextLength,
  maxValues,
  type PropertyCondition,
  type PropertyValue,
  type StoredEntity,
} from './access-document.ts';

/** Properties of subjects, resources and actions: what is on record before what a client says. */

/** What a client says of an entity: JSON from outside, of any form. */
export type SuppliedProperties = Readonly<Record<string, unknown>>;

/** The properties of one kind of entity that a client is registered as the source of: by name, whether before what is stored. */
export type PropertySources = ReadonlyMap<string, { readonly overridesStored: boolean }>;

export const noSources: PropertySources = new Map();

/** What is known of one entity. */
export type EntityFacts = {
  /** `undefined`: not on record. */
  readonly stored: StoredEntity | undefined;
  readonly supplied: SuppliedProperties | undefined;
  readonly sources: PropertySources;
};

/** `absent`: it is known to have none. `unknown`: nobody has said who could. */
export type PropertyFact = { readonly values: readonly PropertyValue[] } | 'absent' | 'unknown';

const isValue = (value: unknown): value is PropertyValue =>
  typeof value === 'string'
    ? value.length <= maxTextLength
    : typeof value === 'boolean' || Number.isFinite(value);

/**
 * Values that a rule could ask for; objects, null and lists of them say nothing. Nor do more, or longer ones, than can be
 * stored: each is compared with every rule's, and is on record.
 */
export function readValues(value: unknown): readonly PropertyValue[] | undefined {
  const values = Array.isArray(value) ? value : [value];
  return values.length <= maxValues && values.every(isValue) ? values : undefined;
}

function factOf(value: unknown): PropertyFact {
  const values = readValues(value);
  return values === undefined ? 'unknown' : { values };
}

/** Own members alone: `constructor` is a name like any other, and nobody has it who was not given it. */
const ownMember = (members: SuppliedProperties | undefined, name: string): unknown =>
  members !== undefined && Object.hasOwn(members, name) ? members[name] : undefined;

/**
 * What a property is. A client's word counts for what it is registered as the source of, and for nothing else: where
 * nothing is stored, or before what is stored if its registration says so.
 */
export function propertyOf({ stored, supplied, sources }: EntityFacts, name: string): PropertyFact {
  const source = sources.get(name);
  const said = source === undefined ? undefined : ownMember(supplied, name);
  if (said !== undefined && source?.overridesStored === true) return factOf(said);
  const own = ownMember(stored?.properties, name);
  if (own !== undefined) return factOf(own);
  if (said !== undefined) return factOf(said);
  return stored === undefined || source !== undefined ? 'unknown' : 'absent';
}

export function checkProperties(
  conditions: readonly PropertyCondition[],
  facts: EntityFacts,
): Verdict {
  let verdict: Verdict = 'met';
  for (const { name, any_of } of conditions) {
    const fact = propertyOf(facts, name);
    if (fact === 'unknown') verdict = fact;
    else if (fact === 'absent' || !fact.values.some((value) => any_of.includes(value))) {
      return 'not_met';
    }
  }
  return verdict;
}

const told = (values: readonly PropertyValue[]) =>
  values.map((value) => JSON.stringify(value)).join(' or ');

export const wantedProperties = (conditions: readonly PropertyCondition[]): string =>
  conditions.map(({ name, any_of }) => `${name} ${told(any_of)}`).join(', ');

export function seenProperties(
  conditions: readonly PropertyCondition[],
  facts: EntityFacts,
): string {
  return conditions
    .map(({ name }) => {
      const fact = propertyOf(facts, name);
      if (fact === 'unknown') return `${name} not said`;
      return fact === 'absent' ? `no ${name}` : `${name} ${told(fact.values)}`;
    })
    .join(', ');
}
