import { policyDocument, type Zones } from '@countersign/policy';
import { clientInput } from '@countersign/protocol/admin';
import * as z from 'zod/mini';
import { type IntegrationRecord, openTrialGroups } from './integration-records.ts';

/** A sign-in service that may ask for decisions. */
export const registeredClient = z.extend(clientInput, { client_id: z.string() });
export type RegisteredClient = z.infer<typeof registeredClient>;

/** Sign-in servers may let people in while the broker is away, for so long after they last heard from it. */
export const failOpen = z.object({ max_age_seconds: z.int() });
export type FailOpen = z.infer<typeof failOpen>;

export const application = z.object({
  application_id: z.string(),
  name: z.string(),
  policy: policyDocument,
  /** While it is on. */
  fail_open: z.optional(failOpen),
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

/** What requests need of the organization, at one version. */
export type OrganizationSnapshot = {
  readonly version: number;
  readonly applications: ReadonlyMap<string, Application>;
  readonly clients: ReadonlyMap<string, RegisteredClient>;
  /** Users that are deactivated now: whatever they show, they may not sign in. */
  readonly inactiveUsers: ReadonlySet<string>;
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
  /** Where people read on who were not signed in; `undefined`: nowhere. */
  readonly learnMoreUrl: string | undefined;
};

/** A snapshot as the organization's one object gives it. Texts cost it a tenth of what a set of as many ids would. */
export type StoredSnapshot = Omit<OrganizationSnapshot, 'inactiveUsers' | 'groups'> & {
  /** JSON list of ids. */
  readonly inactiveUsersJson: string;
  /** JSON object: by group a list of ids. */
  readonly groupsJson: string;
};

export function openSnapshot({
  inactiveUsersJson,
  groupsJson,
  ...same
}: StoredSnapshot): OrganizationSnapshot {
  const inactiveUsers = z.array(z.string()).parse(JSON.parse(inactiveUsersJson));
  return {
    ...same,
    inactiveUsers: new Set(inactiveUsers),
    groups: openTrialGroups(groupsJson),
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
  learnMoreUrl: undefined,
} as const;

/** A snapshot with the moment, by the reader's clock, at which its reading began. */
export type ReadSnapshot = {
  readonly snapshot: OrganizationSnapshot;
  readonly readAtMs: number;
};
