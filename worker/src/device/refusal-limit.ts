/**
 * How many refusals without a challenge a client may have recorded in one shard per minute. Counted in memory: losing
 * the count with the object only gives the client a fresh allowance.
 */
const allowancePerMinute = 120;
const windowMs = 60_000;

export class RefusalLimit {
  #windowStartMs = 0;
  #taken = new Map<string, number>();

  /**
   * Takes one from the client's allowance.
   *
   * @returns 0, or how many there were this minute since it was used up, this one included
   */
  take(clientId: string, nowMs: number): number {
    if (nowMs - this.#windowStartMs >= windowMs || nowMs < this.#windowStartMs) {
      this.#windowStartMs = nowMs;
      this.#taken = new Map();
    }
    const taken = (this.#taken.get(clientId) ?? 0) + 1;
    this.#taken.set(clientId, taken);
    return Math.max(0, taken - allowancePerMinute);
  }
}
