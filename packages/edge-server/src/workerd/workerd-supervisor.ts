import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { startOrphanGuard } from './orphan-guard.ts';
import { type LivenessTiming, watchLiveness } from './watch-liveness.ts';
import { askHealth } from './worker-health.ts';
import { startWorkerd, type WorkerdProcess } from './workerd-process.ts';

export type SupervisorOptions = {
  readonly configurationPath: string;
  readonly socket: string;
  readonly log: Log;
  /**
   * Called at every start with the new process, and with `undefined` when it has ended. If it throws at a start, that
   * start has failed.
   */
  readonly onProcess: (pid: number | undefined) => void;
  readonly liveness?: LivenessTiming;
};

export type WorkerdSupervisor = {
  /** `undefined` while there is no process. */
  readonly pid: () => number | undefined;
  /** Whether requests can be passed on. */
  readonly isReady: () => boolean;
  /**
   * Ends the process there is and starts another one, which reads the configuration anew. Requests are the caller's to
   * hold back meanwhile.
   *
   * @throws EdgeServerError when that start fails; it is then tried again and again, as after any other end
   */
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

const startTimeoutMs = 20_000;
const stopGraceMs = 1_000;
const firstRetryMs = 20;
const longestRetryMs = 5_000;
/** A run this long counts as a success: the next failure is retried at once again. */
const steadyRunMs = 10_000;
const beingStopped = 'the server is being stopped';

/** Exact at first, when workerd is expected within some 40 ms, then slower. */
function pauseBeforeAsking(elapsedMs: number): number {
  return elapsedMs < 200 ? 3 : 50;
}

async function waitUntilHealthy(workerd: WorkerdProcess, socket: string): Promise<void> {
  const startedAt = performance.now();
  let ended: string | undefined;
  void workerd.exited.then(({ code, signal }) => {
    ended = `workerd ended (${signal ?? `code ${code}`})`;
  });
  let detail = '';
  while (performance.now() - startedAt < startTimeoutMs) {
    if (ended !== undefined) {
      // Its last words arrive through a pipe that is read after its end.
      await sleep(20);
      throw new EdgeServerError(
        'worker_not_healthy',
        [`${ended} before it served anything:`, ...workerd.lastLines()].join('\n  '),
      );
    }
    const health = await askHealth(socket);
    if (health.state === 'healthy') return;
    if (health.state === 'refused') {
      const failure =
        health.code === 'deployment_mismatch' ? 'deployment_mismatch' : 'worker_not_healthy';
      throw new EdgeServerError(
        failure,
        `The broker refuses to serve: ${health.code}: ${health.detail}`,
      );
    }
    detail = health.detail;
    await sleep(pauseBeforeAsking(performance.now() - startedAt));
  }
  throw new EdgeServerError(
    'worker_not_healthy',
    `The broker was not ready after ${startTimeoutMs / 1000} seconds (${detail}).`,
  );
}

/**
 * Keeps one workerd running: the first start must succeed, later ones are retried for ever with growing pauses. One that
 * does not answer any more is killed, and then started again like one that has ended by itself.
 *
 * @throws EdgeServerError when the first start fails; nothing is left running then
 */
export async function superviseWorkerd(options: SupervisorOptions): Promise<WorkerdSupervisor> {
  const { log, socket, configurationPath } = options;
  const guard = startOrphanGuard(socket);
  const stopping = new AbortController();
  let current: WorkerdProcess | undefined;
  let ready = false;
  let endWatch: () => void = () => undefined;
  /** A restart that was asked for and has not begun. */
  let planned: PromiseWithResolvers<void> | undefined;
  let pause = new AbortController();
  let retryMs = firstRetryMs;

  const killHung = (workerd: WorkerdProcess) => {
    ready = false;
    workerd.kill();
    const { pid } = workerd;
    log.write('error', 'workerd_hung', `workerd (process ${pid}) does not answer; killing it`, {
      pid,
    });
  };

  const startOnce = async (): Promise<WorkerdProcess> => {
    const workerd = await startWorkerd({
      configurationPath,
      socket,
      guard,
      onLine: log.passThrough,
    });
    current = workerd;
    void workerd.exited.then(() => {
      ready = false;
      endWatch();
      current = undefined;
      try {
        options.onProcess(undefined);
      } catch (error) {
        log.write('error', 'workerd_end_not_recorded', errorText(error));
      }
    });
    if (stopping.signal.aborted) await workerd.stop(stopGraceMs);
    try {
      options.onProcess(workerd.pid);
      await waitUntilHealthy(workerd, socket);
    } catch (error) {
      await workerd.stop(stopGraceMs);
      throw error;
    }
    // It may have ended again while its answer was read.
    if (current === workerd && !stopping.signal.aborted) {
      ready = true;
      endWatch = watchLiveness(socket, () => killHung(workerd), options.liveness);
    }
    return workerd;
  };

  /** Waits for the end of a run, and brings it about when a restart is due. */
  const endOf = async (running: WorkerdProcess, since: number) => {
    if (planned === undefined) {
      const { code, signal } = await running.exited;
      if (planned === undefined && !stopping.signal.aborted) {
        const how = signal ?? `code ${code ?? 'unknown'}`;
        if (performance.now() - since >= steadyRunMs) retryMs = firstRetryMs;
        log.write(
          'error',
          'workerd_ended',
          `workerd ended unexpectedly (${how}); starting it again`,
          { how, retry_ms: retryMs },
        );
      }
    } else await running.stop(stopGraceMs);
  };

  const startPlanned = async (restart: PromiseWithResolvers<void>) => {
    retryMs = firstRetryMs;
    try {
      const running = await startOnce();
      restart.resolve();
      return running;
    } catch (error) {
      restart.reject(error);
      return undefined;
    }
  };

  const startAgain = async () => {
    pause = new AbortController();
    const signal = AbortSignal.any([stopping.signal, pause.signal]);
    await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return undefined;
    retryMs = Math.min(retryMs * 2, longestRetryMs);
    const running = await startOnce().catch((error: unknown) => {
      if (planned === undefined) {
        log.write('error', 'workerd_start_failed', errorText(error), { retry_ms: retryMs });
      }
      return undefined;
    });
    if (running !== undefined) {
      const { pid } = running;
      log.write('info', 'workerd_started', `workerd runs again (process ${pid})`, { pid });
    }
    return running;
  };

  const keepRunning = async (first: WorkerdProcess): Promise<void> => {
    let running: WorkerdProcess | undefined = first;
    let since = performance.now();
    while (!stopping.signal.aborted) {
      if (running !== undefined) await endOf(running, since);
      if (stopping.signal.aborted) break;
      const restart = planned;
      planned = undefined;
      since = performance.now();
      running = await (restart === undefined ? startAgain() : startPlanned(restart));
    }
    planned?.reject(new Error(beingStopped));
  };

  let supervision: Promise<void>;
  try {
    supervision = keepRunning(await startOnce());
  } catch (error) {
    guard.stop();
    throw error;
  }
  return {
    pid: () => current?.pid,
    isReady: () => ready,
    async restart() {
      if (stopping.signal.aborted) throw new Error(beingStopped);
      planned ??= Promise.withResolvers<void>();
      const { promise } = planned;
      ready = false;
      endWatch();
      // Whichever of these the supervision is waiting for.
      pause.abort();
      void current?.stop(stopGraceMs);
      await promise;
    },
    async stop() {
      stopping.abort();
      ready = false;
      endWatch();
      await current?.stop(stopGraceMs);
      await supervision;
      guard.stop();
    },
  };
}
