import type { ApplicationPolicy } from './policy-document.ts';

/** A name in a rule that nothing has: such a rule would say something else than its author thinks. */
export type UnknownName = {
  /** As in `policy.rules.3.when.network.zones`. */
  readonly field: string;
  readonly detail: string;
};

/** The first of them; `undefined` where there is none. */
export function findUnknownName(
  { rules }: Pick<ApplicationPolicy, 'rules'>,
  known: { readonly zones: ReadonlySet<string>; readonly groups: ReadonlySet<string> },
): UnknownName | undefined {
  const refuse = (place: number, path: string, name: string, kind: string): UnknownName => ({
    field: `policy.rules.${place}.when.${path}`,
    detail: `names the ${kind} ${name}, which there is not`,
  });
  for (const [place, { when }] of rules.entries()) {
    for (const path of ['zones', 'except_zones'] as const) {
      const unknown = when.network?.[path]?.find((name) => !known.zones.has(name));
      if (unknown !== undefined) return refuse(place, `network.${path}`, unknown, 'zone');
    }
    for (const path of ['groups', 'except_groups'] as const) {
      const unknown = when.people?.[path]?.find((name) => !known.groups.has(name));
      if (unknown !== undefined) return refuse(place, `people.${path}`, unknown, 'group');
    }
  }
  return undefined;
}
