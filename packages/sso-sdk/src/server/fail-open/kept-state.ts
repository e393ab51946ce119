import { failOpenReport } from '@countersign/protocol/fail-open';
import { compactJws, p256PublicJwk } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { FailOpenStore } from './fail-open-options.ts';

/** The key is one of decisions: where it was kept without that, by an older version, it counts for nothing. */
const keptStatement = z.object({
  statement: compactJws(4096),
  key: z.extend(p256PublicJwk, { purpose: z.optional(z.string()) }),
});
export type KeptStatement = z.infer<typeof keptStatement>;

/**
 * What is kept across restarts: statements with the key that each was verified with, since the broker's keys cannot be
 * asked for when it is needed, and what has not been reported.
 */
export const keptState = z.object({
  version: z.literal(1),
  statements: z.record(z.string(), keptStatement),
  reports: z.array(failOpenReport),
});
export type KeptState = z.infer<typeof keptState>;

const noState: KeptState = { version: 1, statements: {}, reports: [] };

/** `undefined` for what is none. */
function parseState(text: string): KeptState | undefined {
  try {
    const read = keptState.safeParse(JSON.parse(text));
    return read.success ? read.data : undefined;
  } catch {
    // Not JSON: the store holds something else, which the log is told.
    return undefined;
  }
}

/**
 * The state in memory, and in the store if there is one. Until it has been read nothing is written: that would be over
 * sign-ins which nobody has reported.
 */
export class StateKeeper {
  readonly #store: FailOpenStore | undefined;
  readonly #onFailure: (detail: string) => void;
  #state: KeptState = noState;
  #saving: Promise<void> = Promise.resolve();
  /** A write that has not begun: it will have whatever the state is by then. */
  #nextSave: Promise<void> | undefined;
  #loaded: Promise<boolean>;

  constructor(store: FailOpenStore | undefined, onFailure: (detail: string) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
    this.#loaded = this.#load();
  }

  /** Whether what was kept is there. Where that cannot be read the state is empty, and a change of it would be lost. */
  get loaded(): Promise<boolean> {
    return this.#loaded;
  }

  /** Tries to read once more what could not be read. */
  async loadAgain(): Promise<boolean> {
    if (!(await this.#loaded)) this.#loaded = this.#load();
    return await this.#loaded;
  }

  get state(): KeptState {
    return this.#state;
  }

  change(changes: Partial<Pick<KeptState, 'statements' | 'reports'>>): void {
    this.#state = { ...this.#state, ...changes };
  }

  /** The newest state, one write after another; who waits for the same one shares it. False where it is not kept. */
  async save(): Promise<boolean> {
    const store = this.#store;
    if (store === undefined) return true;
    if (!(await this.#loaded)) return false;
    if (this.#nextSave === undefined) {
      const next = this.#saving.then(() => {
        this.#nextSave = undefined;
        return store.save(JSON.stringify(this.#state));
      });
      this.#nextSave = next;
      // Whoever waits for this one learns of its failure; the next begins all the same.
      this.#saving = next.catch(() => undefined);
    }
    try {
      await this.#nextSave;
      return true;
    } catch (error) {
      this.#onFailure(String(error));
      return false;
    }
  }

  /** Resolves when no write is under way. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  async #load(): Promise<boolean> {
    try {
      const text = await this.#store?.load();
      const state = text === undefined ? noState : parseState(text);
      if (state !== undefined) {
        this.#state = state;
        return true;
      }
      this.#onFailure('it holds something else, which is left as it is');
    } catch (error) {
      this.#onFailure(String(error));
    }
    return false;
  }
}
