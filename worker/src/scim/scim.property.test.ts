import fc from 'fast-check';
import { expect, it } from 'vitest';
import { filterCondition, userColumns } from './filter-sql.ts';
import { readGroup, readGroupPatch } from './group-steps.ts';
import { readUser, readUserPatch } from './user-steps.ts';

// Whatever a directory sends: an answer, no exception, and nothing that every object would have afterwards.

const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 300);
const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_122);

const word = fc.constantFrom(
  ...[
    'userName',
    'active',
    'emails',
    'members',
    'name',
    'type',
    'value',
    '__proto__',
    'constructor',
  ],
  ...[
    'eq',
    'ne',
    'co',
    'pr',
    'and',
    'or',
    'not',
    '(',
    ')',
    '[',
    ']',
    '.',
    '"',
    '"work"',
    'true',
    '\\',
  ],
);
const phrase = fc
  .array(fc.oneof(word, fc.string({ maxLength: 6 })), { maxLength: 24 })
  .map((words) => words.join(' '));
const key = fc.oneof(
  fc.constantFrom('op', 'path', 'value', 'Operations', 'userName', 'active', 'emails', 'name'),
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'members', 'name.givenName'),
);
const { anything } = fc.letrec((tie) => ({
  anything: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom('add', 'Remove', 'replace', 'False', 'members[value eq "x"]'),
    fc.array(tie('anything'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('anything')), { maxLength: 5 }).map((entries) => {
      // As JSON.parse would: a member of its own, even if it is called so.
      const text = entries.map(
        ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value) ?? 'null'}`,
      );
      return JSON.parse(`{${text.join(',')}}`) as unknown;
    }),
  ),
}));

it('#66 reads any filter', () => {
  fc.assert(
    fc.property(phrase, (text) => {
      const condition = filterCondition(text, userColumns);
      if (!condition.ok) return;
      expect(condition.value.sql.split('?')).toHaveLength(condition.value.bindings.length + 1);
    }),
    { numRuns, seed },
  );
});

it('#66 reads any message', () => {
  fc.assert(
    fc.property(anything, (body) => {
      for (const read of [readUser, readUserPatch, readGroup, readGroupPatch]) {
        expect(typeof read(body).ok).toBe('boolean');
        expect(typeof read({ Operations: [body] }).ok).toBe('boolean');
      }
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
    { numRuns, seed },
  );
});
