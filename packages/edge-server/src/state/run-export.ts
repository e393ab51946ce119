import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import type { Log } from '../logs.ts';
import { type ExportSummary, exportState } from './export-state.ts';
import { withBroker } from './with-broker.ts';

/**
 * Exports a data folder, whether or not a server runs on it.
 *
 * @throws EdgeServerError
 */
export async function runExport(
  data: DataDirectory,
  output: string,
  passphrase: string,
  options: { readonly workerBundle: string; readonly log: Log; readonly nowMs: number },
): Promise<ExportSummary> {
  return await withBroker(data, options, (access) =>
    exportState(access, data, output, passphrase, options.nowMs),
  );
}
