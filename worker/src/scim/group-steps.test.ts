import { maxGroupMembers } from '@countersign/protocol/admin-integrations';
import { describe, expect, it } from 'vitest';
import { readGroup, readGroupPatch } from './group-steps.ts';

const ids = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => ({ value: `u${from + n}` }));

describe('members of a group in a request', () => {
  it('are each looked up once', () => {
    const value = Array.from({ length: 1_000 }, () => ({ value: 'a' }));
    const steps = readGroupPatch({ Operations: [{ op: 'remove', path: 'members', value }] });
    expect(steps).toEqual({ ok: true, value: [{ set: 'members', to: 'without', ids: ['a'] }] });
  });

  it('are no more than a group may have, in one operation, all of them, or a whole group', () => {
    const half = maxGroupMembers / 2;
    const add = (value: unknown) => ({ op: 'add', path: 'members', value });
    const refused = { ok: false, code: 'scim_value_invalid' };
    const two = [add(ids(half)), add(ids(half, half))];
    expect(readGroupPatch({ Operations: two })).toMatchObject({ ok: true });
    expect(readGroupPatch({ Operations: [...two, add('one more')] })).toMatchObject(refused);
    const tooMany = ids(maxGroupMembers + 1);
    expect(readGroupPatch({ Operations: [add(tooMany)] })).toMatchObject(refused);
    expect(readGroup({ displayName: 'A', members: tooMany })).toMatchObject(refused);
  });
});
