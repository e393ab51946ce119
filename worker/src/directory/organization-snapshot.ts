import { policyDocument, type Zones } from '@countersign/policy';
import { clientInput } from '@countersign/protocol/admin';
import * as z from 'zod/mini';
import { type HeldGroup, openGroups, type StoredGroup } from './group-versions.ts';
import type { IntegrationRecord } from './integration-records.ts';
import { nameKey } from './name-key.ts';

/** A sign-in service that may ask for decisions. */
export const registeredClient = z.extend(clientInput, { client_id: z.string() });
export type RegisteredClient = z.infer<typeof registeredClient>;

export const application = z.object({
  application_id: z.string(),
  name: z.string(),
  policy: policyDocument,
});
export type Application = z.infer<typeof application>;

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
};

/** A snapshot as the organization's one object gives it. Texts cost it a tenth of what a set of as many ids would. */
export type StoredSnapshot = Omit<OrganizationSnapshot, 'inactiveUsers' | 'groups'> & {
  /** JSON list of ids. */
  readonly inactiveUsersJson: string;
  /** JSON list of names in lower case, of those whom the directory knows by name. */
  readonly inactiveNamesJson: string;
  readonly storedGroups: readonly StoredGroup[];
};

const ids = z.array(z.string());

/**
 * @param held groups that the asker said it has
 * @throws Error where the answer is none to that question
 */
export function openSnapshot(
  { inactiveUsersJson, inactiveNamesJson, storedGroups, ...same }: StoredSnapshot,
  held: ReadonlyMap<string, HeldGroup>,
): { readonly snapshot: OrganizationSnapshot; readonly groups: ReadonlyMap<string, HeldGroup> } {
  const groups = openGroups(storedGroups, held);
  const inactive = new Set(ids.parse(JSON.parse(inactiveUsersJson)));
  const names = new Set(ids.parse(JSON.parse(inactiveNamesJson)));
  return {
    groups,
    snapshot: {
      ...same,
      inactiveUsers: { has: (id) => inactive.has(id) || names.has(nameKey(id)) },
      groups: new Map([...groups].map(([id, { members }]) => [id, members])),
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
} as const;

/** A snapshot with the moment, by the reader's clock, at which its reading began. */
export type ReadSnapshot = {
  readonly snapshot: OrganizationSnapshot;
  readonly readAtMs: number;
};
