import type { StateRow } from '@countersign/protocol/state';
import { type Deployment, parseDeployment } from '../data-directory/deployment.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import { exportedText } from './exported-files.ts';
import type { HighWaterMark } from './high-water-mark.ts';
import { TombstoneIndex } from './pending-tombstones.ts';
import { ChainCheck, invalidLine, readStateFile } from './read-state-file.ts';
import { type KeyFiles, openKeys } from './sealed-keys.ts';
import { type EndLine, type HeaderLine, isSignedBy, type PageLine } from './state-file.ts';
import { describePlace, type StatePlace, samePlace, statePlaces } from './state-order.ts';

export type CheckedStateFile = {
  readonly header: HeaderLine;
  readonly files: KeyFiles;
  readonly deployment: Deployment;
  readonly tombstones: TombstoneIndex;
  /** The hash of the row that the mark ends with, in each of the exported shards. */
  readonly hashAtMark: (shard: number) => string | undefined;
  /** Chains that did not verify where they were exported, as `<chain>: <first row that does not fit>`. */
  readonly brokenChains: readonly string[];
};

/** The chains of a file, followed as their rows come. */
class ChainChecks {
  readonly #chains = new Map<
    string,
    { check: ChainCheck; head: { count: number; hash: string } }
  >();

  open(
    name: string,
    start: string | null,
    head: { count: number; hash: string },
    watched?: number,
  ): void {
    this.#chains.set(name, { check: new ChainCheck(start, watched), head });
  }

  hashAtWatched(name: string): string | undefined {
    return this.#chains.get(name)?.check.hashAtWatched();
  }

  add(name: string, row: StateRow): void {
    const { hash, sequence, record } = row;
    if (typeof hash !== 'object' || hash === null) return;
    this.#chains.get(name)?.check.add(Number(sequence), String(record), hash.bytes);
  }

  broken(): string[] {
    return [...this.#chains].flatMap(([name, { check, head }]) => {
      const row = check.brokenAt(head);
      return row === undefined ? [] : [`${name}: row ${row}`];
    });
  }
}

function followChains(
  chains: ChainChecks,
  header: HeaderLine,
  page: PageLine,
  marked: HighWaterMark | undefined,
): void {
  const { section, tables, shard } = page;
  const own = `${header.export_id}.${shard}`;
  const head = header.mark.shards[shard]?.device ?? undefined;
  if (page.object !== 'device' || head === undefined) return;
  if (section === 'chain_start') {
    const record = tables.chain_start?.[0]?.record;
    const watched = marked?.shards[shard]?.device?.count;
    chains.open(own, typeof record === 'string' ? record : null, head, watched);
  }
  for (const row of tables.decisions ?? []) chains.add(own, row);
  for (const { chain_id, count, hash, start } of tables.archived_chains ?? []) {
    if (typeof hash !== 'object' || hash === null) continue;
    const archivedHead = { count: Number(count), hash: hash.bytes };
    chains.open(String(chain_id), typeof start === 'string' ? start : null, archivedHead);
  }
  for (const row of tables.archived_decisions ?? []) chains.add(String(row.chain_id), row);
}

/** Whether the pages come in the one order that an export has, with none left out. */
function orderOf(path: string, shardCount: number) {
  const places = statePlaces(shardCount);
  let current: StatePlace | undefined;
  const advance = (): StatePlace | undefined => {
    const next = places.next();
    return next.done === true ? undefined : next.value;
  };
  return {
    follow(page: PageLine, line: number): void {
      if (current !== undefined && samePlace(current, page)) return;
      current = advance();
      if (current !== undefined && samePlace(current, page)) return;
      const expected = current === undefined ? 'the end' : describePlace(current);
      throw invalidLine(path, line, `it holds ${describePlace(page)} where ${expected} should be`);
    },
    end(line: number): void {
      const missing = advance();
      if (missing !== undefined)
        throw invalidLine(path, line, `${describePlace(missing)} is missing`);
    },
  };
}

function openHeader(path: string, header: HeaderLine, passphrase: string) {
  const files = openKeys(header.keys, passphrase, header.export_id);
  if (files === undefined) {
    throw new EdgeServerError(
      'state_file_invalid',
      `${path}, line 1: the keys do not open: the passphrase is another one, or the line was changed.`,
    );
  }
  const deployment = parseDeployment(exportedText(files, 'deployment.json'), `${path}, line 1`);
  if (
    deployment.organizationId !== header.organization_id ||
    deployment.shardCount !== header.shard_count ||
    header.mark.shards.length !== header.shard_count
  ) {
    throw invalidLine(path, 1, 'its keys are of another organization or number of shards');
  }
  return { files, deployment };
}

/**
 * Reads an export to its end before anything is made of it: form, order, completeness, the organization's signature,
 * and every chain of decisions.
 *
 * @param marked the newest state that is known where the export is to go
 * @throws EdgeServerError `state_file_invalid`
 */
export async function checkStateFile(
  path: string,
  passphrase: string,
  marked: HighWaterMark | undefined,
): Promise<CheckedStateFile> {
  let header: HeaderLine | undefined;
  let order: ReturnType<typeof orderOf> | undefined;
  let end: { readonly number: number; readonly value: EndLine } | undefined;
  const chains = new ChainChecks();
  const tombstones = new TombstoneIndex();
  const rows: Record<string, number> = {};
  let pages = 0;
  for await (const { number, value } of readStateFile(path)) {
    if (value.type === 'header') {
      header = value;
      order = orderOf(path, value.shard_count);
      continue;
    }
    if (value.type === 'end') {
      order?.end(number);
      end = { number, value };
      continue;
    }
    if (header === undefined) throw invalidLine(path, number, 'there is no header before it');
    order?.follow(value, number);
    pages += 1;
    for (const [table, { length }] of Object.entries(value.tables)) {
      const name = `${value.object}.${table}`;
      rows[name] = (rows[name] ?? 0) + length;
    }
    followChains(chains, header, value, marked);
    tombstones.add(value);
  }
  if (header === undefined || end === undefined) throw invalidLine(path, 1, 'it is no export');
  const differs = differentCount(rows, end.value.rows);
  if (pages !== end.value.pages || differs !== undefined) {
    const why = `the number of rows differs from the file's own (${differs ?? 'pages'})`;
    throw invalidLine(path, end.number, why);
  }
  // Last, since opening the keys is meant to take its time.
  const opened = openHeader(path, header, passphrase);
  // What the sealed keys hold is the organization's own; the root is who signed in earlier versions.
  const signers = ['certificates/key-set-signer.pem', 'certificates/root.pem'];
  const { value: signed } = end;
  if (!signers.some((name) => isSignedBy(signed, exportedText(opened.files, name)))) {
    throw invalidLine(path, end.number, "the signature is not of this organization's keys");
  }
  const exportId = header.export_id;
  return {
    header,
    ...opened,
    tombstones,
    brokenChains: chains.broken(),
    hashAtMark: (shard) => chains.hashAtWatched(`${exportId}.${shard}`),
  };
}

type Counts = Readonly<Record<string, number>>;

/** A table of which there are more or fewer rows than the file says of itself. */
function differentCount(counted: Counts, said: Counts): string | undefined {
  const names = new Set([...Object.keys(counted), ...Object.keys(said)]);
  return [...names].find((name) => counted[name] !== said[name]);
}
