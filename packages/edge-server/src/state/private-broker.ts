import { replaceFile } from '../data-directory/durable-files.ts';
import { readKeySet } from '../data-directory/key-set.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { readServedSettings } from '../data-directory/served-settings.ts';
import { keepWorkerSettings } from '../keep-worker-settings.ts';
import type { Log } from '../logs.ts';
import { readTokenKeys } from '../rotation/token-key-files.ts';
import { recordProcesses, takeDataDirectory, type Undo, undoAll } from '../take-data-directory.ts';
import { makeSocketDirectory } from '../workerd/socket-directory.ts';
import { workerdConfigurationText } from '../workerd/workerd-configuration.ts';
import { superviseWorkerd } from '../workerd/workerd-supervisor.ts';
import type { BrokerAccess } from './ask-broker.ts';

/**
 * Runs the broker on a data folder that no server uses, reachable through its socket alone, and ends it again.
 *
 * @throws EdgeServerError `data_directory_in_use`, or why it does not start
 */
export async function withPrivateBroker<Value>(
  data: DataDirectory,
  options: { readonly workerBundle: string; readonly log: Log; readonly nowMs: number },
  use: (access: BrokerAccess) => Promise<Value>,
): Promise<Value> {
  const { workerBundle, log, nowMs } = options;
  const undo: Undo = [];
  try {
    const lock = await takeDataDirectory(data, log, undo);
    const socketDirectory = makeSocketDirectory();
    undo.push(socketDirectory.remove);
    const { iss } = readKeySet(data.paths.keySet).claims;
    const settings = await keepWorkerSettings(data, iss, readTokenKeys(data.paths), nowMs);
    const pkiUrl = readServedSettings(data.paths)?.pkiUrl;
    replaceFile(
      data.paths.workerdConfiguration,
      workerdConfigurationText({
        path: data.paths.workerdConfiguration,
        workerBundle,
        socket: socketDirectory.socket,
        durableObjects: data.paths.durableObjects,
        textFiles: settings.textFiles,
        texts: { ...settings.texts, ...(pkiUrl === undefined ? {} : { PKI_URL: pkiUrl }) },
        keys: settings.keys,
      }),
    );
    const running = await superviseWorkerd({
      configurationPath: data.paths.workerdConfiguration,
      socket: socketDirectory.socket,
      log,
      onProcess: recordProcesses(lock, socketDirectory),
    });
    undo.push(() => running.stop());
    return await use({ socket: socketDirectory.socket, ownerToken: data.ownerToken });
  } finally {
    await undoAll(undo);
  }
}
