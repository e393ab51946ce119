/**
 * How many refusals without a challenge a client may have recorded in one shard per minute. Counted in memory: losing
 * the count with the object only gives the client a fresh allowance.
 */
const allowancePerMinute = 120;
const windowMs = 60_000;

export class RefusalLimit {
  #windowStartMs = 0;
  #taken = new Map<string, number>();

  /** Takes one from the client's allowance; false when it is used up for this minute. */
  take(clientId: string, nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= windowMs || nowMs < this.#windowStartMs) {
      this.#windowStartMs = nowMs;
      this.#taken = new Map();
    }
    const taken = this.#taken.get(clientId) ?? 0;
    if (taken >= allowancePerMinute) return false;
    this.#taken.set(clientId, taken + 1);
    return true;
  }
}
