import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import { createLog } from '../logs.ts';
import { findWorkerBundle } from '../worker-bundle.ts';
import { confirmRestore, examineRestore } from './confirm-restore.ts';
import { markPathOf } from './high-water-mark.ts';
import { importState } from './import-state.ts';
import { describeLosses } from './keep-high-water-mark.ts';
import { openExistingDataDirectory } from './open-existing.ts';
import { runExport } from './run-export.ts';
import { shortestPassphrase } from './sealed-keys.ts';
import type { StateCommandName } from './state-usage.ts';

const text = { type: 'string' } as const;
const flags = {
  data: text,
  'high-water-mark': text,
  worker: text,
  output: text,
  input: text,
  'passphrase-file': text,
  shards: text,
  'confirm-restore': { type: 'boolean' },
  yes: { type: 'boolean' },
} as const;

const flagsOf: Record<StateCommandName, readonly (keyof typeof flags)[]> = {
  export: ['output', 'passphrase-file'],
  import: ['input', 'passphrase-file', 'shards', 'confirm-restore'],
  'confirm-restore': ['yes'],
};
const commonFlags: readonly string[] = ['data', 'high-water-mark', 'worker'];

const usageError = (message: string) => new EdgeServerError('setting_invalid', message);

/** The first line of the file. Not from the command line, where everybody on the machine could read it. */
export function readPassphrase(path: string | undefined): string {
  if (path === undefined) {
    throw usageError('--passphrase-file names the file with the passphrase for the keys.');
  }
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`--passphrase-file cannot be read: ${errorText(error)}.`);
  }
  const [passphrase = ''] = content.split(/\r?\n/);
  if (passphrase.length < shortestPassphrase) {
    throw usageError(`The passphrase must have at least ${shortestPassphrase} characters.`);
  }
  return passphrase;
}

function readFlags(name: StateCommandName, args: readonly string[]) {
  let values: ReturnType<typeof parse>;
  const parse = () =>
    parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
  try {
    values = parse();
  } catch (error) {
    throw usageError(errorText(error));
  }
  const foreign = Object.keys(values).find(
    (flag) => !commonFlags.includes(flag) && !flagsOf[name].some((own) => own === flag),
  );
  if (foreign !== undefined) throw usageError(`${name} knows no --${foreign}.`);
  return values;
}

function wanted(value: string | undefined, flag: string): string {
  if (value === undefined) throw usageError(`${flag} is missing.`);
  return resolve(value);
}

const rowLines = (rows: Readonly<Record<string, number>>) =>
  Object.entries(rows)
    .filter(([, count]) => count > 0)
    .map(([table, count]) => `  ${table}: ${count}`);

/**
 * Runs a command on a data folder.
 *
 * @returns what is to be printed, and whether what was asked for is done
 * @throws EdgeServerError
 */
export async function runStateCommand(
  name: StateCommandName,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly done: boolean; readonly lines: readonly string[] }> {
  const values = readFlags(name, args);
  const setting = (flag: string | undefined, variable: string) =>
    flag ?? (environment[variable] || undefined);
  const nowMs = Date.now();
  const dataDirectory = resolve(setting(values.data, 'COUNTERSIGN_DATA') ?? '.countersign');
  const log = createLog(() => undefined, 'json', Date.now);
  const workerBundle = findWorkerBundle(setting(values.worker, 'COUNTERSIGN_WORKER'));
  const chosenMark = setting(values['high-water-mark'], 'COUNTERSIGN_HIGH_WATER_MARK');
  const broker = { workerBundle, log, nowMs };

  if (name === 'export') {
    const output = wanted(values.output, '--output');
    const passphrase = readPassphrase(values['passphrase-file']);
    const data = await openExistingDataDirectory(dataDirectory, nowMs);
    const { rows } = await runExport(data, output, passphrase, broker);
    return { done: true, lines: [`Exported to ${output}:`, ...rowLines(rows)] };
  }

  if (name === 'import') {
    const shards = setting(values.shards, 'COUNTERSIGN_SHARDS');
    if (shards !== undefined && !/^\d{1,4}$/.test(shards)) {
      throw usageError(`--shards must be a number, not "${shards}".`);
    }
    const markPath = markPathOf(chosenMark, dataDirectory);
    const summary = await importState({
      ...broker,
      input: wanted(values.input, '--input'),
      passphrase: readPassphrase(values['passphrase-file']),
      dataDirectory,
      ...(shards === undefined ? {} : { shardCount: Number(shards) }),
      ...(markPath === undefined ? {} : { markPath }),
      confirmRestore: values['confirm-restore'] === true,
    });
    const lines = [
      `Imported organization ${summary.organizationId} into ${dataDirectory}, with ${summary.shardCount} shards.`,
      ...summary.losses.map((loss) => `  lost: ${loss}`),
      ...summary.brokenChains.map(
        (chain) => `  does not verify, as it was exported: chain ${chain}`,
      ),
    ];
    return { done: true, lines };
  }

  const data = await openExistingDataDirectory(dataDirectory, nowMs);
  const markPath = markPathOf(chosenMark, data.directory);
  if (markPath === undefined) throw usageError('Without a mark there is nothing to confirm.');
  if (!existsSync(markPath)) {
    return {
      done: false,
      lines: [
        `There is no ${markPath}, so there is nothing to compare with. If the server has its mark elsewhere, name it with --high-water-mark FILE.`,
      ],
    };
  }
  const restore = await examineRestore(data, markPath, broker);
  if (restore.losses.length === 0) {
    return {
      done: true,
      lines: ['The data folder is the newest that is known: nothing to confirm.'],
    };
  }
  const described = describeLosses(markPath, restore.losses);
  if (values.yes !== true) {
    return {
      done: false,
      lines: [described, 'To take it for the newest one: countersign-server confirm-restore --yes'],
    };
  }
  await confirmRestore(data, markPath, restore, nowMs);
  return {
    done: true,
    lines: [
      described,
      'Confirmed. Revoke again what was revoked since; the next start serves this state.',
    ],
  };
}
