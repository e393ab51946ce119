import { type AssertedByClient, groupsIn, type PolicyFacts } from '@countersign/policy';
import {
  actionSignIn,
  resourceTypeApplication,
  subjectTypeUser,
} from '@countersign/protocol/evaluation';
import type { OrganizationSnapshot, RegisteredClient } from '../directory/organization-snapshot.ts';
import { type AccessQuestion, decideAccess, findAccess } from '../policy/decide-access.ts';
import { wouldSignIn } from '../policy/hypothetical-sign-in.ts';
import type { Candidate } from './find-page.ts';
import type { Cursor } from './page-token.ts';

/**
 * Searches: which subjects, resources or actions an evaluation would permit, with what the client says and what it may
 * say. Questions about what would be: nothing is spent, bound or recorded, and no answer is a permission.
 */

type Entity = AccessQuestion['subject'];

/** What is known beside the organization. */
export type SearchFacts = {
  readonly snapshot: OrganizationSnapshot;
  readonly client: RegisteredClient;
  readonly nowMs: number;
  /** Of the sign-in whose decision token the client has shown; its device as it is now. */
  readonly shown: { readonly user: string; readonly facts: PolicyFacts } | undefined;
  /** About the connection, for sign-ins. */
  readonly asserted: AssertedByClient;
};

/** Who may be in the answer, and whether one is. */
export type Search = {
  readonly candidates: (from: Cursor) => AsyncIterable<Candidate>;
  readonly passes: (candidate: string) => boolean;
};

function shownFor({ shown }: SearchFacts, subject: { type: string; id: string }) {
  return subject.type === subjectTypeUser && subject.id === shown?.user ? shown : undefined;
}

function permits(facts: SearchFacts, question: AccessQuestion): boolean {
  const { snapshot, client } = facts;
  const { subject, action, resource } = question;
  if (resource.type !== resourceTypeApplication) {
    const trust = shownFor(facts, subject)?.facts.deviceTrust;
    return decideAccess(snapshot, client, question, trust).decision;
  }
  return (
    subject.type === subjectTypeUser &&
    action.name === actionSignIn &&
    client.applications.includes(resource.id) &&
    wouldSignIn(snapshot, {
      user: subject.id,
      application: resource.id,
      asserted: facts.asserted,
      recorded: shownFor(facts, subject)?.facts,
      nowMs: facts.nowMs,
    })
  );
}

/** A list that is at hand, each one once, in an order that does not depend on where the page begins. */
async function* listed(ids: Iterable<string>, from: Cursor): AsyncGenerator<Candidate> {
  if (from.list > 0) return;
  for (const after of [...new Set(ids)].toSorted()) {
    if (after > from.after) yield { list: 0, after };
  }
}

/** What the subject may do it with. */
export function searchResources(
  facts: SearchFacts,
  subject: Entity,
  action: AccessQuestion['action'],
  type: string,
): Search {
  const { snapshot, client } = facts;
  const ids =
    type === resourceTypeApplication
      ? client.applications
      : (findAccess(snapshot, client, type)?.rules.document.resources ?? [])
          .filter((resource) => resource.type === type)
          .map(({ id }) => id);
  return {
    candidates: (from) => listed(ids, from),
    passes: (id) => permits(facts, { subject, action, resource: { type, id } }),
  };
}

/** What the subject may do with it. */
export function searchActions(facts: SearchFacts, subject: Entity, resource: Entity): Search {
  const { snapshot, client } = facts;
  const names =
    resource.type === resourceTypeApplication
      ? [actionSignIn]
      : (findAccess(snapshot, client, resource.type)?.rules.actionsOf(resource.type) ?? []);
  return {
    candidates: (from) => listed(names, from),
    passes: (name) => permits(facts, { subject, action: { name }, resource }),
  };
}

/** Subjects that the application itself names, and members of the groups that it names. */
function namedSubjects(
  { snapshot, client }: SearchFacts,
  type: string,
  resource: Entity,
): string[] | undefined {
  const membersOf = (groups: Iterable<string>) =>
    [...groups].flatMap((group) => [...(snapshot.groups.get(group) ?? [])]);
  if (resource.type === resourceTypeApplication) {
    const policy = client.applications.includes(resource.id)
      ? snapshot.applications.get(resource.id)?.policy
      : undefined;
    if (policy === undefined || type !== subjectTypeUser) return undefined;
    const users = policy.rules.flatMap(({ when }) => when.people?.users ?? []);
    return [...users, ...membersOf(groupsIn(policy))];
  }
  const rules = findAccess(snapshot, client, resource.type)?.rules;
  if (rules === undefined) return undefined;
  const { subjects, rules: all } = rules.document;
  const onRecord = subjects.filter((subject) => subject.type === type).map(({ id }) => id);
  if (type !== subjectTypeUser) return onRecord;
  const users = all.flatMap(({ when }) => when.people?.users ?? []);
  return [...onRecord, ...users, ...membersOf(rules.groups)];
}

const usersPerPage = 1000;

/**
 * Who may do it: first those whom the application names itself, then the others on record.
 *
 * @param listUsers ids of active users on record after one of them; `undefined` when they cannot be had
 */
export function searchSubjects(
  facts: SearchFacts,
  type: string,
  action: AccessQuestion['action'],
  resource: Entity,
  listUsers: (after: string, limit: number) => Promise<readonly string[]>,
): Search {
  const named = namedSubjects(facts, type, resource);
  if (named === undefined) return { candidates: (from) => listed([], from), passes: () => false };
  const isNamed = new Set(named);
  async function* candidates(from: Cursor): AsyncGenerator<Candidate> {
    yield* listed(isNamed, from);
    if (type !== subjectTypeUser) return;
    let after = from.list === 0 ? '' : from.after;
    for (;;) {
      const users = await listUsers(after, usersPerPage);
      for (const user of users) {
        yield { list: 1, after: user, ...(isNamed.has(user) ? { isRepeated: true } : {}) };
      }
      const last = users.at(-1);
      if (last === undefined || users.length < usersPerPage) return;
      after = last;
    }
  }
  return {
    candidates,
    passes: (id) => permits(facts, { subject: { type, id }, action, resource }),
  };
}
