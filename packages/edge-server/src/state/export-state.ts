import { randomBytes } from 'node:crypto';
import { stateAnswer, statePage } from '@countersign/protocol/state';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import { askBroker, type BrokerAccess } from './ask-broker.ts';
import { readExportedFiles } from './exported-files.ts';
import { readState } from './keep-high-water-mark.ts';
import { sealKeys } from './sealed-keys.ts';
import { signEnd, stateFileFormat, stateFileVersion } from './state-file.ts';
import { type StatePlace, statePlaces } from './state-order.ts';
import { createStateFile, type StateFileWriter } from './write-state-file.ts';

export type ExportSummary = {
  readonly exportId: string;
  /** Rows by `<object>.<table>`. */
  readonly rows: Readonly<Record<string, number>>;
};

type Counts = { pages: number; readonly rows: Record<string, number> };

async function writeSection(
  access: BrokerAccess,
  file: StateFileWriter,
  place: StatePlace,
  through: number,
  counts: Counts,
): Promise<void> {
  const { object, shard, section } = place;
  const query = new URLSearchParams({ object, shard: String(shard), section });
  // The head that the mark has is the shard's; the organization's own chain is read to its end.
  if (object === 'device' && section === 'decisions') query.set('through', String(through));
  for (let next: string | null = ''; next !== null; ) {
    if (next !== '') query.set('after', next);
    const page = await askBroker(access, statePage, `/v1/admin/state/rows?${query}`);
    file.write({ type: 'page', ...place, tables: page.tables });
    counts.pages += 1;
    for (const [table, rows] of Object.entries(page.tables)) {
      const name = `${object}.${table}`;
      counts.rows[name] = (counts.rows[name] ?? 0) + rows.length;
    }
    next = page.next;
  }
}

/**
 * Writes everything that the broker stores into one file, while it serves: device shards first, then keys, then the
 * organization, so that what is read later knows at least as much as what was read before.
 *
 * @throws EdgeServerError
 */
export async function exportState(
  access: BrokerAccess,
  data: DataDirectory,
  output: string,
  passphrase: string,
  nowMs: number,
): Promise<ExportSummary> {
  const exportId = randomBytes(16).toString('base64url');
  const state = await askBroker(access, stateAnswer, '/v1/admin/state');
  const mark = await readState(access, data);
  const unreadable = mark.shards.findIndex(({ device, key }) => device === null || key === null);
  if (unreadable >= 0) {
    throw new EdgeServerError(
      'broker_request_failed',
      `Shard ${unreadable} cannot be read, so there can be no export. The broker's log says why.`,
    );
  }
  const file = createStateFile(output);
  const counts: Counts = { pages: 0, rows: {} };
  try {
    file.write({
      type: 'header',
      format: stateFileFormat,
      version: stateFileVersion,
      export_id: exportId,
      created_at: new Date(nowMs).toISOString(),
      organization_id: data.deployment.organizationId,
      shard_count: state.shard_count,
      schemas: state.schemas,
      mark,
      keys: sealKeys(readExportedFiles(data.directory), passphrase, exportId),
    });
    for (const place of statePlaces(state.shard_count)) {
      const through = mark.shards[place.shard]?.device?.count ?? 0;
      await writeSection(access, file, place, through, counts);
    }
    const { pages, rows } = counts;
    file.write(
      signEnd({ type: 'end', pages, rows, after: file.after() }, data.privateKey('key-set-signer')),
    );
    file.finish();
  } catch (error) {
    file.abandon();
    throw error;
  }
  return { exportId, rows: counts.rows };
}
