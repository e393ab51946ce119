import type { Filter } from 'scim2-parse-filter';
import {
  isObject,
  keepEmails,
  keepText,
  membersOf,
  readBoolean,
  readRequiredText,
  readText,
} from './attribute-values.ts';
import type { ScimOperation } from './read-operations.ts';
import { readOperations } from './read-operations.ts';
import { collect, refusePath, refuseValue, type ScimResult } from './scim-result.ts';
import {
  type Email,
  emptyProfile,
  maxEmails,
  type NamePart,
  nameParts,
  type UserProfile,
} from './user-profile.ts';

/** A person as a directory describes them. */
export type UserDescription = {
  readonly userName: string;
  readonly externalId: string | undefined;
  readonly active: boolean;
  readonly profile: UserProfile;
};

/** Changes of one attribute each, in a form in which they can be made in one block. */
export type UserStep =
  | { readonly set: 'userName'; readonly value: string }
  | { readonly set: 'externalId' | 'displayName'; readonly value: string | undefined }
  | { readonly set: 'active'; readonly value: boolean }
  | { readonly set: 'name'; readonly part: NamePart; readonly value: string | undefined }
  | { readonly set: 'emails'; readonly value: readonly Email[] }
  | { readonly set: 'moreEmails'; readonly value: readonly Email[] }
  /** The addresses of a type (in lower case), or the primary one; without a value they are taken away. */
  | { readonly set: 'email'; readonly of: EmailChoice; readonly value: string | undefined };

type EmailChoice = { readonly type: string } | { readonly primary: true };

const isOf = (choice: EmailChoice) => (email: Email) =>
  'type' in choice ? email.type?.toLowerCase() === choice.type : email.primary === true;

function setEmail(emails: readonly Email[], of: EmailChoice, value: string | undefined): Email[] {
  if (value === undefined) return emails.filter((email) => !isOf(of)(email));
  // RFC 7644 asks for an error where nothing matches; Entra counts on the address being added.
  if (!emails.some(isOf(of))) return [...emails, { value, ...of }];
  return emails.map((email) => (isOf(of)(email) ? { ...email, value } : email));
}

/** One step; later ones see what earlier ones did. */
export function takeUserStep(user: UserDescription, step: UserStep): UserDescription {
  const { profile } = user;
  const withProfile = (change: Partial<UserProfile>) => ({
    ...user,
    profile: { ...profile, ...change },
  });
  switch (step.set) {
    case 'userName':
      return { ...user, userName: step.value };
    case 'externalId':
      return { ...user, externalId: step.value };
    case 'active':
      return { ...user, active: step.value };
    case 'displayName':
      return withProfile({ displayName: step.value });
    case 'name':
      return withProfile({ name: { ...profile.name, [step.part]: step.value } });
    case 'emails':
      return withProfile({ emails: [...step.value] });
    case 'moreEmails': {
      const known = new Set(profile.emails.map(({ value }) => value));
      const more = step.value.filter(({ value }) => !known.has(value));
      return withProfile({ emails: [...profile.emails, ...more].slice(0, maxEmails) });
    }
    case 'email':
      return withProfile({
        emails: setEmail(profile.emails, step.of, step.value).slice(0, maxEmails),
      });
  }
}

/**
 * The steps of a PATCH. Attributes that are not kept are left out. Names and addresses are kept as far as they can be; a
 * value of the wrong kind is refused of `userName`, `externalId` and `active`.
 */
export function readUserPatch(body: unknown): ScimResult<UserStep[]> {
  const operations = readOperations(body);
  if (!operations.ok) return operations;
  const steps = collect(operations.value.map(readUserOperation));
  return steps.ok ? { ok: true, value: steps.value.flat() } : steps;
}

const none: ScimResult<UserStep[]> = { ok: true, value: [] };
const step = (only: UserStep): ScimResult<UserStep[]> => ({ ok: true, value: [only] });

function readUserOperation({ op, path, value }: ScimOperation): ScimResult<UserStep[]> {
  if (path.filter !== undefined && path.attribute !== 'emails') {
    // Only lists have values to be chosen by a filter. Nobody is to take for done what decides and is not.
    return decides(path.attribute) ? refusePath(`${path.attribute}[…]`) : none;
  }
  const isRemoval = op === 'remove';
  switch (path.attribute) {
    case 'username': {
      if (isRemoval) return refuseValue('userName is required');
      const text = readRequiredText(value, 'userName');
      return text.ok ? step({ set: 'userName', value: text.value }) : text;
    }
    case 'active': {
      if (isRemoval) return refuseValue('active is required');
      const active = readBoolean(unwrap(value), 'active');
      return active.ok ? step({ set: 'active', value: active.value }) : active;
    }
    case 'externalid': {
      const text = readText(isRemoval ? undefined : value, 'externalId');
      return text.ok ? step({ set: 'externalId', value: text.value }) : text;
    }
    case 'displayname':
      return step({ set: 'displayName', value: isRemoval ? undefined : keepText(value) });
    case 'name':
      return { ok: true, value: readName(path.sub, isRemoval ? null : value) };
    case 'emails':
      return { ok: true, value: readEmailOperation({ op, path, value }) };
    default:
      return none;
  }
}

const decides = (attribute: string | undefined): attribute is string =>
  attribute === 'username' || attribute === 'externalid' || attribute === 'active';

/** Some send a single value as a list of one, or as `{value}`. */
function unwrap(value: unknown): unknown {
  const [first, ...rest] = Array.isArray(value) ? value : [value];
  if (rest.length > 0) return value;
  return isObject(first) && 'value' in first ? first.value : first;
}

/** What is no object names no part. */
function readName(sub: string | undefined, value: unknown): UserStep[] {
  if (sub !== undefined) {
    const part = nameParts.find((name) => name.toLowerCase() === sub);
    return part === undefined ? [] : [{ set: 'name', part, value: keepText(value) }];
  }
  if (value === null) return nameParts.map((part) => ({ set: 'name', part, value: undefined }));
  const members = membersOf(value, 'name');
  if (!members.ok) return [];
  return nameParts
    .filter((part) => members.value.has(part.toLowerCase()))
    .flatMap((part) => readName(part.toLowerCase(), members.value.get(part.toLowerCase())));
}

/** `type eq "work"` or `primary eq true`; nothing else chooses an address here. */
function emailChoice(filter: Filter): EmailChoice | undefined {
  if (filter.op !== 'eq') return undefined;
  const { compValue } = filter;
  const attribute = filter.attrPath.toLowerCase();
  if (attribute === 'type' && typeof compValue === 'string') {
    return { type: compValue.toLowerCase() };
  }
  return attribute === 'primary' && compValue === true ? { primary: true } : undefined;
}

function readEmailOperation({ op, path, value }: ScimOperation): UserStep[] {
  if (path.filter === undefined) {
    if (op === 'remove') return [{ set: 'emails', value: [] }];
    return [{ set: op === 'add' ? 'moreEmails' : 'emails', value: keepEmails(value) }];
  }
  const of = emailChoice(path.filter);
  if (of === undefined || (path.sub !== undefined && path.sub !== 'value')) return [];
  return [{ set: 'email', of, value: op === 'remove' ? undefined : keepText(unwrap(value)) }];
}

/** A person in the body of a POST or PUT: what is not said is `undefined`. */
export type GivenUser = {
  readonly userName: string;
  readonly externalId: string | undefined;
  readonly active: boolean | undefined;
  readonly profile: UserProfile;
};

/** Reads a whole resource. What is not kept is left out, the enterprise extension with it. */
export function readUser(body: unknown): ScimResult<GivenUser> {
  const members = membersOf(body, 'the body');
  if (!members.ok) return members;
  const userName = readRequiredText(members.value.get('username'), 'userName');
  if (!userName.ok) return userName;
  const given = ['externalid', 'active', 'displayname', 'name', 'emails'].flatMap((attribute) => {
    const value = members.value.get(attribute) ?? undefined;
    const path = { attribute, filter: undefined, sub: undefined };
    return value === undefined ? [] : [readUserOperation({ op: 'replace', path, value })];
  });
  const read = collect(given);
  if (!read.ok) return read;
  const steps = read.value.flat();
  const blank: UserDescription = {
    userName: userName.value,
    externalId: undefined,
    active: true,
    profile: emptyProfile,
  };
  const { active, ...user } = steps.reduce(takeUserStep, blank);
  const saysActive = steps.some(({ set }) => set === 'active');
  return { ok: true, value: { ...user, active: saysActive ? active : undefined } };
}
