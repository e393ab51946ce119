import { type Issuers, readIssuers } from '../data-directory/issuers.ts';
import type { DataPaths } from '../data-directory/layout.ts';
import { errorText } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { sweepIssuerFiles } from './issuer-files.ts';

export type IssuerWatchOptions = {
  readonly paths: DataPaths;
  /** Those that the broker was started with. */
  readonly served: Issuers;
  /** Has the broker, and whoever else trusts them here, run with the issuers of the folder as they are now. */
  readonly serve: () => Promise<void>;
  readonly log: Log;
  /** Milliseconds by a clock that nobody sets. */
  readonly monotonicNow: () => number;
};

const retryMs = 60_000;

/** Notices that an issuer has come or gone in the data folder, and serves that while the server runs. */
export class IssuerWatch {
  readonly #options: IssuerWatchOptions;
  #served: Issuers;
  #isSwept = false;
  /** After a failure nothing is tried until then. */
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(options: IssuerWatchOptions) {
    this.#options = options;
    this.#served = options.served;
  }

  /** Does what is due now. Never throws; not to be called again before it has come to its end. */
  async tick(): Promise<void> {
    const { paths, log, monotonicNow } = this.#options;
    if (monotonicNow() < this.#retryAt) return;
    try {
      const issuers = readIssuers(paths);
      if (issuers.active.join() !== this.#served.active.join()) await this.#serve(issuers);
      // Only now: until here a workerd that is started again might have read them.
      if (!this.#isSwept) sweepIssuerFiles(paths, issuers);
      this.#isSwept = true;
    } catch (error) {
      this.#retryAt = monotonicNow() + retryMs;
      log.write('error', 'issuers_not_served', errorText(error), { retry_ms: retryMs });
    }
  }

  async #serve(issuers: Issuers): Promise<void> {
    const { serve, log } = this.#options;
    await serve();
    this.#served = issuers;
    this.#isSwept = false;
    const names = issuers.active.join(' and ');
    log.write('info', 'issuers_changed', `certificates of ${names} are trusted from now on`, {
      issuers: issuers.active.join(' '),
    });
  }
}
