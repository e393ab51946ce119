import { replaceFile } from './data-directory/durable-files.ts';
import { errorText } from './edge-server-error.ts';
import type { Front } from './front/start-front.ts';
import type { Log } from './logs.ts';
import type { WorkerdSupervisor } from './workerd/workerd-supervisor.ts';

export type Reload = {
  /**
   * Has the broker run with this configuration from now on, unless it does already. Requests that come meanwhile wait;
   * none is refused while it takes no longer than it should. One reload at a time: a second one waits for the first.
   *
   * @returns whether it was another configuration
   * @throws when workerd does not start with it: then it runs with the one before, as far as that can be
   */
  readonly to: (configurationText: string) => Promise<boolean>;
};

/**
 * Only one workerd may have the databases open, so new settings need the old one's end before the new one's start: some
 * tenths of a second, for which the front holds requests back.
 *
 * @param running the configuration that workerd was started with, whose text is in the file
 */
export function createReload(options: {
  readonly front: Pick<Front, 'hold' | 'release'>;
  readonly supervisor: Pick<WorkerdSupervisor, 'restart'>;
  readonly configurationPath: string;
  readonly running: string;
  readonly log: Log;
}): Reload {
  const { front, supervisor, configurationPath, log } = options;
  let { running } = options;
  let last: Promise<unknown> = Promise.resolve();

  /** Back to what ran before. How that goes is told in the log: what is thrown is why it was needed. */
  const goBack = async () => {
    try {
      replaceFile(configurationPath, running);
      await supervisor.restart();
    } catch (error) {
      log.write('error', 'reload_not_undone', errorText(error));
    }
  };

  const replace = async (text: string): Promise<boolean> => {
    if (text === running) return false;
    const begunAt = performance.now();
    try {
      if (!(await front.hold())) {
        log.write('warning', 'reload_cuts_off', 'requests took too long and are cut off');
      }
      replaceFile(configurationPath, text);
      try {
        await supervisor.restart();
      } catch (error) {
        await goBack();
        throw error;
      }
      running = text;
    } finally {
      front.release();
    }
    const ms = Math.round(performance.now() - begunAt);
    log.write('info', 'reloaded', `the broker runs with other settings (after ${ms} ms)`, { ms });
    return true;
  };

  return {
    to(text) {
      const turn = last.then(() => replace(text));
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}
