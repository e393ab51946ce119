import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { systemErrorCode } from './edge-server-error.ts';

/** A process, told from a later one that got the same number by when it started. */
export type ProcessIdentity = {
  readonly pid: number;
  /** In the system's own words; only ever compared. */
  readonly started: string;
};

export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}

function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    // The second field, the program's name, is in parentheses and may hold anything; start time is field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A process that has ended and whose parent has not taken notice yet.
    return fields[0] === 'Z' ? undefined : fields[19];
  }
  return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
}

/** `undefined` when there is no such process. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  try {
    const started = startOf(pid);
    return started === undefined || started === '' ? undefined : { pid, started };
  } catch {
    return undefined;
  }
}

export function isSameProcess(process: ProcessIdentity): boolean {
  return identifyProcess(process.pid)?.started === process.started;
}
