import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as z from 'zod/mini';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import type { OrphanGuard } from './orphan-guard.ts';
import { readLines } from './output-lines.ts';

export type WorkerdExit = { readonly code: number | null; readonly signal: string | null };

/** One run of workerd. */
export type WorkerdProcess = {
  readonly pid: number;
  readonly exited: Promise<WorkerdExit>;
  /** Newest lines that it wrote, for the report of a failed start. */
  readonly lastLines: () => readonly string[];
  /** SIGTERM, and SIGKILL after the grace period. Resolves when the process is gone. */
  readonly stop: (graceMs: number) => Promise<void>;
  /** SIGKILL, which also ends one that does not run its own code any more. */
  readonly kill: () => void;
};

const keptLines = 20;

const workerdPackage = z.object({ default: z.string() });

/** The pinned workerd for this machine: the program itself, not the script of the same name that starts it. */
function workerdBinary(): string {
  try {
    const path = z.parse(workerdPackage, createRequire(import.meta.url)('workerd')).default;
    if (existsSync(path)) return path;
    throw new Error(`there is nothing at ${path}`);
  } catch (error) {
    throw new EdgeServerError(
      'workerd_unavailable',
      `There is no workerd for ${process.platform} ${process.arch} in this installation. Install the dependencies again on this machine.`,
      { cause: error },
    );
  }
}

/**
 * Starts `workerd serve` on a configuration. It gets an empty environment, no standard input, and a session of its own,
 * so that signals of a terminal reach only this process, which then ends it in order.
 */
export async function startWorkerd(options: {
  readonly configurationPath: string;
  readonly socket: string;
  readonly guard: OrphanGuard;
  readonly onLine: (line: string) => void;
}): Promise<WorkerdProcess> {
  rmSync(options.socket, { force: true });
  const child: ChildProcess = spawn(
    workerdBinary(),
    ['serve', options.configurationPath, 'config'],
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: {}, cwd: '/' },
  );
  options.guard.watch(child.pid);
  const { promise: exited, resolve } = Promise.withResolvers<WorkerdExit>();
  child.once('exit', (code, signal) => {
    options.guard.watch(undefined);
    resolve({ code, signal });
  });
  const lastLines: string[] = [];
  const onLine = (line: string) => {
    lastLines.push(line);
    if (lastLines.length > keptLines) lastLines.shift();
    options.onLine(line);
  };
  if (child.stdout !== null) readLines(child.stdout, onLine);
  if (child.stderr !== null) readLines(child.stderr, onLine);

  await new Promise<void>((started, failed) => {
    child.once('spawn', started);
    child.once('error', (error) => {
      failed(
        new EdgeServerError(
          'workerd_unavailable',
          `workerd could not be started (${errorText(error)}).`,
          { cause: error },
        ),
      );
    });
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('a started process has a number');
  return {
    pid,
    exited,
    lastLines: () => lastLines,
    async stop(graceMs) {
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(deadline);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
