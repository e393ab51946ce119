import { type MdmFailure, type MdmResult, mdmFailure } from './mdm-request.ts';

/**
 * The way to one device management: a few requests at a time, others wait their turn, and none is sent while the
 * management asked for a pause or does not answer. So a storm of enrollments neither floods it nor waits for ever.
 */

export type MdmQueueLimits = {
  readonly concurrent: number;
  readonly waiting: number;
  readonly waitMs: number;
};

export const defaultQueueLimits: MdmQueueLimits = { concurrent: 4, waiting: 500, waitMs: 20_000 };

const firstPauseMs = 1_000;
const longestPauseMs = 300_000;
/** One lost request is no outage. */
const failuresBeforePause = 3;

const outages: ReadonlySet<MdmFailure['reason']> = new Set([
  'unreachable',
  'timed_out',
  'server_failed',
]);

export class MdmQueue {
  readonly #now: () => number;
  readonly #limits: MdmQueueLimits;
  readonly #waiting: Array<(failure: MdmFailure | undefined) => void> = [];
  #active = 0;
  #failures = 0;
  #pausedUntilMs = 0;
  #cause: Pick<MdmFailure, 'reason' | 'detail'> = { reason: 'unreachable', detail: '' };

  constructor(now: () => number, limits: MdmQueueLimits = defaultQueueLimits) {
    this.#now = now;
    this.#limits = limits;
  }

  /** Until when nothing is asked; not later than now when there is no pause. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs;
  }

  async run<Value>(ask: () => Promise<MdmResult<Value>>): Promise<MdmResult<Value>> {
    const refused = await this.#turn();
    if (refused !== undefined) return refused;
    try {
      const answer = await ask();
      this.#learn(answer);
      return answer;
    } finally {
      this.#active--;
      this.#admitNext();
    }
  }

  /** Resolves when it is this request's turn, or with why it is never. */
  async #turn(): Promise<MdmFailure | undefined> {
    const paused = this.#pause();
    if (paused !== undefined) return paused;
    if (this.#active < this.#limits.concurrent) {
      this.#active++;
      return undefined;
    }
    if (this.#waiting.length >= this.#limits.waiting) return this.#full();
    return await new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1);
        resolve(this.#full());
      }, this.#limits.waitMs);
      const admit = (failure: MdmFailure | undefined) => {
        clearTimeout(timer);
        resolve(failure);
      };
      this.#waiting.push(admit);
    });
  }

  #admitNext(): void {
    const paused = this.#pause();
    if (paused !== undefined) {
      for (const refuse of this.#waiting.splice(0)) refuse(paused);
      return;
    }
    if (this.#active >= this.#limits.concurrent) return;
    const admit = this.#waiting.shift();
    if (admit === undefined) return;
    this.#active++;
    admit(undefined);
  }

  #pause(): MdmFailure | undefined {
    const leftMs = this.#pausedUntilMs - this.#now();
    if (leftMs <= 0) return undefined;
    const { reason, detail } = this.#cause;
    return mdmFailure(reason, `not asked: ${detail}`, Math.ceil(leftMs / 1000));
  }

  #full(): MdmFailure {
    const detail = 'too many requests wait for the device management already';
    // Not the same for all: they would come back together.
    return mdmFailure('rate_limited', detail, 10 + Math.floor(Math.random() * 20));
  }

  #learn(answer: MdmResult<unknown>): void {
    if (answer.ok || !(answer.reason === 'rate_limited' || outages.has(answer.reason))) {
      this.#failures = 0;
      return;
    }
    this.#failures++;
    const isAsked = answer.reason === 'rate_limited' || answer.retryAfterSeconds !== undefined;
    if (!isAsked && this.#failures < failuresBeforePause) return;
    const grown = firstPauseMs * 2 ** Math.min(this.#failures - 1, 16);
    const pauseMs = (answer.retryAfterSeconds ?? 0) * 1000 || grown;
    this.#cause = answer;
    this.#pausedUntilMs = Math.max(
      this.#pausedUntilMs,
      this.#now() + Math.min(pauseMs, longestPauseMs),
    );
  }
}
