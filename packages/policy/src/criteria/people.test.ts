import { describe, expect, it } from 'vitest';
import { goodFacts } from '../testing/facts.ts';
import type { Condition } from './criterion.ts';
import { people } from './people.ts';

const ada = { ...goodFacts, user: 'ada', groups: new Set(['staff', 'finance']) };
const stranger = { ...goodFacts, user: 'mallory', groups: new Set<string>() };

describe('people', () => {
  it.each<[Condition<'people'>, 'met' | 'not_met']>([
    [{}, 'met'],
    [{ users: ['ada'] }, 'met'],
    [{ users: ['bob', 'ada'] }, 'met'],
    [{ users: ['bob'] }, 'not_met'],
    [{ users: ['Ada'] }, 'not_met'],
    [{ users: ['finance'] }, 'not_met'],
    [{ groups: ['finance'] }, 'met'],
    [{ groups: ['ada'] }, 'not_met'],
    [{ groups: ['contractors'] }, 'not_met'],
    [{ users: ['ada'], groups: ['contractors'] }, 'met'],
    [{ users: ['bob'], groups: ['staff'] }, 'met'],
    [{ except_users: ['ada'] }, 'not_met'],
    [{ except_users: ['bob'] }, 'met'],
    [{ except_groups: ['staff'] }, 'not_met'],
    [{ except_groups: ['contractors'] }, 'met'],
    [{ users: ['ada'], except_groups: ['finance'] }, 'not_met'],
    [{ groups: ['staff'], except_users: ['ada'] }, 'not_met'],
  ])('%j: %s for one of staff and finance', (condition, verdict) => {
    expect(people.check(condition, ada, [])).toBe(verdict);
  });

  it('knows whoever is in no group', () => {
    expect(people.check({ groups: ['staff'] }, stranger, [])).toBe('not_met');
    expect(people.check({ except_groups: ['staff'] }, stranger, [])).toBe('met');
    expect(people.check({}, stranger, [])).toBe('met');
  });

  it('says who was wanted and who came', () => {
    const condition = {
      users: ['bob'],
      groups: ['hr'],
      except_users: ['eve'],
      except_groups: ['x'],
    };
    expect(people.wanted(condition)).toBe('one of bob, group hr, but not eve, group x');
    expect(people.wanted({ except_users: ['eve'] })).toBe('everybody, but not eve');
    expect(people.wanted({})).toBe('everybody');
    expect(people.seen(ada, [], {})).toBe('ada, in finance, staff');
    expect(people.seen(stranger, [], {})).toBe('mallory');
  });
});
