import {
  type AssertedByClient,
  evaluatePolicy,
  groupsIn,
  type PolicyDocument,
  type PolicyFacts,
  requestFacts,
  underPolicy,
  type Zones,
} from '@countersign/policy';
import { compiledPolicy } from './compiled-policies.ts';

/** What a policy would say of a sign-in that nobody asks for. Pure: nothing is spent, bound or recorded. */

type Organization = {
  readonly applications: ReadonlyMap<string, { readonly policy: PolicyDocument }>;
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  readonly inactiveUsers: { readonly has: (userId: string) => boolean };
  readonly zones: Zones;
};

export type HypotheticalSignIn = {
  readonly user: string;
  readonly application: string;
  readonly asserted: AssertedByClient;
  /** Of a sign-in of this user's that was just allowed, and of what has become of its device; without one the device is one that has shown nothing. */
  readonly recorded: PolicyFacts | undefined;
  readonly nowMs: number;
};

const withoutEvidence = {
  deviceTrust: { trusted: false, reason: 'evidence_missing' },
  enrollmentStrength: 'none',
  certificateAgeSeconds: 'none',
} as const;

/** What the client says now counts before what it said then. */
function factsOf(
  policy: PolicyDocument,
  groups: ReadonlySet<string>,
  { user, asserted, recorded, nowMs }: HypotheticalSignIn,
): PolicyFacts {
  if (recorded === undefined) {
    return {
      ...requestFacts(user, groups, asserted, 'none', undefined),
      ...withoutEvidence,
      atMs: nowMs,
    };
  }
  return underPolicy(policy, {
    ...recorded,
    groups,
    ipAddress: asserted.ip_address ?? recorded.ipAddress,
    clientType: asserted.client_type ?? recorded.clientType,
    platform: asserted.platform ?? recorded.platform,
    atMs: nowMs,
  });
}

/** Whether the policy would let the user in without asking for anything more. */
export function wouldSignIn(organization: Organization, signIn: HypotheticalSignIn): boolean {
  const { user, application } = signIn;
  const policy = organization.applications.get(application)?.policy;
  if (policy === undefined || organization.inactiveUsers.has(user)) return false;
  const groups = [...groupsIn(policy)].filter(
    (group) => organization.groups.get(group)?.has(user) === true,
  );
  const compiled = compiledPolicy(policy, organization.zones);
  const facts = factsOf(policy, new Set(groups), signIn);
  return evaluatePolicy(policy, (asked) => compiled.findMatch(asked), facts).effect === 'allow';
}
