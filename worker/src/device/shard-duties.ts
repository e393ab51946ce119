/** What the alarm of a device shard sees to: each duty says how it went, and this says when it is next due. */

/** `done`: nothing is left. `more`: go on at once. `failed`: what was to be done is still there. */
export type DutyOutcome = 'done' | 'more' | 'failed';

export type Duty = {
  readonly name: string;
  readonly run: () => Promise<DutyOutcome>;
};

const firstDelayMs = 1000;
const longestDelayMs = 300_000;

export class ShardDuties {
  readonly #duties: readonly Duty[];
  /** Failures in a row. Losing the count with the object only makes the next try come sooner. */
  readonly #failures = new Map<string, number>();

  constructor(duties: readonly Duty[]) {
    this.#duties = duties;
  }

  /** Runs every duty once; one that throws has failed and keeps no other one waiting. */
  async run(): Promise<{ readonly againInMs: number | undefined }> {
    const delays: number[] = [];
    for (const duty of this.#duties) {
      const outcome = await duty.run().catch((error: unknown) => {
        console.error(
          JSON.stringify({ event: 'duty_failed', duty: duty.name, detail: String(error) }),
        );
        return 'failed' as const;
      });
      if (outcome === 'failed') delays.push(this.#backOff(duty.name));
      else this.#failures.delete(duty.name);
      if (outcome === 'more') delays.push(0);
    }
    return { againInMs: delays.length === 0 ? undefined : Math.min(...delays) };
  }

  #backOff(name: string): number {
    const failures = this.#failures.get(name) ?? 0;
    this.#failures.set(name, failures + 1);
    return Math.min(firstDelayMs * 2 ** failures, longestDelayMs);
  }
}
