import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { keptCheckpointSet } from '@countersign/protocol/system-log';
import * as z from 'zod/mini';
import { CommandError } from '../command-line/command.ts';
import { parseLine, readTextFile } from '../commands/read-input.ts';
import { appendToFile, makeNewDirectory, replaceFile } from '../commands/write-output.ts';
import type { ExportedChain, ExportedRow } from '../verify-audit/index.ts';
import type { KeptCheckpoints } from './kept-checkpoints.ts';

/** The audit log in a folder: a file of rows for each chain, and `audit.json`, which is written last. */

const chainHead = z.object({ count: z.int(), hash: z.string() });
/** As broker and imports name chains: nothing that leads out of the folder. */
const chainName = z
  .string()
  .check(z.regex(/^(?:\d{1,4}|organization|[A-Za-z0-9_-]{22}\.\d{1,4})$/));
const manifest = z.object({
  format: z.literal('countersign-audit'),
  version: z.literal(1),
  issuer: z.string(),
  exported_at: z.string(),
  chains: z.array(
    z.object({
      name: chainName,
      start: z.optional(z.string()),
      head: z.optional(chainHead),
    }),
  ),
  ...keptCheckpointSet.shape,
});
const row = z.object({ sequence: z.int(), record: z.string(), hash: z.string() });

const manifestName = 'audit.json';
const fileOf = (directory: string, chain: string) => join(directory, `chain-${chain}.jsonl`);
const rowsAtOnce = 1000;

async function writeRows(path: string, rows: ExportedChain['rows']): Promise<number> {
  let count = 0;
  let waiting: string[] = [];
  appendToFile(path, '');
  for await (const each of rows) {
    waiting.push(`${JSON.stringify(each)}\n`);
    count += 1;
    if (waiting.length < rowsAtOnce) continue;
    appendToFile(path, waiting.join(''));
    waiting = [];
  }
  appendToFile(path, waiting.join(''));
  return count;
}

/** @returns how many rows were written */
export async function writeAuditFolder(
  directory: string,
  chains: readonly ExportedChain[],
  kept: KeptCheckpoints,
  nowMs: number,
): Promise<number> {
  makeNewDirectory(directory);
  let rows = 0;
  for (const chain of chains) rows += await writeRows(fileOf(directory, chain.name), chain.rows);
  const described = {
    format: 'countersign-audit',
    version: 1,
    issuer: kept.issuer,
    exported_at: new Date(nowMs).toISOString(),
    chains: chains.map(({ name, start, head }) => ({ name, start, head })),
    checkpoints: kept.checkpoints,
    keys: kept.keys,
  };
  replaceFile(join(directory, manifestName), `${JSON.stringify(described, undefined, 2)}\n`);
  return rows;
}

async function* readRows(path: string): AsyncGenerator<ExportedRow> {
  const input = createReadStream(path);
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  try {
    for await (const text of lines) {
      number += 1;
      const read = row.safeParse(parseLine(text));
      if (!read.success) throw new CommandError(`${path}, line ${number}: it is no row of a chain`);
      yield read.data;
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path} cannot be read`);
  } finally {
    lines.close();
  }
}

export function readAuditFolder(directory: string): {
  readonly chains: readonly ExportedChain[];
  readonly kept: KeptCheckpoints;
} {
  const path = join(directory, manifestName);
  const read = manifest.safeParse(parseLine(readTextFile(path)));
  if (!read.success) throw new CommandError(`${path} is not that of an exported log`);
  const { issuer, checkpoints, keys, chains } = read.data;
  return {
    chains: chains.map(({ name, start, head }) => ({
      name,
      start,
      head,
      rows: readRows(fileOf(directory, name)),
    })),
    kept: { issuer, checkpoints, keys },
  };
}
