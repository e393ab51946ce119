import { describe, expect, it } from 'vitest';
import { emptyProfile } from './user-profile.ts';
import { readUser, readUserPatch, takeUserStep, type UserDescription } from './user-steps.ts';

const ada: UserDescription = {
  userName: 'ada@example.com',
  externalId: 'x-1',
  active: true,
  profile: {
    displayName: 'Ada',
    name: { givenName: 'Ada', familyName: 'King' },
    emails: [
      { value: 'ada@example.com', type: 'work', primary: true },
      { value: 'ada@home.example', type: 'home' },
    ],
  },
};

/** What a PATCH makes of her: only what is different. */
function patched(Operations: unknown) {
  const steps = readUserPatch({ Operations });
  if (!steps.ok) return steps.code;
  const after = steps.value.reduce(takeUserStep, ada);
  const { profile, ...rest } = after;
  const both = { ...rest, ...profile };
  const before: Record<string, unknown> = { ...ada, ...ada.profile };
  return Object.fromEntries(
    Object.entries(both).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]),
    ),
  );
}

const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const core = 'urn:ietf:params:scim:schemas:core:2.0:User';

describe('what identity providers send to change a user', () => {
  it.each<readonly [string, unknown, unknown]>([
    ['Okta: off', [{ op: 'replace', value: { active: false } }], { active: false }],
    ['Entra: off', [{ op: 'Replace', path: 'active', value: 'False' }], { active: false }],
    ['Entra: on', [{ op: 'Replace', path: 'active', value: 'True' }], {}],
    ['Entra: off as Add', [{ op: 'Add', path: 'active', value: false }], { active: false }],
    [
      'Entra: several',
      [
        { op: 'Replace', path: 'displayName', value: 'A. King' },
        { op: 'Add', path: 'name.givenName', value: 'Augusta' },
        { op: 'Replace', path: 'emails[type eq "work"].value', value: 'a@example.com' },
        { op: 'Add', path: `${enterprise}:department`, value: 'Engines' },
        { op: 'Replace', path: `${enterprise}:manager`, value: 'bob' },
      ],
      {
        displayName: 'A. King',
        name: { givenName: 'Augusta', familyName: 'King' },
        emails: [
          { value: 'a@example.com', type: 'work', primary: true },
          { value: 'ada@home.example', type: 'home' },
        ],
      },
    ],
    [
      'Entra: dotted keys without a path',
      [
        {
          op: 'replace',
          value: {
            displayName: 'Bjfe',
            'name.givenName': 'Kkom',
            'name.familyName': 'Unua',
            [`${enterprise}:employeeNumber`]: 'Aklq',
            [enterprise]: { department: 'x' },
          },
        },
      ],
      { displayName: 'Bjfe', name: { givenName: 'Kkom', familyName: 'Unua' } },
    ],
    [
      'an address that was not there',
      [{ op: 'Add', path: 'emails[type eq "other"].value', value: 'o@example.com' }],
      { emails: [...ada.profile.emails, { value: 'o@example.com', type: 'other' }] },
    ],
    [
      'an address taken away',
      [{ op: 'remove', path: 'emails[type eq "home"]' }],
      { emails: [ada.profile.emails[0]] },
    ],
    [
      'the primary one',
      [{ op: 'replace', path: 'emails[primary eq true].value', value: 'p@example.com' }],
      {
        emails: [{ value: 'p@example.com', type: 'work', primary: true }, ada.profile.emails[1]],
      },
    ],
    ['all addresses', [{ op: 'replace', path: 'emails', value: [] }], { emails: [] }],
    [
      'one more',
      [{ op: 'add', path: 'emails', value: { value: 'n@example.com' } }],
      { emails: [...ada.profile.emails, { value: 'n@example.com' }] },
    ],
    ['the core URN', [{ op: 'add', value: { [core]: { active: 'false' } } }], { active: false }],
    ['a removal', [{ op: 'remove', path: 'name.familyName' }], { name: { givenName: 'Ada' } }],
    ['null', [{ op: 'replace', path: 'displayName', value: null }], { displayName: undefined }],
    [
      'the last one counts',
      [
        { op: 'replace', path: 'active', value: false },
        { op: 'replace', path: 'active', value: true },
      ],
      {},
    ],
    [
      'unknown',
      [
        { op: 'add', path: 'nickName', value: 'A' },
        { op: 'remove', path: 'roles' },
      ],
      {},
    ],
    [
      'of another list',
      [{ op: 'replace', path: 'phoneNumbers[type eq "work"].value', value: '1' }],
      {},
    ],
    ['groups, which are read-only', [{ op: 'remove', path: 'groups' }], {}],
    ['no operations', [], 'scim_syntax_invalid'],
    ['an op that is none', [{ op: 'move', path: 'active', value: true }], 'scim_syntax_invalid'],
    ['a removal without a path', [{ op: 'Remove' }], 'scim_syntax_invalid'],
    ['no object without a path', [{ op: 'add', value: 'active' }], 'scim_syntax_invalid'],
    ['active without a value', [{ op: 'replace', path: 'active' }], 'scim_value_invalid'],
    ['active taken away', [{ op: 'remove', path: 'active' }], 'scim_value_invalid'],
    ['userName taken away', [{ op: 'remove', path: 'userName' }], 'scim_value_invalid'],
    ['a name that is no object', [{ op: 'replace', path: 'name', value: 'Ada' }], {}],
    [
      'a leaver whose name is malformed',
      [
        { op: 'replace', path: 'active', value: false },
        { op: 'replace', path: 'name.formatted', value: 'A\nB' },
      ],
      {
        active: false,
        name: { givenName: 'Ada', familyName: 'King', formatted: 'A B' },
      },
    ],
    [
      'active chosen by a filter',
      [{ op: 'replace', path: 'active[value eq true]', value: false }],
      'scim_path_invalid',
    ],
    [
      'active chosen by a filter, without a path',
      [{ op: 'replace', value: { 'active[value eq true]': false } }],
      'scim_path_invalid',
    ],
    [
      'active behind a dot after the URN',
      [{ op: 'replace', path: `${core}.active`, value: false }],
      'scim_path_invalid',
    ],
    [
      'active behind a dot after the URN, without a path',
      [{ op: 'replace', value: { [`${core}.active`]: false } }],
      'scim_path_invalid',
    ],
    [
      'the URN alone as a path',
      [{ op: 'replace', path: core, value: { active: false } }],
      'scim_path_invalid',
    ],
    ['a path that is none', [{ op: 'replace', path: 'name..x', value: 'A' }], 'scim_path_invalid'],
    ['a path that is no text', [{ op: 'replace', path: 7, value: 'A' }], 'scim_path_invalid'],
    [
      'a filter that is none',
      [{ op: 'add', path: 'emails[type].value', value: 'A' }],
      'scim_path_invalid',
    ],
  ])('%s', (_, operations, expected) => {
    const after = patched(operations);
    expect(after).toEqual(expected);
  });

  it('no more than 16 addresses are kept, however many operations add them', () => {
    const adds = Array.from({ length: 40 }, (_, n) => [
      { op: 'add', path: 'emails', value: { value: `${n}@example.com` } },
      { op: 'add', path: `emails[type eq "t${n}"].value`, value: `t${n}@example.com` },
    ]).flat();
    expect(patched(adds)).toMatchObject({ emails: { length: 16 } });
  });

  it('a message of too many operations is refused', () => {
    const one = { op: 'replace', path: 'active', value: true };
    expect(patched(Array.from({ length: 1_001 }, () => one))).toBe('scim_syntax_invalid');
    expect(patched('Operations')).toBe('scim_syntax_invalid');
    expect(readUserPatch(null)).toMatchObject({ ok: false, code: 'scim_syntax_invalid' });
  });
});

describe('a whole user', () => {
  it('says nothing of what is not in it', () => {
    expect(readUser({ userName: 'ada' })).toEqual({
      ok: true,
      value: {
        userName: 'ada',
        externalId: undefined,
        active: undefined,
        profile: emptyProfile,
      },
    });
    expect(readUser({ USERNAME: 'ada', Active: 'FALSE', externalId: null })).toMatchObject({
      value: { userName: 'ada', active: false, externalId: undefined },
    });
  });

  it('keeps of names and addresses what can be kept, so that nobody stays who left', () => {
    const emails = [
      { value: 7 },
      { value: 'a@example.com', primary: 'yes', type: 3 },
      ...Array.from({ length: 20 }, (_, n) => ({ value: `${n}@example.com` })),
    ];
    const name = {
      formatted: 'x'.repeat(257),
      givenName: ['Ada'],
      familyName: `${'x'.repeat(255)}😀`,
    };
    const read = readUser({ userName: 'a', active: false, displayName: 'A\tB', name, emails });
    expect(read).toMatchObject({
      value: {
        active: false,
        profile: {
          displayName: 'A B',
          name: { formatted: 'x'.repeat(256), familyName: 'x'.repeat(255) },
        },
      },
    });
    expect(read.ok && read.value.profile.name.givenName).toBeUndefined();
    expect(read.ok && read.value.profile.emails.slice(0, 1)).toEqual([{ value: 'a@example.com' }]);
    expect(read.ok && read.value.profile.emails).toHaveLength(15);
    expect(readUser({ userName: 'a', name: { formatted: 'A', FORMATTED: 'B' } })).toMatchObject({
      value: { profile: { name: {} } },
    });
  });

  it.each([
    [{ userName: 'a', active: 1 }],
    [{ userName: 'a', active: 'f' }],
    [{ userName: 'a\tb' }],
    [{ userName: 'a', externalId: ['x'] }],
    [{ userName: 'x'.repeat(257) }],
    [{}],
  ])('is refused when a value is of no use: %j', (body) => {
    expect(readUser(body)).toMatchObject({ ok: false, code: 'scim_value_invalid' });
  });
});
