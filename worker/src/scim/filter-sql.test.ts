import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { filterCondition, groupColumns, userColumns } from './filter-sql.ts';

/** A database with three people, to ask it what a filter finds. */
const database = new DatabaseSync(':memory:');
database.exec(`
  CREATE TABLE directory_users (scim_id, user_id, user_name_key, external_id, profile);
  CREATE TABLE users (user_id, active);
`);
const add = (
  id: string,
  name: string,
  active: number,
  externalId: string | null,
  profile: object,
) => {
  database
    .prepare('INSERT INTO directory_users VALUES (?, ?, ?, ?, ?)')
    .run(id, name, name.toLowerCase(), externalId, JSON.stringify({ emails: [], ...profile }));
  database.prepare('INSERT INTO users VALUES (?, ?)').run(name, active);
};
add('1', 'Ada@Example.com', 1, 'A1', {
  displayName: 'Ada King',
  emails: [
    { value: 'Ada@work.example', type: 'work', primary: true },
    { value: 'ada@home.example', type: 'home' },
  ],
});
add('2', 'CORP\\Bob', 0, 'a1', { name: { familyName: "O'Hara" } });
add('3', 'say "hi"', 1, null, { displayName: 'É' });

function found(filter: string): string {
  const condition = filterCondition(filter, userColumns);
  if (!condition.ok) return condition.code;
  const { sql, bindings } = condition.value;
  const rows = database
    .prepare(
      `SELECT scim_id FROM directory_users d JOIN users u ON u.user_id = d.user_id
       WHERE ${sql} ORDER BY scim_id`,
    )
    .all(...bindings);
  return rows.map(({ scim_id }) => scim_id).join('');
}

describe('a filter', () => {
  it.each([
    ['userName eq "ADA@example.com"', '1'],
    ['userName Eq "nobody"', ''],
    ['userName ne "ada@example.com"', '23'],
    ['userName sw "ada@"', '1'],
    ['userName ew ".COM"', '1'],
    ['userName co "B"', '2'],
    ['userName co ""', '123'],
    ['userName eq "CORP\\bob"', '2'],
    ['userName eq "corp\\\\BOB"', '2'],
    ['userName eq "SAY \\"hi\\""', '3'],
    ['externalId eq "A1"', '1'],
    ['externalId pr', '12'],
    ['not (externalId pr)', '3'],
    ['not (externalId eq "A1")', '23'],
    ['active eq true', '13'],
    ['active eq "False"', '2'],
    ['active ne true', '2'],
    ['displayName eq "ada king"', '1'],
    ['displayName pr and active eq true', '13'],
    ['displayName sw "x" or name.familyName eq "o\'hara"', '2'],
    ['(userName co "a" or userName co "b") and not (active eq false)', '13'],
    ['emails eq "ADA@work.example"', '1'],
    ['emails.value ew "home.example"', '1'],
    ['emails[type eq "work" and primary eq true]', '1'],
    ['emails[type eq "home" and primary eq true]', ''],
    ['emails[type eq "work"].value sw "ada"', '1'],
    ['emails pr', '1'],
    ['urn:ietf:params:scim:schemas:core:2.0:User:externalId eq "a1"', '2'],
    ['userName eq "x\' OR 1=1 --"', ''],
  ])('finds: %s', (filter, ids) => {
    expect([filter, found(filter)]).toEqual([filter, ids]);
  });

  it.each([
    '',
    'userName',
    'userName eq',
    'userName eq ada',
    'userName eq "ada',
    'userName eq 7',
    'userName gt "a"',
    'password eq "x"',
    'urn:other:User:userName eq "x"',
    '__proto__ eq "x"',
    'constructor pr',
    'emails.length eq "x"',
    'emails[password eq "x"]',
    'active co "t"',
    'active eq "maybe"',
    'userName eq "a" and',
    'userName eq "a" userName eq "b"',
    'userName eq "\\u0041"',
    'userName eq "a\nb"',
    `userName eq "${'\n'.repeat(64)}`,
    `userName eq "${'a'.repeat(1024)}"`,
    `${'('.repeat(64)}userName pr${')'.repeat(64)}`,
    `${'not ('.repeat(16)}userName pr${')'.repeat(16)}`,
    Array.from({ length: 33 }, () => 'active pr').join(' and '),
  ])('#66 is refused, and quickly: %j', (filter) => {
    const begun = process.cpuUsage();
    expect(filterCondition(filter, userColumns)).toMatchObject({ code: 'scim_filter_invalid' });
    // What this process had to compute, whatever else the machine does.
    const { user, system } = process.cpuUsage(begun);
    expect(user + system).toBeLessThan(500_000);
  });

  it('of groups asks for members by the ids of their resources', () => {
    const condition = filterCondition('members eq "u-1" and displayName eq "Sales"', groupColumns);
    expect(condition).toMatchObject({ ok: true, value: { bindings: ['u-1', 'Sales'] } });
  });
});
