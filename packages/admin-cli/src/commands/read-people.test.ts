import { describe, expect, it } from 'vitest';
import { readPeople } from './read-people.ts';

const usersIn = (text: string) => readPeople(text).users;

describe('a file of people', () => {
  it('has its columns in any order, and quotes where CSV wants them', () => {
    const text = [
      '\ufeffgroups,User_Name,active,display_name',
      'Sales; Pilot ,ada@example.com,TRUE,"Lovelace, Ada"',
      '',
      ',bob@example.com,no,',
      '"A ""B""",eve@example.com,1,Eve',
    ].join('\r\n');
    expect(usersIn(text)).toEqual([
      {
        user_name: 'ada@example.com',
        active: true,
        display_name: 'Lovelace, Ada',
        groups: ['Sales', 'Pilot'],
      },
      { user_name: 'bob@example.com', active: false, groups: [] },
      { user_name: 'eve@example.com', active: true, display_name: 'Eve', groups: ['A "B"'] },
    ]);
    expect(readPeople(text).lines).toEqual([2, 4, 5]);
  });

  it('leaves out what it has no column for: active is true, and groups stay', () => {
    expect(usersIn('user_name\nada\n')).toEqual([{ user_name: 'ada', active: true }]);
  });

  it.each([
    ['', 'line 1: there is no header'],
    ['user_name\n', 'there is nobody in the file'],
    ['name\nada', 'line 1, name: is none of user_name,'],
    ['user_name,user_name\na,b', 'line 1, user_name: is there twice'],
    ['email\na', 'line 1, user_name: is missing'],
    ['user_name,active\nada,true\nbob', 'line 3, the line: has 1 fields, the header 2'],
    ['user_name,active\nada,maybe', 'line 2, active: must be true or false'],
    ['user_name,active\nada,', 'line 2, active: must be true or false'],
    ['user_name,active\nada,constructor', 'line 2, active: must be true or false'],
    ['user_name,email\n,x', 'line 2, user_name: '],
    [`user_name\nada\n${'x'.repeat(300)}`, 'line 3, user_name: '],
    ['user_name\nada\n\nADA', 'line 4, user_name: is that of line 2 again'],
    ['user_name,external_id\nada,1\nbob,1', 'line 3, external_id: is that of line 2 again'],
    ['user_name\n"ada', 'line 2 is not CSV'],
    ['user_name\na"d"a', 'line 2 is not CSV'],
  ])('says which line and column is wrong: %j', (text, said) => {
    expect(() => readPeople(text)).toThrow(said);
  });
});
