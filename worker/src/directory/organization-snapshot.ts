import { clientInput } from '@countersign/protocol/admin';
import * as z from 'zod/mini';
import { policyDocument } from '../policy/policy-document.ts';

/** A sign-in service that may ask for decisions. */
export const registeredClient = z.extend(clientInput, { client_id: z.string() });
export type RegisteredClient = z.infer<typeof registeredClient>;

export const application = z.object({
  application_id: z.string(),
  name: z.string(),
  policy: policyDocument,
});
export type Application = z.infer<typeof application>;

/** What requests need of the organization, at one version. */
export type OrganizationSnapshot = {
  readonly version: number;
  readonly applications: ReadonlyMap<string, Application>;
  readonly clients: ReadonlyMap<string, RegisteredClient>;
  /** Users that are deactivated now: whatever they show, they may not sign in. */
  readonly inactiveUsers: ReadonlySet<string>;
};

/** A snapshot as the organization's one object gives it. Texts cost it a tenth of what a set of as many ids would. */
export type StoredSnapshot = Omit<OrganizationSnapshot, 'inactiveUsers'> & {
  /** JSON list of ids. */
  readonly inactiveUsersJson: string;
};

export function openSnapshot({ inactiveUsersJson, ...same }: StoredSnapshot): OrganizationSnapshot {
  const inactiveUsers = z.array(z.string()).parse(JSON.parse(inactiveUsersJson));
  return { ...same, inactiveUsers: new Set(inactiveUsers) };
}

/** A snapshot with the moment, by the reader's clock, at which its reading began. */
export type ReadSnapshot = {
  readonly snapshot: OrganizationSnapshot;
  readonly readAtMs: number;
};
