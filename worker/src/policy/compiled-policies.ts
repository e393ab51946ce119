import { CompiledPolicy, type PolicyDocument, type Zones } from '@countersign/policy';

const compiled = new WeakMap<PolicyDocument, CompiledPolicy>();

/** The policy ready for questions: compiled once for each copy of the organization, when it is first asked. */
export function compiledPolicy(policy: PolicyDocument, zones: Zones): CompiledPolicy {
  let found = compiled.get(policy);
  if (found === undefined) {
    found = new CompiledPolicy(policy, zones);
    compiled.set(policy, found);
  }
  return found;
}

/** The groups that a policy names. */
export const groupsIn = ({ rules }: PolicyDocument): ReadonlySet<string> =>
  new Set(
    rules.flatMap(({ when }) => [
      ...(when.people?.groups ?? []),
      ...(when.people?.except_groups ?? []),
    ]),
  );
