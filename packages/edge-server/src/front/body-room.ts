/** What one body holds of the room. */
export type BodyShare = {
  /** @returns false when there is no room, not even in place of bodies that are older and not complete */
  readonly take: (bytes: number) => boolean;
  /** The body is complete: from now on it waits for the broker and gives way to none. */
  readonly finish: () => void;
  readonly giveBack: () => void;
};

type Unfinished = { readonly giveWay: () => void };

/**
 * Memory for whole bodies, of all connections together. When it is full, the body that has been coming for the longest
 * gives way: a few clients that never end theirs would otherwise keep everybody out.
 */
export class BodyRoom {
  #freeBytes: number;
  /** Oldest first. */
  readonly #unfinished = new Set<Unfinished>();

  constructor(maxBytes: number) {
    this.#freeBytes = maxBytes;
  }

  /** @param giveWay called when this body, not yet complete, has to give back what it took */
  open(giveWay: () => void): BodyShare {
    const entry: Unfinished = { giveWay };
    let taken = 0;
    this.#unfinished.add(entry);
    return {
      take: (bytes) => {
        this.#makeRoom(bytes, entry);
        if (bytes > this.#freeBytes) return false;
        this.#freeBytes -= bytes;
        taken += bytes;
        return true;
      },
      finish: () => {
        this.#unfinished.delete(entry);
      },
      giveBack: () => {
        this.#unfinished.delete(entry);
        this.#freeBytes += taken;
        taken = 0;
      },
    };
  }

  #makeRoom(bytes: number, asking: Unfinished): void {
    for (const oldest of this.#unfinished) {
      if (bytes <= this.#freeBytes) return;
      if (oldest === asking) return;
      this.#unfinished.delete(oldest);
      oldest.giveWay();
    }
  }
}
