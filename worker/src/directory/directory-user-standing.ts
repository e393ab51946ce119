import { moveMemberships } from './change-memberships.ts';
import { endEpoch, letIn, userEvent } from './change-user.ts';
import { isStranger, type UserPlan } from './directory-user-plan.ts';
import { type DirectoryUser, peopleIn } from './directory-user-records.ts';
import type { AdminEvent } from './record-change.ts';
import type { TombstoneJob } from './tombstone-job.ts';
import { findNamesakes, findUser, storeUser, type UserRow, unknownUser } from './user-records.ts';

/** Who may sign in, as the directory says it: whom it lets in, ends and renames. Within blocks of the organization. */

export type DirectoryContext = {
  readonly nowMs: number;
  readonly newJobId: () => string;
  readonly newScimId: () => string;
};

/** What becomes of the user when the directory has said what it says of the person. */
export function changeStanding(
  sql: SqlStorage,
  plan: UserPlan,
  context: DirectoryContext,
): readonly AdminEvent[] {
  const { before, isRenamed, isAnother } = plan;
  if (before === undefined) return setStanding(sql, plan, context);
  if (isAnother) return replaceUser(sql, { ...plan, before }, context);
  return isRenamed
    ? renameUser(sql, { ...plan, before }, context)
    : setStanding(sql, plan, context);
}

type ChangedPlan = UserPlan & { readonly before: DirectoryUser };

/** As one who was not there: whoever is let in now was not before. */
const anew = (plan: ChangedPlan): UserPlan => ({ ...plan, before: { ...plan.before, active: 0 } });

/** Somebody else has the name now, or in its place: nothing of what the one before has passes on. */
function replaceUser(
  sql: SqlStorage,
  plan: ChangedPlan,
  context: DirectoryContext,
): readonly AdminEvent[] {
  const { before, isRenamed, userId } = plan;
  const { job, events } = endUser(sql, before.user_id, before.standing === 1, context);
  const user = findUser(sql, before.user_id) ?? unknownUser(before.user_id);
  return [
    ...(job === undefined ? [] : [userEvent('admin.user.deactivate', user, job)]),
    ...events,
    ...(isRenamed ? supersede(sql, userId, plan.isNamed, context) : []),
    ...setStanding(sql, anew(plan), context),
  ];
}

/** What somebody may have bound under a name that is now another person's ends, in every spelling; their access does not. */
function supersede(
  sql: SqlStorage,
  userId: string,
  isNamed: boolean,
  { newJobId, nowMs }: DirectoryContext,
): AdminEvent[] {
  const found = findUser(sql, userId);
  const spellings = [
    ...(found === undefined ? [] : [found]),
    ...(isNamed ? findNamesakes(sql, userId) : []),
  ];
  return spellings.filter(isStranger(peopleIn(sql))).map((user) => {
    const newJob = { jobId: newJobId(), nowMs };
    const ended = endEpoch(sql, user, { active: 1 }, 'superseded', newJob);
    return { ...userEvent('admin.user.revoke', ended.user, ended.job), reason: 'superseded' };
  });
}

/** Lets the user in or keeps them out as the directory says, unless an administrator has deactivated them. */
function setStanding(
  sql: SqlStorage,
  { userId, next, isNamed, before, isRenamed }: UserPlan,
  context: DirectoryContext,
): AdminEvent[] {
  const found = findUser(sql, userId);
  const isNewName = before === undefined || isRenamed;
  const namesakes = isNamed ? findNamesakes(sql, userId) : [];
  // An administrator has deactivated somebody of this name, however it was spelled then.
  const isHeld = found?.held === 1 || (isNewName && namesakes.some(({ held }) => held === 1));
  const known: UserRow = {
    ...(found ?? unknownUser(userId)),
    provisioned: 1,
    by_name: isNamed ? 1 : 0,
    held: isHeld ? 1 : 0,
  };
  // The name is theirs now: what became of others of this name says nothing more of them.
  for (const other of namesakes) if (other.by_name === 1) storeUser(sql, { ...other, by_name: 0 });
  const isLetIn = next.active && !isHeld;
  storeUser(sql, found === undefined && !isLetIn ? { ...known, active: 0 } : known);
  if (!isLetIn) {
    if (found === undefined) return [...endUser(sql, userId, false, context).events];
    if (known.active === 0) {
      // An administrator was first: what was bound in another spelling ends all the same.
      const isTurnedOff = isNewName || before.active === 1;
      return isTurnedOff ? endNamesakes(sql, known, context) : [];
    }
    const { job, events } = endUser(sql, userId, true, context);
    return [userEvent('admin.user.deactivate', findUser(sql, userId) ?? known, job), ...events];
  }
  const isTurnedOn = before === undefined || before.active === 0;
  if (!isTurnedOn) return [];
  const ended = [known, ...namesakes].filter(({ active }) => active === 0);
  return ended.map(({ user_id }) => letIn(sql, findUser(sql, user_id) ?? unknownUser(user_id)));
}

/**
 * Another name is another user: what was bound under the old one ends, and so does what somebody may have bound under
 * the new one, so that nobody comes by what another person has. Groups go along.
 */
function renameUser(
  sql: SqlStorage,
  plan: ChangedPlan,
  context: DirectoryContext,
): readonly AdminEvent[] {
  const { before, userId, isNamed } = plan;
  const ended = endUser(sql, before.user_id, before.standing === 1, context);
  const superseded = supersede(sql, userId, isNamed, context);
  moveMemberships(sql, before.user_id, userId);
  // Whom an administrator has deactivated does not come back under another name.
  if (findUser(sql, before.user_id)?.held === 1) {
    const known = findUser(sql, userId) ?? unknownUser(userId);
    storeUser(sql, { ...known, active: 0, held: 1 });
  }
  const events = setStanding(sql, anew(plan), context);
  const user = findUser(sql, userId) ?? unknownUser(userId);
  const renamed = userEvent('admin.user.rename', user, ended.job);
  const debug_data = { ...renamed.debug_data, before: before.user_id };
  return [{ ...renamed, debug_data }, ...ended.events, ...superseded, ...events];
}

/** Ends a user's epoch, and that of whoever signed in under the same name in another spelling. */
export function endUser(
  sql: SqlStorage,
  userId: string,
  isActive: boolean,
  context: DirectoryContext,
): { readonly job: TombstoneJob | undefined; readonly events: readonly AdminEvent[] } {
  const user = findUser(sql, userId);
  if (user === undefined) return { job: undefined, events: [] };
  const newJob = { jobId: context.newJobId(), nowMs: context.nowMs };
  const job = isActive ? endEpoch(sql, user, { active: 0 }, 'deactivated', newJob).job : undefined;
  return { job, events: endNamesakes(sql, user, context) };
}

function endNamesakes(
  sql: SqlStorage,
  { user_id, by_name }: UserRow,
  { nowMs, newJobId }: DirectoryContext,
): AdminEvent[] {
  if (by_name === 0) return [];
  const others = findNamesakes(sql, user_id).filter(isStranger(peopleIn(sql)));
  return others.map((other) => {
    const newJob = { jobId: newJobId(), nowMs };
    const ended = endEpoch(sql, other, { active: 0 }, 'deactivated', newJob);
    return userEvent('admin.user.deactivate', ended.user, ended.job);
  });
}
