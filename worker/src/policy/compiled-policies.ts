import { CompiledPolicy, type PolicyDocument, type Zones } from '@countersign/policy';

const compiled = new WeakMap<PolicyDocument, { zones: Zones; policy: CompiledPolicy }>();

/** The policy ready for questions: compiled when it is first asked, and again only when it or the networks change. */
export function compiledPolicy(policy: PolicyDocument, zones: Zones): CompiledPolicy {
  const known = compiled.get(policy);
  if (known?.zones === zones) return known.policy;
  const made = new CompiledPolicy(policy, zones);
  compiled.set(policy, { zones, policy: made });
  return made;
}

/** Whether a policy names a network. */
export const namesZone = ({ rules }: Pick<PolicyDocument, 'rules'>, zoneId: string): boolean =>
  rules.some(({ when: { network } }) =>
    [...(network?.zones ?? []), ...(network?.except_zones ?? [])].includes(zoneId),
  );
