import { describe, expect, it } from 'vitest';
import { type HeldGroup, openGroups } from './group-versions.ts';

const held: ReadonlyMap<string, HeldGroup> = new Map([
  ['pilot', { version: 3, members: new Set(['ada', 'bob']) }],
]);
const pilot = { groupId: 'pilot', version: 5 } as const;

describe('groups that an isolate takes over', () => {
  it('are the same, changed, or whole', () => {
    expect(openGroups([{ ...pilot, version: 3, kind: 'same' }], held).get('pilot')).toBe(
      held.get('pilot'),
    );
    const changesJson = '[["eve",1],["bob",0],["bob",1],["ada",0]]';
    const changed = openGroups([{ ...pilot, kind: 'changes', changesJson }], held).get('pilot');
    expect(changed).toEqual({ version: 5, members: new Set(['bob', 'eve']) });
    // A request that is still judged by the older one sees it as it was.
    expect(held.get('pilot')?.members).toEqual(new Set(['ada', 'bob']));
    const whole = openGroups([{ ...pilot, kind: 'whole', membersJson: '["eve"]' }], held);
    expect(whole.get('pilot')).toEqual({ version: 5, members: new Set(['eve']) });
  });

  it('that nobody names any more are forgotten, and those that come later are missing', () => {
    expect(openGroups([], held).size).toBe(0);
    expect(openGroups([{ ...pilot, kind: 'later' }], held).size).toBe(0);
  });

  it.each([{ kind: 'same' }, { kind: 'changes', changesJson: '[]' }] as const)(
    'that are not held are not made up: $kind',
    (kind) => {
      expect(() => openGroups([{ ...pilot, ...kind }], new Map())).toThrow('not held');
    },
  );
});
