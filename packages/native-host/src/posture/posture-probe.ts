import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export type ProgramResult = {
  readonly exitCode: number;
  readonly output: string;
  /** What it wrote to standard error: some programs of macOS answer there. */
  readonly errors: string;
};

/** How the machine is looked at. Nothing throws: what cannot be had is `undefined`. Tests answer for other machines. */
export type PostureProbe = {
  readonly platform: NodeJS.Platform;
  /** Of the person whose host this is. */
  readonly homeDirectory: string;
  readonly userId: number;
  readonly readText: (path: string) => string | undefined;
  readonly listFolder: (path: string) => readonly string[] | undefined;
  /** Without links. */
  readonly realPath: (path: string) => string | undefined;
  /** @returns `undefined` when it is not there, takes too long or says too much */
  readonly run: (
    path: string,
    programArguments: readonly string[],
  ) => Promise<ProgramResult | undefined>;
};

/** Browsers end a host about two seconds after they close its port. */
const programTimeoutMs = 1_500;
const maxOutputBytes = 64 * 1024;

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    // Not there, not for this person to read, or nothing that this system has: each time it is not known.
    return undefined;
  }
}

/** @param root stands in for `/` in what is read; programs are those of this machine all the same */
export function machineProbe(root = '/'): PostureProbe {
  const at = (path: string) => (root === '/' ? path : join(root, path));
  const userId = process.getuid?.() ?? 0;
  const homeDirectory = homedir();
  return {
    platform: process.platform,
    homeDirectory,
    userId,
    readText: (path) => attempt(() => readFileSync(at(path), 'utf8')),
    listFolder: (path) => attempt(() => readdirSync(at(path))),
    realPath: (path) => {
      const real = attempt(() => realpathSync(at(path)));
      return root === '/' ? real : real?.slice(root.length);
    },
    async run(path, programArguments) {
      // Not imported above: in a bundle that would load it for every sign-in.
      const { execFile } = await import('node:child_process');
      // Nothing of this process's environment. Where a desktop keeps its settings follows from these two.
      const env = {
        LC_ALL: 'C',
        HOME: homeDirectory,
        XDG_RUNTIME_DIR: `/run/user/${userId}`,
      };
      return new Promise((resolve) => {
        execFile(
          path,
          programArguments,
          {
            env,
            timeout: programTimeoutMs,
            killSignal: 'SIGKILL',
            maxBuffer: maxOutputBytes,
            windowsHide: true,
          },
          (error, output, errors) => {
            const exitCode = error === null ? 0 : error.code;
            resolve(typeof exitCode === 'number' ? { exitCode, output, errors } : undefined);
          },
        );
      });
    },
  };
}

/** All must be so; one that is known not to be settles it. */
export function all(verdicts: ReadonlyArray<boolean | undefined>): boolean | undefined {
  if (verdicts.includes(false)) return false;
  return verdicts.length === 0 || verdicts.includes(undefined) ? undefined : true;
}
