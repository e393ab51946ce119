// worker/docs/threat-model.md groups every attack of test/COVERAGE.md by a boundary, each once.
import { expect, it } from 'vitest';
import { markedBlocks, readDocument, tableRows } from './support/documents.ts';

const document = readDocument('worker/docs/threat-model.md');
const [block] = markedBlocks(document, 'attacks');

/** `1–3, 6` is 1, 2, 3 and 6. */
function numbersIn(cell: string): number[] {
  return cell.split(', ').flatMap((part) => {
    const [first = Number.NaN, last = first] = part.split('–').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

it('places every attack of the coverage at one boundary', () => {
  const placed = tableRows(block?.lines ?? []).flatMap(([, attacks = '']) => numbersIn(attacks));
  const rows = [...readDocument('test/COVERAGE.md').matchAll(/^\| (\d+) \| [012] \|/gm)];
  expect(rows.length).toBeGreaterThan(70);
  expect(placed.toSorted((a, b) => a - b)).toEqual(rows.map(([, number]) => Number(number)));
});

it('has the invariants of the architecture, with their numbers', () => {
  const numbered = (text: string) => [...text.matchAll(/^\| ([1-9]) \|/gm)].map(([, n]) => n);
  expect(numbered(document)).toEqual(numbered(readDocument('ARCHITECTURE.md')));
});
