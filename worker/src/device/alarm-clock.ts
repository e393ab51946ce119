/** The one alarm of an object, for whatever is to be done later. Set only where none is pending that is early enough. */
export class AlarmClock {
  readonly #storage: DurableObjectStorage;
  #atMs: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Reads what an earlier life of the object has set. */
  async readPending(): Promise<void> {
    const atMs = await this.#storage.getAlarm();
    if (atMs !== null) this.#atMs ??= atMs;
  }

  /** Rings at this time or sooner. In a block that writes, the alarm is set with what is written. */
  ringBy(atMs: number): void {
    if (this.#atMs !== undefined && this.#atMs <= atMs) return;
    this.#atMs = atMs;
    void this.#storage.setAlarm(atMs);
  }

  /** It rang, or what set it was undone. */
  forget(): void {
    this.#atMs = undefined;
  }
}
