import type { DirectoryUser } from '../directory/directory-user-records.ts';
import { groupSchema, userSchema } from './parse-path.ts';

/** Resources as they are answered (RFC 7643). */

/**
 * Whether every decision knows of the last change. SCIM has no word for it, and its clients do not read this: it is for
 * those who look.
 */
export const progressSchema = 'urn:countersign:params:scim:schemas:1.0:Progress';

export type DescribedUser = {
  readonly user: DirectoryUser;
  readonly groups: ReadonlyArray<{ readonly id: string; readonly name: string }>;
  /** Ids of jobs that are bringing the end of the user's bindings to the shards. */
  readonly jobs: readonly string[];
};

export type DescribedGroup = {
  readonly id: string;
  readonly name: string;
  readonly externalId: string | null;
  readonly version: number;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
  /** `undefined` where they were not asked for. */
  readonly members: ReadonlyArray<{ readonly id: string; readonly name: string }> | undefined;
  /** When no snapshot from before the last change of members can be in use any more; `undefined` when it has passed. */
  readonly completeAtMs: number | undefined;
};

const time = (ms: number) => new Date(ms).toISOString();
export const etag = (version: number) => `W/"${version}"`;

export function describeScimUser(base: string, { user, groups, jobs }: DescribedUser) {
  const { profile } = user;
  const hasName = Object.values(profile.name).some((part) => part !== undefined);
  return {
    schemas: [userSchema, progressSchema],
    id: user.scim_id,
    externalId: user.external_id ?? undefined,
    userName: user.user_name,
    displayName: profile.displayName,
    name: hasName ? profile.name : undefined,
    active: user.standing === 1,
    emails: profile.emails.length === 0 ? undefined : profile.emails,
    groups:
      groups.length === 0
        ? undefined
        : groups.map(({ id, name }) => ({
            value: id,
            display: name,
            $ref: `${base}/Groups/${id}`,
            type: 'direct',
          })),
    [progressSchema]:
      jobs.length === 0 ? { status: 'complete' } : { status: 'pending', jobs: [...jobs] },
    meta: {
      resourceType: 'User',
      created: time(user.created_at_ms),
      lastModified: time(user.changed_at_ms),
      location: `${base}/Users/${user.scim_id}`,
      version: etag(user.version),
    },
  };
}

export function describeScimGroup(base: string, group: DescribedGroup) {
  return {
    schemas: [groupSchema, progressSchema],
    id: group.id,
    externalId: group.externalId ?? undefined,
    displayName: group.name,
    members: group.members?.map(({ id, name }) => ({
      value: id,
      display: name,
      $ref: `${base}/Users/${id}`,
      type: 'User',
    })),
    [progressSchema]:
      group.completeAtMs === undefined
        ? { status: 'complete' }
        : { status: 'pending', completeAt: time(group.completeAtMs) },
    meta: {
      resourceType: 'Group',
      created: time(group.createdAtMs),
      lastModified: time(group.changedAtMs),
      location: `${base}/Groups/${group.id}`,
      version: etag(group.version),
    },
  };
}
