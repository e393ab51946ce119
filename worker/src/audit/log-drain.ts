import type { DurableStore } from '../storage/durable-store.ts';
import { drainLog, type IntakeAnswer } from './drain-log.ts';
import type { RowBatch } from './take-in-rows.ts';

type LogDrainContext = {
  readonly store: DurableStore;
  readonly takeIn: (batch: RowBatch) => Promise<IntakeAnswer>;
  readonly waitUntil: (work: Promise<unknown>) => void;
};

const watchEveryMs = 60_000;

/**
 * Brings rows to the system log beside the object's own work, for an object whose alarm is for something else: after each
 * change, and once a minute while the object is asked for anything, for what could not be brought or a crash left.
 */
export class LogDrain {
  readonly #context: LogDrainContext;
  #running = false;
  #again = false;
  #watchedAtMs = 0;

  constructor(context: LogDrainContext) {
    this.#context = context;
  }

  /** Rows were written; they are on disk when they are read, since reading waits its turn. */
  start(): void {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#context.waitUntil(this.#run());
  }

  watch(nowMs: number): void {
    if (Math.abs(nowMs - this.#watchedAtMs) < watchEveryMs) return;
    this.#watchedAtMs = nowMs;
    this.start();
  }

  async #run(): Promise<void> {
    const { store, takeIn } = this.#context;
    try {
      for (;;) {
        this.#again = false;
        const result = await drainLog(store, takeIn, false);
        if (result === 'failed' || !(this.#again || result === 'more')) return;
      }
    } finally {
      this.#running = false;
    }
  }
}
