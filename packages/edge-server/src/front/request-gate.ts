import type { ServerResponse } from 'node:http';

/** How many requests may wait while workerd is being replaced, and for how long. */
export type HoldLimits = {
  readonly maxRequests: number;
  /** For the requests under way to end. Whatever takes longer breaks when workerd ends. */
  readonly drainMs: number;
  /** From the beginning of the hold; then those that wait, and all that come, are refused until it ends. */
  readonly heldMs: number;
};

const defaultLimits: HoldLimits = { maxRequests: 1_024, drainMs: 5_000, heldMs: 10_000 };

type Waiting = (mayPass: boolean) => void;

/**
 * Where requests pass to workerd one by one, and where they are held back while it is replaced by another, so that
 * nobody notices. Their bodies have been read before and count toward the room for bodies all the while.
 */
export class RequestGate {
  readonly #limits: HoldLimits;
  #underWay = 0;
  #holding = false;
  #overdue = false;
  #deadline: NodeJS.Timeout | undefined;
  /** Oldest first. */
  readonly #waiting = new Set<Waiting>();
  #whenIdle: (() => void) | undefined;

  constructor(limits: Partial<HoldLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  get isHolding(): boolean {
    return this.#holding;
  }

  /** One more is with workerd. @returns to be called when it has been answered or given up; again does nothing */
  enter(): () => void {
    this.#underWay += 1;
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#whenIdle?.();
    };
  }

  /**
   * Waits for the end of the hold.
   *
   * @returns false when too many wait already, when it takes too long, or when the client has gone
   */
  wait(response: ServerResponse): Promise<boolean> {
    if (this.#overdue || this.#waiting.size >= this.#limits.maxRequests) {
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      const settle: Waiting = (mayPass) => {
        this.#waiting.delete(settle);
        response.off('close', giveUp);
        resolve(mayPass);
      };
      const giveUp = () => settle(false);
      this.#waiting.add(settle);
      response.once('close', giveUp);
    });
  }

  /** From now on requests wait. @returns whether all that were under way came to their end in time */
  async hold(): Promise<boolean> {
    this.#holding = true;
    this.#overdue = false;
    this.#deadline = setTimeout(() => {
      this.#overdue = true;
      this.#settleAll(false);
    }, this.#limits.heldMs);
    if (this.#underWay === 0) return true;
    return await new Promise((resolve) => {
      const settle = (drained: boolean) => {
        clearTimeout(patience);
        this.#whenIdle = undefined;
        resolve(drained);
      };
      const patience = setTimeout(() => settle(false), this.#limits.drainMs);
      this.#whenIdle = () => settle(true);
    });
  }

  release(): void {
    clearTimeout(this.#deadline);
    this.#holding = false;
    this.#settleAll(true);
  }

  #settleAll(mayPass: boolean): void {
    for (const settle of [...this.#waiting]) settle(mayPass);
  }
}
