import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fail, type Result, succeed } from '../../result.ts';

const lockExclusively = 2;
const doNotWait = 4;
const longestWaitMs = 10_000;
const betweenAttemptsMs = 10;

/** Ends the lock. */
export type Release = () => void;

/**
 * Waits until no other host process with this state folder uses the token: some modules fail when several processes
 * log in at the same time, two must not make the same key, and a wrong PIN must not be tried by several at once. The
 * lock is flock(2)'s, which goes with the process, however that ends. Windows has none: there nothing is locked.
 */
export async function lockToken(
  stateDirectory: string,
): Promise<Result<Release, 'store_unavailable'>> {
  if (process.platform === 'win32') return succeed(() => undefined);
  const path = join(stateDirectory, 'token.lock');
  const { default: koffi } = await import('koffi');
  const flock = koffi.load(null).func('flock', 'int', ['int', 'int']);
  let file: number;
  try {
    file = openSync(path, 'a', 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return fail('store_unavailable', `${path} cannot be used (${code})`);
  }
  const startedAtMs = performance.now();
  while (flock(file, lockExclusively | doNotWait) !== 0) {
    if (performance.now() - startedAtMs > longestWaitMs) {
      closeSync(file);
      const seconds = longestWaitMs / 1000;
      return fail('store_unavailable', `another process has used the token for ${seconds} s`);
    }
    await wait(betweenAttemptsMs);
  }
  return succeed(() => closeSync(file));
}
