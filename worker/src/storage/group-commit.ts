/**
 * Runs synchronous check-and-write blocks and answers each one only after its writes are on disk.
 *
 * The first block runs at once. Blocks that arrive while its commit is under way wait together and share the next
 * one, so that the price of a flush is paid once for all of them. Each block is a transaction of its own: one that
 * throws is rolled back alone.
 */
export class GroupCommit {
  readonly #storage: DurableObjectStorage;
  readonly #pending: Array<{ start: () => void; finish: (commit: Promise<void>) => unknown }> = [];
  readonly #undone: () => void;
  #committing = false;

  /**
   * @param undone called after a block or a commit has failed, before the next block starts: what the object knows of
   *   its storage by heart may be wrong then. Must not throw.
   */
  constructor(storage: DurableObjectStorage, undone: () => void = () => undefined) {
    this.#storage = storage;
    this.#undone = undone;
  }

  /**
   * @param block checks and writes, without awaiting anything
   * @returns what the block returned, once it is durable
   * @throws what the block threw, or the storage's error when the commit failed; either way nothing was written
   */
  run<Value>(block: () => Value): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    let outcome: { readonly value: Value } | undefined;
    const start = () => {
      try {
        outcome = { value: this.#storage.transactionSync(block) };
      } catch (error) {
        this.#undone();
        reject(error);
      }
    };
    const finish = (commit: Promise<void>) =>
      commit.then(() => {
        if (outcome !== undefined) resolve(outcome.value);
      }, reject);
    this.#pending.push({ start, finish });
    if (!this.#committing) void this.#commitAll();
    return promise;
  }

  async #commitAll(): Promise<void> {
    this.#committing = true;
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0);
      for (const block of batch) block.start();
      const commit = this.#storage.sync();
      for (const block of batch) block.finish(commit);
      await commit.catch(this.#undone);
    }
    this.#committing = false;
  }
}
