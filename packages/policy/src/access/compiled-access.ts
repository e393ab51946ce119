import { groupsIn } from '../groups-in.ts';
import { defaultRuleId } from '../policy-document.ts';
import {
  type AccessFacts,
  type CheckedAccessCriterion,
  checkAccess,
  explainAccess,
} from './access-criteria.ts';
import {
  type AccessDocument,
  type AccessRule,
  entityKey,
  type StoredEntity,
} from './access-document.ts';
import { AccessIndex } from './access-index.ts';

/** What the rules say, with the rule that said it. */
export type AccessOutcome = {
  readonly decision: boolean;
  readonly rule: string;
  /** What the rule asked for and what it saw; empty where no rule decided. */
  readonly criteria: readonly CheckedAccessCriterion[];
};

type Candidate = { readonly rule: AccessRule; readonly verdict: 'met' | 'unknown' };

/**
 * The first rule that matches, of these in their order. A rule of which nobody can say whether it matches counts both
 * ways, and the stricter outcome stands: what is not said never allows what would not be allowed if it were said.
 */
function firstOf(candidates: Iterable<Candidate>): { decision: boolean; rule?: AccessRule } {
  let possibleDenial: AccessRule | undefined;
  for (const { rule, verdict } of candidates) {
    if (rule.effect === 'deny') possibleDenial ??= rule;
    if (verdict === 'unknown') continue;
    return possibleDenial === undefined
      ? { decision: true, rule }
      : { decision: false, rule: possibleDenial };
  }
  return possibleDenial === undefined
    ? { decision: false }
    : { decision: false, rule: possibleDenial };
}

/** The plain way: rule after rule. Right by its shortness; what is faster is held against it. */
export function findAccess(rules: Iterable<AccessRule>, facts: AccessFacts): AccessOutcome {
  function* candidates(): Generator<Candidate, void, undefined> {
    for (const rule of rules) {
      if (rule.enabled === false) continue;
      const verdict = checkAccess(rule.when, facts);
      if (verdict !== 'not_met') yield { rule, verdict };
    }
  }
  const { decision, rule } = firstOf(candidates());
  return rule === undefined
    ? { decision, rule: defaultRuleId, criteria: [] }
    : { decision, rule: rule.id, criteria: explainAccess(rule.when, facts) };
}

/** An access document made ready for questions, once for each version: entities by name, rules by type and action. */
export class CompiledAccess {
  readonly document: AccessDocument;
  /** Those that rules name. */
  readonly groups: readonly string[];
  readonly #subjects: ReadonlyMap<string, StoredEntity>;
  readonly #resources: ReadonlyMap<string, StoredEntity>;
  readonly #actions: ReadonlyMap<string, readonly string[]>;
  readonly #rules = new Map<string, AccessIndex>();

  constructor(document: AccessDocument) {
    const byKey = (entities: readonly StoredEntity[]) =>
      new Map(entities.map((each) => [entityKey(each.type, each.id), each]));
    this.document = document;
    this.groups = [...groupsIn(document)];
    this.#subjects = byKey(document.subjects);
    this.#resources = byKey(document.resources);
    this.#actions = new Map(document.resource_types.map(({ type, actions }) => [type, actions]));
  }

  findSubject(type: string, id: string): StoredEntity | undefined {
    return this.#subjects.get(entityKey(type, id));
  }

  findResource(type: string, id: string): StoredEntity | undefined {
    return this.#resources.get(entityKey(type, id));
  }

  /** What may be asked about a resource of this type; `undefined` where there is no such type. */
  actionsOf(resourceType: string): readonly string[] | undefined {
    return this.#actions.get(resourceType);
  }

  evaluate(facts: AccessFacts): AccessOutcome {
    return findAccess(this.#indexFor(facts)?.candidates(facts) ?? [], facts);
  }

  /** Types and actions are those of the document, so that callers cannot make this grow. */
  #indexFor({ resourceType, action }: AccessFacts): AccessIndex | undefined {
    if (this.#actions.get(resourceType)?.includes(action) !== true) return undefined;
    const key = entityKey(resourceType, action);
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const made = new AccessIndex(
      this.document.rules.filter(
        ({ enabled, when }) =>
          enabled !== false &&
          when.actions?.includes(action) !== false &&
          when.resource_types?.includes(resourceType) !== false,
      ),
    );
    this.#rules.set(key, made);
    return made;
  }
}
