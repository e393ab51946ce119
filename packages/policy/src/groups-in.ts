import type { Conditions } from './policy-document.ts';

/** The groups that rules name, of a policy or of an access document. */
export const groupsIn = ({
  rules,
}: {
  readonly rules: ReadonlyArray<{ readonly when: Pick<Conditions, 'people'> }>;
}): ReadonlySet<string> =>
  new Set(
    rules.flatMap(({ when }) => [
      ...(when.people?.groups ?? []),
      ...(when.people?.except_groups ?? []),
    ]),
  );
