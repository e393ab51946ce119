import * as z from 'zod/mini';
import { chosenId } from './schemas.ts';
import { userId } from './user-id.ts';

/** The admin API's part on the directory: what SCIM and files bring, and what keeps a mistake in it from everybody. */

/** Which attribute is the user id, which sign-in servers send as `subject.id`. */
export const subjectAttributes = ['userName', 'externalId'] as const;
export type SubjectAttribute = (typeof subjectAttributes)[number];

const quota = {
  /** So many people may lose their access within the period, in the smallest organization too. */
  max_removals: z.int().check(z.minimum(1), z.maximum(1_000_000)),
  /** Or this share of those who have it, where that is more. */
  max_removals_percent: z.int().check(z.minimum(0), z.maximum(100)),
  period_seconds: z.int().check(z.minimum(60), z.maximum(31 * 86_400)),
};

/** `PUT /v1/admin/directory`. `subject` can be changed while the directory has no users. */
export const directoryInput = z.strictObject({
  subject: z._default(z.enum(subjectAttributes), 'userName'),
  max_removals: z._default(quota.max_removals, 25),
  max_removals_percent: z._default(quota.max_removals_percent, 5),
  period_seconds: z._default(quota.period_seconds, 86_400),
});
export type DirectorySync = z.infer<typeof directoryInput>;

/** Answer to it and to `GET /v1/admin/directory`. Times are RFC 3339. */
export const directoryAnswer = z.object({
  subject: z.enum(subjectAttributes),
  ...quota,
  users: z.object({ total: z.int(), active: z.int() }),
  groups: z.int(),
  /** People who lost their access within the period, and how many may. */
  removals: z.object({ counted: z.int(), allowed: z.int() }),
  /** What is stopped until an administrator lets it go on. */
  stopped: z.array(
    z.object({
      /** Of a group whose members may not be removed; absent: of people. */
      group_id: z.optional(z.string()),
      since: z.string(),
      /** Requests that were refused since, the first one included. */
      refused: z.int(),
      /** Who was to be removed, and was not: the first hundred. */
      user_ids: z.array(z.string()),
    }),
  ),
  organization_version: z.int(),
});

/** `POST /v1/admin/directory/resume`: what was stopped goes on, for as many removals as are said within the period. */
export const directoryResumption = z.strictObject({
  group_id: z.optional(chosenId),
  /** Left out: as many as the quota permits. */
  removals: z.optional(quota.max_removals),
});
export type DirectoryResumption = z.infer<typeof directoryResumption>;

export const maxImportedUsers = 50_000;
const shortText = z.string().check(z.minLength(1), z.maxLength(256));

/** A person in a file. `groups` names all groups of the directory that they are in; left out, they stay as they are. */
export const importedUser = z.strictObject({
  user_name: userId,
  external_id: z.optional(shortText),
  active: z._default(z.boolean(), true),
  display_name: z.optional(shortText),
  email: z.optional(shortText),
  groups: z.optional(z.array(shortText).check(z.maxLength(100))),
});
export type ImportedUser = z.infer<typeof importedUser>;

/** `PUT /v1/admin/directory/import`: everything of it, or nothing. */
export const directoryImport = z.strictObject({
  users: z.array(importedUser).check(z.minLength(1), z.maxLength(maxImportedUsers)),
  /** Says what would change, and changes nothing. */
  dry_run: z._default(z.boolean(), false),
  /** Whoever of the directory is not named is deactivated. */
  complete: z._default(z.boolean(), false),
  ignore_quota: z._default(z.boolean(), false),
});
export type DirectoryImport = z.infer<typeof directoryImport>;

/** How many of each. */
export const directoryImportAnswer = z.object({
  dry_run: z.boolean(),
  users: z.object({
    created: z.int(),
    changed: z.int(),
    /** Their name is another person's now, by the `external_id`. */
    replaced: z.int(),
    deactivated: z.int(),
    reactivated: z.int(),
    unchanged: z.int(),
  }),
  groups: z.object({ created: z.int(), changed: z.int() }),
  /** Whether it would be done without `ignore_quota`. */
  within_quota: z.boolean(),
  organization_version: z.int(),
  changed: z.boolean(),
  /** From then on no decision follows the directory as it was; revocations are jobs of their own. */
  complete_at: z.string(),
});
