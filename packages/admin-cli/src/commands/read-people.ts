import {
  type ImportedUser,
  importedUser,
  maxImportedUsers,
} from '@countersign/protocol/admin-directory';
import { parseFields } from '@countersign/protocol/schemas';
import { CsvError, parse } from 'csv-parse/sync';
import * as z from 'zod/mini';
import { CommandError } from '../command-line/command.ts';

/** A file of people: CSV (RFC 4180) with a header, a person on each line. */

const columns = ['user_name', 'external_id', 'active', 'display_name', 'email', 'groups'] as const;
type Column = (typeof columns)[number];

/** What separates the groups of a person. */
const groupSeparator = ';';

/** With the line of the file that each person is on. */
export type ReadPeople = {
  readonly users: readonly ImportedUser[];
  readonly lines: readonly number[];
};

const records = z.array(
  z.object({ record: z.array(z.string()), info: z.object({ lines: z.int() }) }),
);

function wrong(line: number, column: string, detail: string): CommandError {
  return new CommandError(`line ${line}, ${column}: ${detail}`);
}

function readRecords(text: string): z.infer<typeof records> {
  try {
    return records.parse(
      parse(text, {
        bom: true,
        info: true,
        relax_column_count: true,
        skip_empty_lines: true,
        trim: true,
        max_record_size: 64 * 1024,
      }),
    );
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = 'lines' in error && typeof error.lines === 'number' ? error.lines : 1;
    throw new CommandError(`line ${line} is not CSV (${error.code})`);
  }
}

function readHeader(names: readonly string[], line: number): Column[] {
  const found = names.map((name) => {
    const column = columns.find((each) => each === name.toLowerCase());
    if (column === undefined) {
      throw wrong(line, name || 'the header', `is none of ${columns.join(', ')}`);
    }
    return column;
  });
  const twice = found.find((column, at) => found.indexOf(column) !== at);
  if (twice !== undefined) throw wrong(line, twice, 'is there twice');
  if (!found.includes('user_name')) throw wrong(line, 'user_name', 'is missing');
  return found;
}

const truths: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  1: true,
  false: false,
  no: false,
  0: false,
};

/** A cell as the broker takes it; an empty one is none, but where that would have to be guessed. */
function readCell(column: Column, text: string, line: number): unknown {
  if (column === 'groups') {
    return text
      .split(groupSeparator)
      .map((name) => name.trim())
      .filter((name) => name !== '');
  }
  if (column === 'active') {
    const key = text.toLowerCase();
    if (!Object.hasOwn(truths, key)) throw wrong(line, column, 'must be true or false');
    return truths[key];
  }
  return text === '' ? undefined : text;
}

/**
 * Reads the whole file, or says which line and column is wrong.
 *
 * @throws CommandError
 */
export function readPeople(text: string): ReadPeople {
  const [first, ...rest] = readRecords(text);
  if (first === undefined) throw new CommandError('line 1: there is no header');
  const header = readHeader(first.record, first.info.lines);
  const users: ImportedUser[] = [];
  const lines: number[] = [];
  const lineOf = new Map<string, number>();
  for (const { record, info } of rest) {
    const line = info.lines;
    if (record.length !== header.length) {
      throw wrong(line, 'the line', `has ${record.length} fields, the header ${header.length}`);
    }
    if (users.length === maxImportedUsers) {
      throw wrong(line, 'the line', `is one more than ${maxImportedUsers} people`);
    }
    const given = Object.fromEntries(
      header
        .map((column, at) => [column, readCell(column, record[at] ?? '', line)] as const)
        .filter(([, value]) => value !== undefined),
    );
    const read = parseFields(importedUser, given);
    if (!read.ok) throw wrong(line, read.field, read.detail);
    const { user_name, external_id } = read.value;
    const names = { user_name: user_name.toLowerCase(), external_id };
    for (const [column, name] of Object.entries(names)) {
      if (name === undefined) continue;
      const key = `${column} ${name}`;
      const before = lineOf.get(key);
      if (before !== undefined) throw wrong(line, column, `is that of line ${before} again`);
      lineOf.set(key, line);
    }
    users.push(read.value);
    lines.push(line);
  }
  if (users.length === 0) throw new CommandError('there is nobody in the file');
  return { users, lines };
}
