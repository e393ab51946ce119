import {
  type AccessDocument,
  type ApplicationPolicy,
  accessDocument,
  effectivePolicy,
  type PolicyDocument,
  type Zones,
} from '@countersign/policy';
import { clientInput } from '@countersign/protocol/admin';
import { nameKey } from '@countersign/protocol/name-key';
import * as z from 'zod/mini';
import { builtInGlobalPolicy } from '../policy/simple-policy.ts';
import { type HeldGroup, openGroups, type StoredGroup } from './group-versions.ts';
import type { IntegrationRecord } from './integration-records.ts';

/** A sign-in service that may ask for decisions. */
export const registeredClient = z.extend(clientInput, { client_id: z.string() });
export type RegisteredClient = z.infer<typeof registeredClient>;

/** Sign-in servers may let people in while the broker is away, for so long after they last heard from it. */
export type FailOpen = { readonly max_age_seconds: number };

/** On record it stays when it is switched off: as long as a statement lives, somebody may want to know. */
export const storedFailOpen = z.object({
  max_age_seconds: z.optional(z.int()),
  statements_end_at_ms: z.optional(z.int()),
});
export type StoredFailOpen = z.infer<typeof storedFailOpen>;

/** `policy`: by which its sign-ins are decided, with what it leaves to the global one. */
export type Application = {
  readonly application_id: string;
  readonly name: string;
  readonly policy: PolicyDocument;
  /** While it is on. */
  readonly fail_open?: FailOpen;
  /** By then every statement of an earlier, longer setting has ended. */
  readonly fail_open_statements_end_at_ms?: number;
};

/** As it is on record: with what is its own. */
export type StoredApplication = Omit<Application, 'policy'> & {
  readonly policy: ApplicationPolicy;
};

/** While it is set, certificates are neither issued nor renewed and nothing is changed; sign-ins go on. */
export type ReadOnlyMode = { readonly retryAfterSeconds: number };

/** Which of the configured issuers issues (`undefined`: the first one), and which are trusted no longer. */
export type IssuerChoice = {
  readonly issuing: string | undefined;
  readonly retired: readonly string[];
};

/** `requireKnownUsers`: a certificate is for somebody whom an administrator has made known. */
export type DirectorySettings = { readonly requireKnownUsers: boolean };

/**
 * Ids are compared character by character, but whom a directory has ended by name signs in under no other spelling of it
 * either.
 */
export type InactiveUsers = { readonly has: (userId: string) => boolean };

/** What requests need of the organization, at one version. */
export type OrganizationSnapshot = {
  readonly version: number;
  readonly applications: ReadonlyMap<string, Application>;
  readonly globalPolicy: PolicyDocument;
  readonly clients: ReadonlyMap<string, RegisteredClient>;
  /** Users that are deactivated now: whatever they show, they may not sign in. */
  readonly inactiveUsers: InactiveUsers;
  readonly integrations: ReadonlyMap<string, IntegrationRecord>;
  /** Members of the groups that an integration is on trial with or a policy names, and of no others. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  readonly readOnly: ReadOnlyMode | undefined;
  readonly issuers: IssuerChoice;
  readonly directory: DirectorySettings;
  /** Whether any certificate makes a device a trusted one. */
  readonly deviceTrustEnabled: boolean;
  /** Named networks, as policies name them. */
  readonly zones: Zones;
  /** What may be done inside of applications, by application; most have nothing of it. */
  readonly access: ReadonlyMap<string, AccessDocument>;
  /** Where people read on who were not signed in; `undefined`: nowhere. */
  readonly learnMoreUrl: string | undefined;
};

/** A snapshot as the organization's one object gives it. Texts cost it a tenth of what a set of as many ids would. */
export type StoredSnapshot = Omit<
  OrganizationSnapshot,
  'inactiveUsers' | 'groups' | 'applications' | 'access'
> & {
  readonly applications: ReadonlyMap<string, StoredApplication>;
  /** JSON list of ids, of those whom no directory knows by name. */
  readonly inactiveUsersJson: string;
  /** JSON list of `nameKey()`, of the others. */
  readonly inactiveNamesJson: string;
  readonly storedGroups: readonly StoredGroup[];
  /** By application its document, JSON. */
  readonly accessJson: ReadonlyMap<string, string>;
};

/** A hundred applications that follow the global policy in everything have one policy, which is compiled once. */
function effectivePolicies(global: PolicyDocument): (own: ApplicationPolicy) => PolicyDocument {
  const byVersion = new Map<number, PolicyDocument>();
  return (own) => {
    const made = effectivePolicy(own, global);
    const { enforcement, otherwise, rules, enrollment_strengths } = own;
    const isFollower =
      enforcement === 'global' &&
      otherwise === 'global' &&
      rules.length === 0 &&
      enrollment_strengths === undefined;
    if (!isFollower) return made;
    const shared = byVersion.get(made.version) ?? made;
    byVersion.set(made.version, shared);
    return shared;
  };
}

const ids = z.array(z.string());

/**
 * @param held groups that the asker said it has
 * @throws Error where the answer is none to that question
 */
export function openSnapshot(
  {
    inactiveUsersJson,
    inactiveNamesJson,
    storedGroups,
    applications,
    accessJson,
    ...same
  }: StoredSnapshot,
  held: ReadonlyMap<string, HeldGroup>,
): { readonly snapshot: OrganizationSnapshot; readonly groups: ReadonlyMap<string, HeldGroup> } {
  const groups = openGroups(storedGroups, held);
  const inactive = new Set(ids.parse(JSON.parse(inactiveUsersJson)));
  const names = new Set(ids.parse(JSON.parse(inactiveNamesJson)));
  const effectiveOf = effectivePolicies(same.globalPolicy);
  return {
    groups,
    snapshot: {
      ...same,
      applications: new Map(
        [...applications].map(([id, { policy, ...application }]) => [
          id,
          { ...application, policy: effectiveOf(policy) },
        ]),
      ),
      inactiveUsers: { has: (id) => inactive.has(id) || names.has(nameKey(id)) },
      groups: new Map([...groups].map(([id, { members }]) => [id, members])),
      access: new Map(
        [...accessJson].map(([id, document]) => [id, accessDocument.parse(JSON.parse(document))]),
      ),
    },
  };
}

/** What a snapshot has of an organization in which none of it is set. */
export const unsetAdministration = {
  integrations: new Map<string, IntegrationRecord>(),
  groups: new Map<string, ReadonlySet<string>>(),
  readOnly: undefined,
  issuers: { issuing: undefined, retired: [] },
  directory: { requireKnownUsers: false },
  deviceTrustEnabled: true,
  zones: [],
  globalPolicy: builtInGlobalPolicy,
  access: new Map<string, AccessDocument>(),
  learnMoreUrl: undefined,
} as const;

/** A snapshot with the moment, by the reader's clock, at which its reading began. */
export type ReadSnapshot = {
  readonly snapshot: OrganizationSnapshot;
  readonly readAtMs: number;
};
