import { readRunRecord } from '../data-directory/data-directory-lock.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { socketIn } from '../workerd/socket-directory.ts';
import type { BrokerAccess } from './ask-broker.ts';
import { withPrivateBroker } from './private-broker.ts';

/**
 * Asks the broker of a data folder: through the server that runs on it, or, where none does, through a broker that runs
 * for this alone. Both are asked in the same way.
 *
 * @throws EdgeServerError
 */
export async function withBroker<Value>(
  data: DataDirectory,
  options: { readonly workerBundle: string; readonly log: Log; readonly nowMs: number },
  use: (access: BrokerAccess, isServed: boolean) => Promise<Value>,
): Promise<Value> {
  try {
    return await withPrivateBroker(data, options, (access) => use(access, false));
  } catch (error) {
    if (!(error instanceof EdgeServerError) || error.failure !== 'data_directory_in_use') {
      throw error;
    }
    const socketDirectory = readRunRecord(data.paths.runRecord)?.socketDirectory;
    if (socketDirectory === undefined) throw error;
    const access = { socket: socketIn(socketDirectory), ownerToken: data.ownerToken };
    return await use(access, true);
  }
}
