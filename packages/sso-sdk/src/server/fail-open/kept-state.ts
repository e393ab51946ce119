import { failOpenReport } from '@countersign/protocol/fail-open';
import { compactJws, p256PublicJwk } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { FailOpenStore } from './fail-open-options.ts';

/**
 * What is kept across restarts: statements with the key that each was verified with, since the broker's keys cannot be
 * asked for when it is needed, and what has not been reported.
 */
export const keptState = z.object({
  version: z.literal(1),
  statements: z.record(z.string(), z.object({ statement: compactJws(4096), key: p256PublicJwk })),
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
    return undefined;
  }
}

/** The state in memory, and in the store if there is one. */
export class StateKeeper {
  readonly #store: FailOpenStore | undefined;
  readonly #onFailure: (detail: string) => void;
  #state: KeptState = noState;
  #saving: Promise<void> = Promise.resolve();
  /** A write that has not begun: it will have whatever the state is by then. */
  #nextSave: Promise<void> | undefined;
  /** What was kept is there; changes before that would be lost. */
  readonly loaded: Promise<void>;

  constructor(store: FailOpenStore | undefined, onFailure: (detail: string) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
    this.loaded = this.#load();
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
    if (this.#nextSave === undefined) {
      const next = this.#saving.then(() => {
        this.#nextSave = undefined;
        return store.save(JSON.stringify(this.#state));
      });
      this.#nextSave = next;
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

  async #load(): Promise<void> {
    try {
      const text = await this.#store?.load();
      if (text === undefined) return;
      const state = parseState(text);
      if (state === undefined) this.#onFailure('it holds something else');
      else this.#state = state;
    } catch (error) {
      this.#onFailure(String(error));
    }
  }
}
