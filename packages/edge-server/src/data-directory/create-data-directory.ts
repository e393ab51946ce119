import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EdgeServerError, errorText, systemErrorCode } from '../edge-server-error.ts';
import { isProcessAlive } from '../process-identity.ts';
import { syncDirectory } from './durable-files.ts';
import { type CreationSettings, fillDataDirectory } from './fill-data-directory.ts';
import { dataPaths, directoryMode } from './layout.ts';

/** Folders under construction are called `<prefix><process id>-<random>`. */
const insidePrefix = '.new-';
const besidePrefix = (directory: string) => `.${basename(directory)}${insidePrefix}`;

type Construction = { readonly path: string; readonly builderAlive: boolean };

function constructionsIn(parent: string, prefix: string): Construction[] {
  return readdirSync(parent)
    .filter((name) => name.startsWith(prefix))
    .map((name) => {
      const pid = Number(name.slice(prefix.length).split('-')[0]);
      return {
        path: join(parent, name),
        builderAlive: Number.isInteger(pid) && isProcessAlive(pid),
      };
    });
}

function removeAbandoned(parent: string, prefix: string): void {
  for (const { path, builderAlive } of constructionsIn(parent, prefix)) {
    if (!builderAlive) rmSync(path, { recursive: true, force: true });
  }
}

/** Puts into an empty folder what a data folder needs. */
export type FillDirectory = (directory: string) => Promise<void>;

async function build(prefix: string, fill: FillDirectory): Promise<string> {
  const path = mkdtempSync(`${prefix}${process.pid}-`);
  chmodSync(path, directoryMode);
  try {
    await fill(path);
    return path;
  } catch (error) {
    rmSync(path, { recursive: true, force: true });
    throw error;
  }
}

/** The folder does not exist: it is built beside its place and renamed when it is complete. */
async function createBeside(directory: string, fill: FillDirectory): Promise<boolean> {
  const parent = dirname(directory);
  mkdirSync(parent, { recursive: true });
  const prefix = besidePrefix(directory);
  removeAbandoned(parent, prefix);
  const built = await build(join(parent, prefix), fill);
  try {
    renameSync(built, directory);
  } catch (error) {
    rmSync(built, { recursive: true, force: true });
    const code = systemErrorCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    // Another process was faster.
    return false;
  }
  syncDirectory(parent);
  return true;
}

/**
 * The folder exists and is empty; it may be a mount point, which cannot be replaced. It is built in a folder inside,
 * whose entries then move up, `deployment.json` last: only with that file does the folder count as created.
 */
async function createInside(directory: string, fill: FillDirectory): Promise<boolean> {
  chmodSync(directory, directoryMode);
  const built = await build(join(directory, insidePrefix), fill);
  const last = basename(dataPaths(built).deployment);
  const others = readdirSync(built).filter((name) => name !== last);
  for (const name of [...others, last]) renameSync(join(built, name), join(directory, name));
  rmdirSync(built);
  syncDirectory(directory);
  return true;
}

function isEmptyDirectory(path: string): boolean {
  return readdirSync(path).length === 0;
}

/**
 * Whether all that is in the folder is a creation that a crash interrupted before any server could use it. Anything
 * that looks otherwise is left alone.
 */
function isInterruptedCreation(directory: string): boolean {
  const paths = dataPaths(directory);
  const created = [
    paths.certificates,
    paths.durableObjects,
    paths.issuers,
    paths.keys,
    paths.keySet,
    paths.ownerToken,
    paths.tokenKeys,
  ];
  const known = new Set(created.map((path) => basename(path)));
  const names = readdirSync(directory);
  return (
    names.some((name) => name.startsWith(insidePrefix)) &&
    names.every((name) => name.startsWith(insidePrefix) || known.has(name)) &&
    (!names.includes(basename(paths.durableObjects)) || isEmptyDirectory(paths.durableObjects))
  );
}

/** Brings the folder into one of two states: complete (by its look), or to be created. */
function placeIsFree(directory: string): 'absent' | 'empty' | 'taken' {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return 'absent';
  if (!stat.isDirectory()) {
    throw new EdgeServerError(
      'data_directory_unusable',
      `${directory} is not a folder. Choose another data folder with --data or COUNTERSIGN_DATA.`,
    );
  }
  if (isEmptyDirectory(directory)) return 'empty';
  if (!isInterruptedCreation(directory)) return 'taken';
  if (constructionsIn(directory, insidePrefix).some(({ builderAlive }) => builderAlive)) {
    throw new EdgeServerError(
      'data_directory_in_use',
      `Another process is creating the data folder ${directory} right now. Try again in a moment.`,
    );
  }
  for (const name of readdirSync(directory)) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
  return 'empty';
}

/**
 * Makes a data folder where there is nothing yet. A crash half-way leaves nothing that a later start takes for one.
 *
 * @param directory absolute
 * @returns whether it was made by this call
 */
export async function buildDataDirectory(directory: string, fill: FillDirectory): Promise<boolean> {
  try {
    const place = placeIsFree(directory);
    if (place === 'taken') return false;
    return await (place === 'absent' ? createBeside : createInside)(directory, fill);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    throw new EdgeServerError(
      'data_directory_unusable',
      `The data folder ${directory} cannot be created (${errorText(error)}). Choose another place with --data or COUNTERSIGN_DATA.`,
      { cause: error },
    );
  }
}

/**
 * Creates the data folder, with new keys, unless there is one. Another process that was faster made one that is as good.
 *
 * @param directory absolute
 * @returns whether it was created by this call
 */
export function createDataDirectory(
  directory: string,
  settings: CreationSettings,
  nowMs: number,
): Promise<boolean> {
  return buildDataDirectory(directory, (path) => fillDataDirectory(path, settings, nowMs));
}
