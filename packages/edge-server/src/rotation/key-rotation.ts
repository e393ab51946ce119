import type { DataPaths } from '../data-directory/layout.ts';
import { errorText } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { beginRotation, publishNewKeys } from './begin-rotation.ts';
import { advance, purposesDue, type RotationTimes } from './rotate-token-keys.ts';
import { readRotationRequest, removeRotationRequest } from './rotation-request.ts';
import { sweepTokenKeys, writeTokenKeys } from './token-key-files.ts';
import { type TokenKeys, tokenKeyPurposes } from './token-keys.ts';

export type KeyRotationOptions = {
  readonly paths: DataPaths;
  /** Those that the broker was started with. */
  readonly keys: TokenKeys;
  readonly times: RotationTimes;
  /** Has the broker run with these keys. Also makes what else has grown old, such as the key set signer's certificate. */
  readonly serve: (keys: TokenKeys) => Promise<void>;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds by a clock that nobody sets. */
  readonly monotonicNow: () => number;
};

const dayMs = 86_400_000;
const retryMs = 60_000;

/**
 * Begins and carries out rotations while the server runs: by age, and when somebody asks. What is wanted is written to
 * the data folder first, and then served; where that fails, or the server ends, it goes on from there.
 */
export class KeyRotation {
  readonly #options: KeyRotationOptions;
  #wanted: TokenKeys;
  /** By the monotonic clock: since when exactly the wanted keys are served. */
  #servedSince: number | undefined;
  #nextServeAt: number;
  /** After a failure nothing is tried until then. */
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(options: KeyRotationOptions) {
    this.#options = options;
    this.#wanted = options.keys;
    const now = options.monotonicNow();
    this.#servedSince = now;
    this.#nextServeAt = now + dayMs;
  }

  get keys(): TokenKeys {
    return this.#wanted;
  }

  /** Does what is due now. Never throws; not to be called again before it has come to its end. */
  async tick(): Promise<void> {
    const { log, monotonicNow } = this.#options;
    if (monotonicNow() < this.#retryAt) return;
    try {
      const changed = this.#takeSteps();
      if (changed) this.#servedSince = undefined;
      const isServed = this.#servedSince !== undefined;
      if (!isServed || monotonicNow() >= this.#nextServeAt) await this.#serve();
    } catch (error) {
      this.#retryAt = monotonicNow() + retryMs;
      log.write('error', 'key_rotation_failed', errorText(error), { retry_ms: retryMs });
    }
  }

  async #serve(): Promise<void> {
    const { paths, serve, monotonicNow } = this.#options;
    await serve(this.#wanted);
    this.#servedSince ??= monotonicNow();
    this.#nextServeAt = monotonicNow() + dayMs;
    // Only now: until here a workerd that is started again might have read them.
    sweepTokenKeys(paths, this.#wanted);
  }

  /** Writes down what is wanted from now on. @returns whether that has changed */
  #takeSteps(): boolean {
    const { paths, times, log, now } = this.#options;
    const request = readRotationRequest(paths.rotationRequest);
    const before = this.#wanted;
    let keys = this.#advance(before);
    if (request === 'malformed') {
      log.write('warning', 'key_rotation_request_malformed', 'ignored a request to rotate keys');
    } else if (request !== undefined) {
      keys = beginRotation(paths, keys, request, times, now());
    }
    const due = purposesDue(keys, now(), times.everyMs);
    keys = publishNewKeys(paths, keys, due, now() + times.publishMs);
    if (keys !== before) {
      writeTokenKeys(paths, keys);
      this.#wanted = keys;
      logChanges(before, keys, log);
    }
    if (request !== undefined) removeRotationRequest(paths.rotationRequest);
    return keys !== before;
  }

  #advance(keys: TokenKeys): TokenKeys {
    const { now, monotonicNow, times } = this.#options;
    if (this.#servedSince === undefined) return keys;
    return advance(keys, now(), monotonicNow() - this.#servedSince, times);
  }
}

function logChanges(before: TokenKeys, after: TokenKeys, log: Log): void {
  for (const purpose of tokenKeyPurposes) {
    const [old, { inUse, next, previous }] = [before[purpose], after[purpose]];
    if (next !== undefined && old.next?.useAtMs !== next.useAtMs) {
      const useAt = new Date(next.useAtMs).toISOString();
      const fields = { purpose, kid: next.kid, use_at: useAt };
      log.write(
        'info',
        'key_published',
        `a new ${purpose} key is published, for use from ${useAt}`,
        fields,
      );
    }
    if (old.inUse.kid !== inUse.kid) {
      const { kid } = inUse;
      log.write('info', 'key_in_use', `a new ${purpose} key is in use`, { purpose, kid });
    }
    if (old.previous !== undefined && previous === undefined) {
      const { kid } = old.previous;
      log.write('info', 'key_retired', `the old ${purpose} key is retired`, { purpose, kid });
    }
  }
}

/** Ticks until it is ended. @returns ends it, and waits for a tick under way */
export function runKeyRotation(rotation: Pick<KeyRotation, 'tick'>, everyMs: number) {
  let ticking: Promise<void> | undefined;
  const timer = setInterval(() => {
    ticking ??= rotation.tick().finally(() => {
      ticking = undefined;
    });
  }, everyMs);
  timer.unref();
  return async (): Promise<void> => {
    clearInterval(timer);
    await ticking;
  };
}
