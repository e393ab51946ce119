import { checkpointSet, type LogEvent, logPage } from '@countersign/protocol/system-log';
import { errorText } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { askBroker, type BrokerAccess } from '../state/ask-broker.ts';
import { sendToSyslog } from './send-to-syslog.ts';
import { readSyslogCursor, type SyslogCursor, writeSyslogCursor } from './syslog-cursor.ts';
import { checkpointMessages, eventMessage } from './syslog-message.ts';
import type { SyslogReceiver } from './syslog-options.ts';

export type ShippingOptions = {
  readonly receiver: SyslogReceiver;
  readonly access: BrokerAccess;
  readonly cursorPath: string;
  /** Host name of the broker's URL: who the messages are from. */
  readonly hostname: string;
  readonly log: Log;
  readonly pollMs?: number;
  readonly checkpointEveryMs?: number;
};

const defaultPollMs = 2_000;
const defaultCheckpointEveryMs = 10 * 60_000;
const longestRetryMs = 5 * 60_000;
const pageSize = 500;
/** Where a cursor means nothing any more, so much of what was sent already is sent again. */
const overlapMs = 86_400_000;

function pathOf({ cursor, newest_published }: SyslogCursor): string {
  const query = new URLSearchParams({ limit: String(pageSize) });
  if (cursor !== undefined) query.set('after', cursor);
  else if (newest_published !== undefined) {
    query.set('since', new Date(Date.parse(newest_published) - overlapMs).toISOString());
  }
  return `/v1/admin/log?${query}`;
}

const newestOf = (events: readonly LogEvent[], before: string | undefined) =>
  [before ?? '', ...events.map(({ published }) => published)].toSorted().at(-1) ?? '';

/** Brings the system log to a syslog receiver, each event at least once. */
export class LogShipping {
  readonly #options: ShippingOptions;
  readonly #name: string;
  #cursor: SyslogCursor;
  #checkpointAtMs = Number.NEGATIVE_INFINITY;
  /** Something was sent that no checkpoint covers yet. */
  #isUncovered = true;

  constructor(options: ShippingOptions) {
    this.#options = options;
    this.#name = `${options.receiver.host}:${options.receiver.port}`;
    this.#cursor = readSyslogCursor(options.cursorPath, this.#name);
  }

  /**
   * Sends one page, and a checkpoint when one is due.
   *
   * @param nowMs of a clock that nobody sets
   * @returns whether there is more to send
   */
  async ship(signal: AbortSignal, nowMs = performance.now()): Promise<boolean> {
    const { receiver, hostname, cursorPath } = this.#options;
    const access = { ...this.#options.access, signal };
    const { events, next, more } = await this.#readPage(access);
    const messages = events.map((event) => eventMessage(event, hostname));
    const hasNew = events.length > 0;
    const isDue = !more && (hasNew || this.#isUncovered) && this.#isCheckpointDue(nowMs);
    const checkpoints = isDue ? await this.#readCheckpoints(access) : [];
    if (messages.length + checkpoints.length > 0) {
      await sendToSyslog(receiver, [...messages, ...checkpoints], { signal });
    }
    if (checkpoints.length > 0) {
      this.#checkpointAtMs = nowMs;
      this.#isUncovered = false;
    } else if (hasNew) this.#isUncovered = true;
    if (next !== this.#cursor.cursor) {
      const newest = newestOf(events, this.#cursor.newest_published);
      this.#cursor = { cursor: next, ...(newest === '' ? {} : { newest_published: newest }) };
      writeSyslogCursor(cursorPath, this.#name, this.#cursor);
    }
    return more;
  }

  async #readPage(access: BrokerAccess) {
    try {
      return await askBroker(access, logPage, pathOf(this.#cursor));
    } catch (error) {
      if (this.#cursor.cursor === undefined || !errorText(error).includes('log_cursor_unknown')) {
        throw error;
      }
      const { cursor: _, ...since } = this.#cursor;
      this.#cursor = since;
      return await askBroker(access, logPage, pathOf(since));
    }
  }

  #isCheckpointDue(nowMs: number): boolean {
    const { checkpointEveryMs = defaultCheckpointEveryMs } = this.#options;
    return nowMs - this.#checkpointAtMs >= checkpointEveryMs;
  }

  async #readCheckpoints(access: BrokerAccess): Promise<string[]> {
    const set = await askBroker(access, checkpointSet, '/v1/admin/checkpoints');
    return checkpointMessages(set, this.#options.hostname, Date.now());
  }
}

/** Ships until it is ended, ever less often while that fails. @returns ends it */
export function shipLog(options: ShippingOptions): () => Promise<void> {
  const { log, pollMs = defaultPollMs, receiver } = options;
  const shipping = new LogShipping(options);
  const ending = new AbortController();
  const { signal } = ending;
  let failures = 0;

  const round = async (): Promise<number> => {
    try {
      const more = await shipping.ship(signal);
      if (failures > 0) {
        log.write('info', 'syslog_recovered', `the syslog receiver ${receiver.host} takes the log`);
      }
      failures = 0;
      return more ? 0 : pollMs;
    } catch (error) {
      failures += 1;
      const retryMs = Math.min(pollMs * 2 ** Math.min(failures - 1, 16), longestRetryMs);
      // One failure in a row is told, and then each that comes after a longest wait.
      if (!signal.aborted && (failures === 1 || retryMs === longestRetryMs)) {
        log.write('error', 'syslog_failed', errorText(error), { attempts: failures });
      }
      return retryMs;
    }
  };

  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  const run = async (): Promise<void> => {
    while (!signal.aborted) await wait(await round());
  };
  const running = run();
  return async () => {
    ending.abort();
    await running;
  };
}
