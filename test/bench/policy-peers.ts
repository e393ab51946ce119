import { createMongoAbility, subject } from '@casl/ability';
import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import {
  CompiledPolicy,
  type NetworkZone,
  type PolicyDocument,
  type PolicyFacts,
} from '@countersign/policy';
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';

/**
 * One table of rules in the forms of four engines. Every rule allows members of a group on a platform, from a zone, or
 * trusted; nothing denies, so that an engine without an order of rules comes to the same.
 */
export type TableRule = {
  readonly group: string;
  readonly zone: string | undefined;
  readonly platform: (typeof platforms)[number];
  readonly trusted: boolean;
};

/** What is asked; the zones that the address lies in are known to whoever has no networks. */
export type Question = { readonly facts: PolicyFacts; readonly zones: readonly string[] };

export type Peer = {
  readonly name: string;
  readonly decide: (question: Question) => boolean | Promise<boolean>;
};

export const platforms = ['macos', 'windows', 'ios', 'android'] as const;

export function makeTable(rules: number, groups: number, zones: number): TableRule[] {
  return Array.from({ length: rules }, (_, i) => ({
    group: `group-${i % groups}`,
    zone: i % 2 === 0 ? `zone-${i % zones}` : undefined,
    platform: platforms[i % platforms.length] ?? 'macos',
    trusted: i % 3 !== 0,
  }));
}

export function countersign(table: readonly TableRule[], zones: readonly NetworkZone[]): Peer {
  const document: PolicyDocument = {
    version: 1,
    enforcement: 'enforce',
    otherwise: 'deny',
    rules: table.map(({ group, zone, platform, trusted }, place) => ({
      id: `rule-${place}`,
      effect: 'allow',
      when: {
        people: { groups: [group] },
        platforms: [platform],
        ...(zone === undefined ? {} : { network: { zones: [zone] } }),
        ...(trusted ? { device_trust: 'trusted' as const } : {}),
      },
    })),
  };
  const compiled = new CompiledPolicy(document, zones);
  return {
    name: 'countersign',
    decide: ({ facts }) => compiled.findMatch(facts).rule !== undefined,
  };
}

/** Asked by the path that it recommends for many questions: the policies are parsed once. */
export function cedar(table: readonly TableRule[], zones: readonly NetworkZone[]): Peer {
  const blocksOf = new Map(zones.map(({ zone_id, blocks }) => [zone_id, blocks]));
  const policies = table.map(({ group, zone, platform, trusted }) => {
    const ranges = (blocksOf.get(zone ?? '') ?? []).map(
      (block) => `context.address.isInRange(ip("${block}"))`,
    );
    const wanted = [
      `context.platform == "${platform}"`,
      ...(trusted ? ['context.trusted'] : []),
      ...(ranges.length === 0 ? [] : [`(${ranges.join(' || ')})`]),
    ];
    return `permit(principal in Group::"${group}", action, resource) when { ${wanted.join(' && ')} };`;
  });
  const name = `table-${table.length}-${zones.length}`;
  const parsed = preparsePolicySet(name, { staticPolicies: policies.join('\n') });
  if (parsed.type !== 'success') throw new Error(JSON.stringify(parsed).slice(0, 500));
  return {
    name: 'cedar-wasm',
    decide: ({ facts }) => {
      const principal = { type: 'User', id: facts.user };
      const answer = statefulIsAuthorized({
        principal,
        action: { type: 'Action', id: 'sign_in' },
        resource: { type: 'Application', id: 'crm' },
        context: {
          platform: facts.platform ?? '',
          trusted: facts.deviceTrust.trusted,
          address: { __extn: { fn: 'ip', arg: facts.ipAddress ?? '' } },
        },
        preparsedPolicySetId: name,
        entities: [
          {
            uid: principal,
            attrs: {},
            parents: [...facts.groups].map((id) => ({ type: 'Group', id })),
          },
        ],
      });
      if (answer.type !== 'success') throw new Error(JSON.stringify(answer).slice(0, 500));
      return answer.response.decision === 'allow';
    },
  };
}

const casbinModel = `
[request_definition]
r = groups, zones, platform, trusted
[policy_definition]
p = group, zone, platform, trusted
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = has(r.groups, p.group) && (p.zone == "-" || has(r.zones, p.zone)) && r.platform == p.platform && (p.trusted == "-" || r.trusted)
`;

export async function casbin(table: readonly TableRule[]): Promise<Peer> {
  const lines = table.map(
    ({ group, zone, platform, trusted }) =>
      `p, ${group}, ${zone ?? '-'}, ${platform}, ${trusted ? 'trusted' : '-'}`,
  );
  const enforcer = await newEnforcer(
    newModelFromString(casbinModel),
    new StringAdapter(lines.join('\n')),
  );
  await enforcer.addFunction('has', (all: readonly string[], one: string) => all.includes(one));
  return {
    name: 'casbin',
    decide: ({ facts, zones }) =>
      enforcer.enforce([...facts.groups], zones, facts.platform, facts.deviceTrust.trusted),
  };
}

export function casl(table: readonly TableRule[]): Peer {
  const ability = createMongoAbility(
    table.map(({ group, zone, platform, trusted }) => ({
      action: 'sign_in',
      subject: 'SignIn',
      conditions: {
        groups: group,
        platform,
        ...(zone === undefined ? {} : { zones: zone }),
        ...(trusted ? { trusted: true } : {}),
      },
    })),
  );
  return {
    name: 'casl',
    decide: ({ facts, zones }) =>
      ability.can(
        'sign_in',
        subject('SignIn', {
          groups: [...facts.groups],
          zones,
          platform: facts.platform,
          trusted: facts.deviceTrust.trusted,
        }),
      ),
  };
}
