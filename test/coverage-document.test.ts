// test/COVERAGE.md stays true: the tests that it names are there, and the rows that tests name are in it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readRepository } from './architecture/repository-files.ts';
import { readDocument, repositoryTop } from './support/documents.ts';

type Reference = { readonly row: string; readonly path: string; readonly names: readonly string[] };

const document = readDocument('test/COVERAGE.md');
const rows = document
  .split('\n')
  .filter((line) => /^\| (?!#|fault|-)/.test(line))
  .map((line) => ({ number: /^\| (\d+) \|/.exec(line)?.[1], line }));

/** Links to test files, each with the names in italics that follow it. */
const references: readonly Reference[] = rows.flatMap(({ line }) =>
  [...line.matchAll(/\]\(([^)]+)\)((?:,? ?\*[^*]+\*)+)/g)].map(([, path = '', names = '']) => ({
    row: line.slice(0, 60),
    path: join('test', path),
    names: [...names.matchAll(/\*([^*]+)\*/g)].map(([, name = '']) => name),
  })),
);

it('has each of the 74 rows once, in order', () => {
  const numbers = rows.map(({ number }) => number).filter((number) => number !== undefined);
  expect(numbers).toEqual(Array.from({ length: 74 }, (_, index) => String(index + 1)));
});

it('names a test or a reason in every row', () => {
  const empty = rows.filter(({ line }) => !/\]\([^)]+\.test\.ts\) \*|\| none/.test(line));
  expect(empty).toEqual([]);
});

it('names tests that are there', () => {
  expect(references.length).toBeGreaterThan(80);
  const missing = references.flatMap(({ row, path, names }) => {
    const file = join(repositoryTop, path);
    if (!existsSync(file)) return [`${row}: there is no ${path}`];
    const text = readFileSync(file, 'utf8');
    return names
      .filter((name) => !text.includes(name))
      .map((name) => `${row}: ${path} has no "${name}"`);
  });
  expect(missing).toEqual([]);
});

/** The tests from outside whose names begin with numbers of rows. */
const numbered = readRepository(repositoryTop)
  .filter(({ path }) => /^test\/(conformance|e2e|faults)\/.*\.test\.ts$/.test(path))
  .flatMap(({ path, text }) =>
    [...text.matchAll(/['"`]((?:#\d+ )+)/g)].flatMap(([, prefix = '']) =>
      [...prefix.matchAll(/#(\d+)/g)].map(([, number]) => ({ path, number })),
    ),
  );

it('has every number that the name of a test begins with, with its file', () => {
  expect(numbered.length).toBeGreaterThan(50);
  const absent = numbered.filter(({ path, number }) => {
    const row = rows.find((candidate) => candidate.number === number);
    return row?.line.includes(`](${path.slice('test/'.length)})`) !== true;
  });
  expect(absent).toEqual([]);
});

it('has a test from outside for every row of priority 0, or says why there is none', () => {
  const untried = rows.filter(
    ({ number, line }) =>
      /^\| \d+ \| 0 \|/.test(line) &&
      !/\| none/.test(line) &&
      !numbered.some((test) => test.number === number),
  );
  expect(untried.map(({ line }) => line.slice(0, 80))).toEqual([]);
});
