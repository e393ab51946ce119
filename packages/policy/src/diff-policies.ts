import type { ApplicationPolicy, PolicyRule } from './policy-document.ts';

/** What has changed from one policy to another, rule by rule, as their authors think of it. */
export type PolicyDifference =
  | {
      readonly kind: 'policy_changed';
      readonly member: string;
      readonly before: string;
      readonly after: string;
    }
  | { readonly kind: 'rule_added' | 'rule_removed'; readonly rule: string; readonly text: string }
  | {
      readonly kind: 'rule_moved';
      readonly rule: string;
      readonly before: string;
      readonly after: string;
    }
  | {
      readonly kind: 'rule_changed';
      readonly rule: string;
      /** Dotted: `when.people.groups`. */
      readonly member: string;
      readonly before: string;
      readonly after: string;
    };

type Compared = Omit<ApplicationPolicy, 'version'>;

const absent = '(not there)';
const textOf = (value: unknown): string =>
  value === undefined ? absent : typeof value === 'string' ? value : JSON.stringify(value);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Change = { readonly member: string; readonly before: string; readonly after: string };

/** Members that differ, by their paths. Lists are compared as wholes. */
function changedMembers(before: unknown, after: unknown, path: string): Change[] {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) =>
      changedMembers(before[name], after[name], path === '' ? name : `${path}.${name}`),
    );
  }
  const [one, other] = [textOf(before), textOf(after)];
  return one === other ? [] : [{ member: path, before: one, after: other }];
}

/** The most ids that are in both lists in one order: whatever is not among them was moved. */
function longestCommonOrder(before: readonly string[], after: readonly string[]): Set<string> {
  // Of ids that are each there once, it is the longest rising sequence of places (patience sorting).
  const placeBefore = new Map(before.map((id, place) => [id, place]));
  const piles: { readonly place: number; readonly id: string }[] = [];
  const predecessors = new Map<string, string | undefined>();
  for (const id of after) {
    const place = placeBefore.get(id);
    if (place === undefined) continue;
    let low = 0;
    let high = piles.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((piles[middle]?.place ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    predecessors.set(id, piles[low - 1]?.id);
    piles[low] = { place, id };
  }
  const kept = new Set<string>();
  for (let id = piles.at(-1)?.id; id !== undefined; id = predecessors.get(id)) kept.add(id);
  return kept;
}

function withoutId({ id: _, ...rule }: PolicyRule): object {
  return rule;
}

/** Differences in the order of the newer policy; rules that are gone come last. */
export function diffPolicies(before: Compared, after: Compared): PolicyDifference[] {
  const { rules: rulesBefore, ...policyBefore } = before;
  const { rules: rulesAfter, ...policyAfter } = after;
  const olderById = new Map(rulesBefore.map((rule) => [rule.id, rule]));
  const newerIds = new Set(rulesAfter.map(({ id }) => id));
  const inOrder = longestCommonOrder(
    rulesBefore.map(({ id }) => id),
    rulesAfter.map(({ id }) => id),
  );
  const placeOf = (rules: readonly PolicyRule[], id: string) =>
    String(rules.findIndex((rule) => rule.id === id) + 1);
  return [
    ...changedMembers(policyBefore, policyAfter, '').map(
      (change) => ({ kind: 'policy_changed', ...change }) as const,
    ),
    ...rulesAfter.flatMap((rule): PolicyDifference[] => {
      const older = olderById.get(rule.id);
      if (older === undefined) {
        return [{ kind: 'rule_added', rule: rule.id, text: JSON.stringify(withoutId(rule)) }];
      }
      const moved: PolicyDifference[] = inOrder.has(rule.id)
        ? []
        : [
            {
              kind: 'rule_moved',
              rule: rule.id,
              before: placeOf(rulesBefore, rule.id),
              after: placeOf(rulesAfter, rule.id),
            },
          ];
      const changed = changedMembers(withoutId(older), withoutId(rule), '').map(
        (change) => ({ kind: 'rule_changed', rule: rule.id, ...change }) as const,
      );
      return [...moved, ...changed];
    }),
    ...rulesBefore
      .filter(({ id }) => !newerIds.has(id))
      .map((rule) => ({
        kind: 'rule_removed' as const,
        rule: rule.id,
        text: JSON.stringify(withoutId(rule)),
      })),
  ];
}
