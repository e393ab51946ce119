import { maxGroupMembers } from '@countersign/protocol/admin-integrations';
import type { Filter } from 'scim2-parse-filter';
import { membersOf, readMemberIds, readRequiredText, readText } from './attribute-values.ts';
import { readOperations, type ScimOperation } from './read-operations.ts';
import { collect, refusePath, refuseValue, type ScimResult } from './scim-result.ts';

/** What a PATCH does to a group. Members are SCIM ids. */
export type GroupStep =
  | { readonly set: 'displayName'; readonly value: string }
  | { readonly set: 'externalId'; readonly value: string | undefined }
  | {
      readonly set: 'members';
      readonly to: 'only' | 'also' | 'without';
      readonly ids: readonly string[];
    };

const none: ScimResult<GroupStep[]> = { ok: true, value: [] };
const step = (only: GroupStep): ScimResult<GroupStep[]> => ({ ok: true, value: [only] });

export function readGroupPatch(body: unknown): ScimResult<GroupStep[]> {
  const operations = readOperations(body);
  if (!operations.ok) return operations;
  const read = collect(operations.value.map(readGroupOperation));
  if (!read.ok) return read;
  const steps = read.value.flat();
  const named = steps.reduce(
    (sum, each) => sum + (each.set === 'members' ? each.ids.length : 0),
    0,
  );
  // All of them are looked up in one block, in which nobody else is answered.
  if (named > maxGroupMembers) return refuseValue(`members: at most ${maxGroupMembers} in a PATCH`);
  return { ok: true, value: steps };
}

function readGroupOperation(operation: ScimOperation): ScimResult<GroupStep[]> {
  const { op, path, value } = operation;
  const isRemoval = op === 'remove';
  switch (path.attribute) {
    case 'displayname': {
      if (isRemoval) return refuseValue('displayName is required');
      const text = readRequiredText(value, 'displayName');
      return text.ok ? step({ set: 'displayName', value: text.value }) : text;
    }
    case 'externalid': {
      const text = readText(isRemoval ? undefined : value, 'externalId');
      return text.ok ? step({ set: 'externalId', value: text.value }) : text;
    }
    case 'members':
      return readMembers(operation);
    default:
      return none;
  }
}

function readMembers({ op, path, value }: ScimOperation): ScimResult<GroupStep[]> {
  if (path.filter !== undefined) {
    const named = idsIn(path.filter);
    // Members have nothing to be changed: they are there or not.
    if (named === undefined || op !== 'remove') return refusePath('members[…]');
    return step({ set: 'members', to: 'without', ids: named });
  }
  // Without a value all of them go (RFC 7644 section 3.5.2.2). Entra names those that go, and an empty list names none.
  if (op === 'remove' && (value === undefined || value === null)) {
    return step({ set: 'members', to: 'only', ids: [] });
  }
  const ids = readMemberIds(value);
  if (!ids.ok) return ids;
  const to = ({ add: 'also', remove: 'without', replace: 'only' } as const)[op];
  return step({ set: 'members', to, ids: ids.value });
}

/** `value eq "…"`, or several of them with `or`. */
function idsIn(filter: Filter): string[] | undefined {
  if (filter.op === 'or') {
    const ids = filter.filters.map(idsIn);
    return ids.every((each) => each !== undefined) ? ids.flat() : undefined;
  }
  if (filter.op !== 'eq' || filter.attrPath.toLowerCase() !== 'value') return undefined;
  return typeof filter.compValue === 'string' ? [filter.compValue] : undefined;
}

/** A group in the body of a POST or PUT: what is not said is `undefined`. */
export type GivenGroup = {
  readonly displayName: string;
  readonly externalId: string | undefined;
  readonly members: readonly string[] | undefined;
};

export function readGroup(body: unknown): ScimResult<GivenGroup> {
  const given = membersOf(body, 'the body');
  if (!given.ok) return given;
  const displayName = readRequiredText(given.value.get('displayname'), 'displayName');
  if (!displayName.ok) return displayName;
  const externalId = readText(given.value.get('externalid'), 'externalId');
  if (!externalId.ok) return externalId;
  const list = given.value.get('members') ?? undefined;
  const members = list === undefined ? undefined : readMemberIds(list);
  if (members?.ok === false) return members;
  return {
    ok: true,
    value: {
      displayName: displayName.value,
      externalId: externalId.value,
      members: members?.value,
    },
  };
}
