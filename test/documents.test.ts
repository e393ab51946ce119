// Documents stay true to the code: tables of members and examples against the schemas, links
// against files and headings.
//
// `<!-- members: FILE EXPORT -->` stands above a table whose first column names the members of that schema, and whose
// second says "optional" or "only" for those that may be absent. `<!-- example: FILE EXPORT -->` stands above a JSON block.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { readRepository } from './architecture/repository-files.ts';
import {
  importModule,
  type MarkedBlock,
  markedBlocks,
  membersOf,
  nameIn,
  pathsOf,
  readDocument,
  repositoryTop,
  type SchemaMember,
  tableRows,
} from './support/documents.ts';

const documents = readRepository(repositoryTop).filter(({ path }) => path.endsWith('.md'));
const blocksOf = (kind: string) =>
  documents.flatMap(({ path, text }) =>
    markedBlocks(text, kind).map((block): [string, string, MarkedBlock] => [
      `${path}:${block.line}`,
      block.about,
      block,
    ]),
  );

async function schemaMembers(about: string): Promise<SchemaMember[]> {
  const [file = '', name = ''] = about.split(' ');
  const exported = await importModule(file);
  expect(Object.keys(exported), `${file} exports`).toContain(name);
  const members = membersOf(exported[name]);
  expect(members.length, `members of ${name}`).toBeGreaterThan(0);
  return members;
}

const isWithin = (path: string, listed: string) =>
  path === listed || path.startsWith(`${listed}.`) || path.startsWith(`${listed}[]`);

describe('tables of members', () => {
  it.each(blocksOf('members'))('%s: %s', async (_where, about, block) => {
    const members = await schemaMembers(about);
    const rows = tableRows(block.lines).map((cells) => ({
      path: nameIn(cells[0]),
      optional: /\b(optional|only)\b/.test(cells[1] ?? ''),
    }));
    const known = new Map(members.map(({ path, optional }) => [path, optional]));
    for (const { path, optional } of rows) {
      expect(known.has(path), `${path} is a member`).toBe(true);
      expect([path, optional]).toEqual([path, known.get(path)]);
    }
    // An object may be listed as a whole, or member by member.
    const missing = members
      .filter(
        ({ path }) => !members.some((other) => other.path !== path && isWithin(other.path, path)),
      )
      .filter(({ path }) => !rows.some((row) => isWithin(path, row.path)));
    expect(missing).toEqual([]);
  });
});

describe('examples', () => {
  it.each(blocksOf('example'))('%s: %s', async (_where, about, block) => {
    const members = await schemaMembers(about);
    const example: unknown = JSON.parse(
      block.lines.filter((line) => !line.startsWith('```')).join('\n'),
    );
    const paths = pathsOf(example);
    const known = members.map(({ path }) => path);
    expect(paths.filter((path) => !known.includes(path))).toEqual([]);
    const top = members.filter(({ path, optional }) => !optional && !/[.[]/.test(path));
    expect(top.filter(({ path }) => !paths.includes(path))).toEqual([]);
  });
});

describe('blocks of JSON', () => {
  const blocks = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map((match): [string, string] => [
      `${path}:${text.slice(0, match.index).split('\n').length}`,
      match[1] ?? '',
    ]),
  );
  it.each(blocks)('%s', (_where, json) => {
    expect(() => JSON.parse(json)).not.toThrow();
  });
});

describe('links', () => {
  const links = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .map((target): [string, string] => [path, target]),
  );
  /** The names that headings get: lower case, without punctuation, hyphens for spaces. */
  const anchorsOf = (markdown: string) =>
    [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(
      ([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^\p{L}\p{N}\s_-]/gu, '')
          .replaceAll(' ', '-'),
    );
  it.each(links)('%s → %s', (from, target) => {
    const [file = '', anchor] = target.split('#');
    const path = file === '' ? from : join(dirname(from), file);
    expect(existsSync(join(repositoryTop, path)), path).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(readDocument(path))).toContain(anchor);
  });
});

describe('the reader of schemas and tables', () => {
  it('finds every member, and tells which may be absent', () => {
    const inner = z.object({ a: z.string(), b: z.optional(z.string()) });
    const schema = z.object({
      one: z.string(),
      two: z._default(z.boolean(), false),
      list: z.array(inner),
      choice: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('x'), x: z.string() }),
        z.object({ kind: z.literal('y'), y: z.string() }),
      ]),
    });
    const described = membersOf(schema).map(({ path, optional }) => (optional ? `${path}?` : path));
    expect(described).toEqual([
      'one',
      'two?',
      ...['list', 'list[].a', 'list[].b?'],
      ...['choice', 'choice.kind', 'choice.x?', 'choice.y?'],
    ]);
    expect(pathsOf({ one: '', list: [{ a: '' }, { b: '' }] })).toEqual([
      'one',
      ...['list', 'list[].a', 'list[].b'],
    ]);
  });

  it('takes blocks and cells apart', () => {
    const text = '<!-- members: a b -->\n| m | f |\n|---|---|\n| `x` \\| | y |\n\n| z |';
    const [block] = markedBlocks(text, 'members');
    expect(block).toMatchObject({ about: 'a b', line: 1 });
    expect(tableRows(block?.lines ?? [])).toEqual([['`x` \\|', 'y']]);
    expect(nameIn('`x` \\|')).toBe('x');
  });
});
