/**
 * Values that are forgotten after a while, in memory and bounded: when it is full, the oldest makes room, so that a
 * flood of requests costs other people at most a reload of the page.
 */
export class ExpiringMap<Value> {
  readonly #entries = new Map<string, { value: Value; expiresAtMs: number }>();
  readonly #ttlMs: number;
  readonly #maxEntries: number;

  constructor(limits: { ttlMs: number; maxEntries: number }) {
    this.#ttlMs = limits.ttlMs;
    this.#maxEntries = limits.maxEntries;
  }

  set(key: string, value: Value, nowMs: number): void {
    this.#entries.delete(key);
    // Insertion order is expiry order, because every entry lives equally long.
    for (const [oldKey, { expiresAtMs }] of this.#entries) {
      if (expiresAtMs > nowMs && this.#entries.size < this.#maxEntries) break;
      this.#entries.delete(oldKey);
    }
    this.#entries.set(key, { value, expiresAtMs: nowMs + this.#ttlMs });
  }

  get(key: string, nowMs: number): Value | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.expiresAtMs > nowMs ? entry.value : undefined;
  }

  /** Returns the value and forgets it: whoever asks second gets nothing. */
  take(key: string, nowMs: number): Value | undefined {
    const value = this.get(key, nowMs);
    this.#entries.delete(key);
    return value;
  }

  get size(): number {
    return this.#entries.size;
  }
}
