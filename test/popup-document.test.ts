// The table of the popup's codes in the extension's README, against the findings in its code.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  markedBlocks,
  nameIn,
  readDocument,
  repositoryTop,
  tableRows,
} from './support/documents.ts';

const findings = join(repositoryTop, 'extension/src/diagnostics');

it('every code that the popup has of its own is described, and no other', () => {
  const sources = readdirSync(findings)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(findings, name), 'utf8'));
  const inCode = sources.flatMap((source) =>
    [...source.matchAll(/\bcode: '([a-z_]+)'/g)].map(([, code]) => code),
  );
  const [block] = markedBlocks(readDocument('extension/README.md'), 'codes');
  const inDocument = tableRows(block?.lines ?? []).map(([code]) => nameIn(code));
  expect(inDocument.length).toBeGreaterThan(5);
  expect([...inDocument].sort()).toEqual([...new Set(inCode)].sort());
});
