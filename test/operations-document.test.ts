// docs/operations.md stays true: options, files, log events and refused starts against the code of broker and edge server.
import { relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readRepository } from './architecture/repository-files.ts';
import {
  importModule,
  markedBlocks,
  nameIn,
  readDocument,
  repositoryTop,
  tableRows,
} from './support/documents.ts';

const document = readDocument('docs/operations.md');

function rowsOf(kind: string, about: string): string[][] {
  const block = markedBlocks(document, kind).find((candidate) => candidate.about === about);
  const rows = tableRows(block?.lines ?? []);
  expect(rows.length, `rows of ${kind}: ${about}`).toBeGreaterThan(5);
  return rows;
}
const namesOf = (kind: string, about: string) => rowsOf(kind, about).map(([name]) => nameIn(name));

const edgeServer = 'packages/edge-server/src';

/** A function of the edge server by its name; what it gives is checked by whoever asks. */
async function functionOf(file: string, name: string): Promise<(...args: unknown[]) => unknown> {
  const exported = (await importModule(`${edgeServer}/${file}`))[name];
  if (typeof exported !== 'function') throw new TypeError(`${name}() is exported by ${file}`);
  return (...args) => exported(...args);
}

const shippedFiles = (folder: string) =>
  readRepository(repositoryTop).filter(
    ({ path }) =>
      path.startsWith(folder) && path.endsWith('.ts') && !/\.test\.ts$|\/testing\//.test(path),
  );
const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)];
const sorted = (names: Iterable<string>) => [...new Set(names)].sort();

describe('options', () => {
  it('are those of the command, with their variables', async () => {
    const usage = String((await importModule(`${edgeServer}/command-line.ts`)).usage);
    const flags = all(usage, /--[a-z][a-z-]+/g).map(([flag]) => flag);
    const variables = all(usage, /COUNTERSIGN_[A-Z_]+/g).map(([name]) => name);
    const rows = rowsOf('options', 'command-line');
    expect(sorted(rows.map(([flag]) => nameIn(flag)))).toEqual(sorted(flags));
    const documented = rows.map(([, variable]) => nameIn(variable)).filter((name) => name !== '');
    expect(sorted(documented)).toEqual(sorted(variables));
  });

  it('of the systemd unit start a server', async () => {
    const unit = readDocument('packages/edge-server/systemd/countersign.service');
    const [, command = ''] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit) ?? [];
    const [, main = '', ...args] = command.replaceAll('\\\n', ' ').split(/\s+/);
    expect(main).toMatch(/\/packages\/edge-server\/src\/main\.ts$/);
    const parseCommandLine = await functionOf('command-line.ts', 'parseCommandLine');
    const parsed = parseCommandLine(args, {});
    expect(parsed).toMatchObject({ action: 'serve', options: { tlsPort: 443 } });
    const assertOptions = await functionOf('edge-server-options.ts', 'assertOptions');
    expect(() => assertOptions(Object(parsed).options)).not.toThrow();
  });

  it('of the systemd unit leave the socket where an export finds it', () => {
    const unit = readDocument('packages/edge-server/systemd/countersign.service');
    // A /tmp of the unit's own is not the one of whoever runs a command beside it.
    expect(unit).toMatch(/^PrivateTmp=yes$/m);
    expect(unit).toMatch(/^RuntimeDirectory=countersign$/m);
    expect(unit).toMatch(/^Environment=TMPDIR=\/run\/countersign$/m);
  });
});

it('names every file and folder of the data folder', async () => {
  const top = '/data';
  const dataPaths = await functionOf('data-directory/layout.ts', 'dataPaths');
  const paths = Object.values(Object(dataPaths(top))).filter((path) => typeof path === 'string');
  const made = paths.map((path) => relative(top, path));
  // Written by name alone, by `confirm-restore`.
  expect(readDocument(`${edgeServer}/state/confirm-restore.ts`)).toContain("'restores.jsonl'");
  expect(sorted(namesOf('files', 'data-folder'))).toEqual(sorted([...made, 'restores.jsonl']));
});

describe('events of the broker', () => {
  const texts = shippedFiles('worker/src/').map(({ text }) => text);
  const documented = namesOf('events', 'broker');

  it('are all in the table', () => {
    // The first argument may choose between two names.
    const called = texts.flatMap((text) =>
      all(text, /\blog(?:Event)?\(\s*([^,(){}]*?'[^,(){}]*),/g).flatMap(([, argument = '']) =>
        all(argument, /'([a-z_]+)'/g).map(([, name = '']) => name),
      ),
    );
    const written = texts.flatMap((text) =>
      all(text, /\bevent: '([a-z_]+)'/g).map(([, name = '']) => name),
    );
    const chosen = texts.flatMap((text) =>
      all(text, /\bconst event = (.*);/g).flatMap(([, choice = '']) =>
        all(choice, /'([a-z_]+)'/g).map(([, name = '']) => name),
      ),
    );
    expect(called.length).toBeGreaterThan(12);
    expect(chosen).toEqual(['user_reactivated', 'user_deactivated']);
    const found = sorted([...called, ...written, ...chosen]);
    expect(found.filter((name) => !documented.includes(name))).toEqual([]);
  });

  it('are all in the code', () => {
    const source = texts.join('\n');
    expect(documented.filter((name) => !source.includes(`'${name}'`))).toEqual([]);
  });

  it('are logged in no way that this test does not see', () => {
    const calls = texts.join('\n').match(/\bconsole\.\w+\(/g) ?? [];
    expect(calls).toHaveLength(11);
  });
});

describe('events of the edge server', () => {
  const files = shippedFiles(`${edgeServer}/`);

  it('are those of the table, with their levels', () => {
    const found = files.flatMap(({ text }) =>
      all(text, /\.write\(\s*'(info|warning|error)',\s*'([a-z_]+)'/g).map(
        ([, level, name]) => `${name} ${level}`,
      ),
    );
    const table = rowsOf('events', 'edge-server').map(
      ([name, level]) => `${nameIn(name)} ${level}`,
    );
    expect(sorted(table)).toEqual(sorted([...found, 'worker_output info']));
  });

  it('are written in no way that this test does not see', () => {
    const calls = files.flatMap(({ text }) => all(text, /\blog\.write\(/g));
    const seen = files.flatMap(({ text }) => all(text, /\blog\.write\(\s*'[a-z]+',\s*'/g));
    expect(seen).toHaveLength(calls.length);
  });
});

describe('refused starts', () => {
  const source = shippedFiles(`${edgeServer}/`)
    .map(({ text }) => text)
    .join('\n');
  const rows = rowsOf('failures', 'start');

  it('are those that the edge server knows', () => {
    const [, union = ''] = /type EdgeServerFailure =([^;]+);/.exec(source) ?? [];
    const failures = all(union, /'([a-z_]+)'/g).map(([, name = '']) => name);
    expect(rows.map(([code]) => nameIn(code))).toEqual(failures);
  });

  it.each(rows.map((cells): [string, string] => [nameIn(cells[0]), cells[1] ?? '']))(
    '%s says what the table quotes',
    (_code, quotes) => {
      const sentences = all(quotes, /`([^`]+)`/g).map(([, words = '']) => words);
      expect(sentences.length).toBeGreaterThan(0);
      expect(sentences.filter((words) => !source.includes(words))).toEqual([]);
    },
  );
});
