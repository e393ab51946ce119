// The administrator's command reaches the whole admin API, and its documents show what it takes.
import { commands } from '@countersign/admin-cli/commands';
import { parseArguments } from '@countersign/admin-cli/parse-arguments';
import { describe, expect, it } from 'vitest';
import { readRepository } from './architecture/repository-files.ts';
import {
  importModule,
  markedBlocks,
  readDocument,
  repositoryTop,
  tableRows,
} from './support/documents.ts';

async function adminRoutes(): Promise<string[]> {
  const { routes } = await importModule('worker/src/http/route-table.ts');
  if (!Array.isArray(routes)) throw new TypeError('the route table is a list');
  return routes
    .map((route: readonly unknown[]) => `${String(route[0])} ${String(route[1])}`)
    .filter((route) => route.includes(' /v1/admin/'));
}

describe('countersign-admin', () => {
  it('reaches every address of the admin API, and no other', async () => {
    const asked = new Set(commands.flatMap(({ routes }) => routes));
    const there = await adminRoutes();
    expect(there.length).toBeGreaterThan(50);
    expect([...asked].toSorted()).toEqual(there.toSorted());
  });

  it('has a table of its commands, in the words of their help', () => {
    const [block] = markedBlocks(readDocument('packages/admin-cli/README.md'), 'commands');
    expect(tableRows(block?.lines ?? [])).toEqual(
      commands.map(({ words, parameters = [], help }) => [
        `\`${[...words, ...parameters].join(' ')}\``,
        help,
      ]),
    );
  });
});

/** Command lines of documents, continued lines put together. */
function commandLines(text: string): string[] {
  return [...text.matchAll(/^ *countersign-admin ((?:.*\\\n)*.*)$/gm)].map(([, rest = '']) =>
    rest
      .replaceAll('\\\n', ' ')
      .replace(/\s+(#|\||>).*$/, '')
      .trim(),
  );
}

const shown = readRepository(repositoryTop)
  .filter(({ path }) => path.endsWith('.md'))
  .flatMap(({ path, text }) => commandLines(text).map((line): [string, string] => [path, line]));

describe('the documents', () => {
  it('show commands', () => expect(shown.length).toBeGreaterThan(10));

  it.each(shown)('%s: countersign-admin %s', (_, line) => {
    const words = line.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
    expect(parseArguments(commands, words).command).toBeDefined();
  });
});
