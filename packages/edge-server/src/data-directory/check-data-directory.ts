import { existsSync, lstatSync, type Stats, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { EdgeServerError } from '../edge-server-error.ts';
import { readTokenKeys, tokenKeyFiles } from '../rotation/token-key-files.ts';
import { readIssuers } from './issuers.ts';
import {
  dataPaths,
  issuerFiles,
  requiredDirectories,
  requiredFiles,
  rootKeyFile,
} from './layout.ts';

const onWindows = process.platform === 'win32';

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** `undefined` for what is no folder, or cannot be looked at: whoever makes or opens one there says why. */
function ownerOf(directory: string): number | undefined {
  try {
    const stat = statSync(directory);
    return stat.isDirectory() ? stat.uid : undefined;
  } catch {
    return undefined;
  }
}

/** A path as an argument of a shell command. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/**
 * A folder of another user is opened and filled by nobody else, least of all by root: files of root in it would keep its
 * server from starting. One that does not exist yet belongs to nobody.
 *
 * @throws EdgeServerError `data_directory_permissions`
 */
export function checkDataDirectoryOwner(directory: string): void {
  const user = onWindows ? undefined : process.getuid?.();
  const owner = ownerOf(directory);
  if (user === undefined || owner === undefined || owner === user) return;
  throw new EdgeServerError(
    'data_directory_permissions',
    `The data folder ${directory} belongs to user ${owner}, and this runs as user ${user}. Run it as that user (sudo -u '#${owner}' …). Only if user ${user} is to run the server from now on: chown -R ${user} ${quoted(directory)}`,
  );
}

/**
 * Checks that an existing data folder is complete and closed to others, and names every problem at once with the
 * command that solves it. Changes nothing: who could read a key before the repair could have copied it, which the
 * administrator must know.
 *
 * @throws EdgeServerError `data_directory_incomplete`, `data_directory_permissions`, or `data_directory_unusable` when
 *   it cannot be told which token keys or issuers there should be
 */
export function checkDataDirectory(directory: string): void {
  const found = findProblems(directory, requiredDirectories, requiredFiles);
  // Which others there should be is said by some of these.
  if (found.missing.length > 0) throw incomplete(directory, found.missing);
  const paths = dataPaths(directory);
  const tokenKeys = tokenKeyFiles(paths, readTokenKeys(paths));
  const hasRootKey = existsSync(paths.privateKey('root'));
  const others = findProblems(
    directory,
    [],
    [
      ...tokenKeys.map((path) => relative(directory, path)),
      ...issuerFiles(readIssuers(paths)),
      ...(hasRootKey ? [rootKeyFile] : []),
    ],
  );
  if (others.missing.length > 0) throw incomplete(directory, others.missing);
  const open = [...found.open, ...others.open];
  if (open.length === 0) return;
  throw new EdgeServerError(
    'data_directory_permissions',
    [
      `The data folder ${directory} holds private keys and must be closed to others:`,
      ...open.map((problem) => `  ${problem}`),
    ].join('\n'),
  );
}

function incomplete(directory: string, missing: readonly string[]): EdgeServerError {
  return new EdgeServerError(
    'data_directory_incomplete',
    [
      `The data folder ${directory} is not complete:`,
      ...missing.map((problem) => `  ${problem}`),
      'Restore it from a backup as a whole, or import an export into a new folder (countersign-server import). Only for a new, empty deployment: remove the folder; the next start makes a new one.',
    ].join('\n'),
  );
}

type Problems = { readonly missing: readonly string[]; readonly open: readonly string[] };

function findProblems(
  directory: string,
  directories: readonly string[],
  files: readonly string[],
): Problems {
  const missing: string[] = [];
  const open: string[] = [];
  const user = onWindows ? undefined : process.getuid?.();

  const check = (relative: string, isRightKind: (stat: Stats) => boolean, kind: string) => {
    const path = join(directory, relative);
    const stat = statOf(path);
    if (stat === undefined) {
      missing.push(`${path} is missing`);
      return;
    }
    if (!isRightKind(stat)) {
      missing.push(`${path} is not ${kind}`);
      return;
    }
    if (onWindows) return;
    if (user !== undefined && stat.uid !== user) {
      open.push(
        `${path} belongs to user ${stat.uid}, not to ${user}: chown ${user} ${quoted(path)}`,
      );
    }
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(3, '0');
      open.push(`${path} has mode ${mode}, open to others: chmod go= ${quoted(path)}`);
    }
  };

  for (const name of directories) check(name, (stat) => stat.isDirectory(), 'a folder');
  for (const name of files) check(name, (stat) => stat.isFile(), 'a regular file');
  return { missing, open };
}
