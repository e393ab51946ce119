import { isAbsolute } from 'node:path';
import { writePublicFile } from './public-file.ts';

export type LauncherInput = {
  /** The Node executable. */
  readonly nodePath: string;
  /** The host's program: the bundle, or `src/main.ts`. */
  readonly programPath: string;
  readonly configurationPath: string;
};

/**
 * The program that a host manifest names: a POSIX shell script, because a manifest can hold neither arguments nor an
 * environment. It starts Node with an environment of its own, so that nothing around the browser (NODE_OPTIONS, PATH,
 * LD_PRELOAD) reaches the process that uses the key. HOME says where the person's state folder is. The heap's young part
 * begins with 16 MB, so that nothing is collected before the answer.
 */
export function renderLauncher(input: LauncherInput): string {
  const [node, program, configuration] = [
    input.nodePath,
    input.programPath,
    input.configurationPath,
  ].map(quoteAbsolutePath);
  return [
    '#!/bin/sh',
    '# Starts the Countersign native messaging host. Made by its installation; changes here are lost.',
    `exec /usr/bin/env -i \${HOME:+"HOME=$HOME"} PATH=/usr/bin:/bin ${node} --min-semi-space-size=16 ${program} --config ${configuration} native-messaging "$@"`,
    '',
  ].join('\n');
}

/** Writes the launcher, mode 0755, in place of an older one. */
export function writeLauncher(launcherPath: string, input: LauncherInput): void {
  writePublicFile(launcherPath, renderLauncher(input), 0o755);
}

/** One word for the shell, whatever is in it: inside single quotes only the single quote itself is special. */
function quoteAbsolutePath(path: string): string {
  if (!isAbsolute(path)) throw new TypeError(`not an absolute path: ${path}`);
  if (path.includes('\0')) throw new TypeError('a path cannot hold a NUL');
  return `'${path.replaceAll("'", "'\\''")}'`;
}
