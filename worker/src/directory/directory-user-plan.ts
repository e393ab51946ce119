import type { SubjectAttribute } from '@countersign/protocol/admin-directory';
import { nameKey } from '@countersign/protocol/name-key';
import type { UserDescription } from '../scim/user-steps.ts';
import type { DirectoryUser, KnownPeople } from './directory-user-records.ts';
import { findNamesakes, findUser, type UserRow } from './user-records.ts';

/** What is about to become of a person in the directory. Reads alone. */

export type UserPlan = {
  /** `undefined`: made anew. */
  readonly before: DirectoryUser | undefined;
  readonly next: UserDescription;
  /** What sign-in servers send of them from then on. */
  readonly userId: string;
  readonly isRenamed: boolean;
  /** Somebody else than the one whose name it was. */
  readonly isAnother: boolean;
  /** Who loses what they have: their access, or by another name their bindings. Each person once. */
  readonly removals: readonly string[];
  /** People are known by name: in every spelling of it they are one. */
  readonly isNamed: boolean;
};

export type PlanRefusal =
  | { readonly ok: false; readonly code: 'scim_conflict'; readonly detail: string }
  | { readonly ok: false; readonly code: 'scim_value_invalid'; readonly detail: string };

const conflict = (attribute: string): PlanRefusal => ({
  ok: false,
  code: 'scim_conflict',
  detail: `another user has this ${attribute}`,
});

/**
 * The id follows the subject attribute. A name that changes in case alone is the same name (RFC 7643 section 4.1.1), and
 * the id stays as it was spelled first.
 */
function userIdOf(
  subject: SubjectAttribute,
  before: DirectoryUser | undefined,
  next: UserDescription,
  isAnother: boolean,
): string | undefined {
  if (subject === 'externalId') return next.externalId;
  const isSame = before !== undefined && nameKey(before.user_name) === nameKey(next.userName);
  return isSame && !isAnother ? before.user_id : next.userName;
}

export function planUser(
  sql: SqlStorage,
  people: KnownPeople,
  subject: SubjectAttribute,
  before: DirectoryUser | undefined,
  next: UserDescription,
  isAnother = false,
): { readonly ok: true; readonly plan: UserPlan } | PlanRefusal {
  const isOther = (found: DirectoryUser | undefined) =>
    found !== undefined && found.scim_id !== before?.scim_id;
  const key = nameKey(next.userName);
  if (key === '') {
    return { ok: false, code: 'scim_value_invalid', detail: 'userName has nothing that is seen' };
  }
  if (isOther(people.named(key))) return conflict('userName');
  const { externalId } = next;
  if (externalId !== undefined && isOther(people.withExternalId(externalId))) {
    return conflict('externalId');
  }
  const userId = userIdOf(subject, before, next, isAnother);
  if (userId === undefined) {
    const detail = 'externalId is required: it is what sign-in servers send';
    return { ok: false, code: 'scim_value_invalid', detail };
  }
  if (isOther(people.ofUser(userId))) return conflict('user id');
  const isRenamed = before !== undefined && before.user_id !== userId;
  const isNamed = subject === 'userName';
  const ended = new Map<string, string>();
  const end = (id: string) => {
    const person = isNamed ? nameKey(id) : id;
    if (!ended.has(person) && isSomebodyActive(sql, people, id, isNamed)) ended.set(person, id);
  };
  if (before !== undefined && (!next.active || isRenamed || isAnother)) end(before.user_id);
  // What somebody may have bound under the new name ends also where the person stays.
  if (!next.active || isRenamed) end(userId);
  return {
    ok: true,
    plan: {
      before,
      next,
      userId,
      isRenamed,
      isAnother,
      removals: [...ended.values()],
      isNamed,
    },
  };
}

/** Whether anybody loses anything when this user ends: in any spelling of the name, where people are known by it. */
export function isSomebodyActive(
  sql: SqlStorage,
  people: Pick<KnownPeople, 'ofUser'>,
  userId: string,
  isNamed: boolean,
): boolean {
  if (findUser(sql, userId)?.active === 1) return true;
  if (!isNamed) return false;
  return findNamesakes(sql, userId).some(isStranger(people));
}

/** One who is active, and whom the directory does not have: somebody has signed in so. */
export const isStranger =
  (people: Pick<KnownPeople, 'ofUser'>) =>
  ({ active, user_id }: UserRow): boolean =>
    active === 1 && people.ofUser(user_id) === undefined;
