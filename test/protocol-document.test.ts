// PROTOCOL.md names every code with its texts, its HTTP status and who answers it, and every limit with its value.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as limits from '@countersign/protocol/limits';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { describe, expect, it } from 'vitest';
import {
  alsoFromFront,
  codeTables,
  type Program,
  unavailableFrom,
  withCodeTables,
} from '../tools/protocol-tables.ts';
import {
  markedBlocks,
  nameIn,
  readDocument,
  repositoryTop,
  tableRows,
} from './support/documents.ts';

const document = readDocument('packages/protocol/PROTOCOL.md');

describe('the tables of codes', () => {
  it('are those of the code; otherwise run: node tools/protocol-tables.ts', () => {
    expect(document.split('\n')).toEqual(withCodeTables(document).split('\n'));
  });

  it('leave no code out', () => {
    const named = Object.values(codeTables()).flatMap((table) =>
      tableRows(table.split('\n')).map((cells) => nameIn(cells[0])),
    );
    expect(Object.keys(reasonTexts).filter((code) => !named.includes(code))).toEqual([]);
  });

  it.each(['| `clock_skew` |', '| 409 |', reasonTexts.clock_skew.administrator])(
    'are told from others: without %s',
    (part) => {
      const changed = document.replace(part, '');
      expect(changed).not.toBe(document);
      expect(withCodeTables(changed)).toBe(document);
    },
  );

  it('cannot lose their place', () => {
    expect(() => withCodeTables(document.replace('<!-- codes: problem -->', ''))).toThrow(
      'problem',
    );
    expect(() => withCodeTables('<!-- codes: other -->\n\n<!-- end -->')).toThrow('other');
  });
});

describe('who answers a code', () => {
  const sources: Readonly<Record<Program, string>> = {
    page: 'packages/sso-sdk/src/page',
    extension: 'extension/src',
    host: 'packages/native-host/src',
    broker: 'worker/src',
    front: 'packages/edge-server/src/front',
  };
  const textOf = (program: Program) =>
    globSync(
      [
        `${sources[program]}/**/*.ts`,
        ...(program === 'broker' ? ['packages/policy/src/**/*.ts'] : []),
      ],
      { cwd: repositoryTop },
    )
      .filter((path) => !/\.test\.ts$|\/testing\/|\/fake-/.test(path))
      // The map of statuses names every code.
      .filter((path) => !path.endsWith('http/problem.ts'))
      .map((path) => readFileSync(join(repositoryTop, path), 'utf8'))
      .join('\n');
  const texts = new Map((Object.keys(sources) as Program[]).map((each) => [each, textOf(each)]));
  const expected: readonly (readonly [Program, readonly string[]])[] = [
    ...(['page', 'extension', 'host'] as const).map(
      (program) =>
        [
          program,
          Object.entries(unavailableFrom)
            .filter(([, programs]) => programs.includes(program))
            .map(([code]) => code),
        ] as const,
    ),
    ['front', alsoFromFront],
    [
      'broker',
      ['verification', 'policy', 'allow', 'problem'].flatMap((name) =>
        tableRows((codeTables()[name] ?? '').split('\n')).map((cells) => nameIn(cells[0])),
      ),
    ],
  ];

  it.each(expected)('%s has its codes in its source', (program, codes) => {
    expect(codes.length).toBeGreaterThan(0);
    expect(codes.filter((code) => !texts.get(program)?.includes(`'${code}'`))).toEqual([]);
  });
});

it('names every limit with its value', () => {
  const [block] = markedBlocks(document, 'limits');
  const rows = tableRows(block?.lines ?? []).map((cells) => [nameIn(cells[0]), cells[1]]);
  expect(Object.fromEntries(rows)).toEqual(
    Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, String(value)])),
  );
});
