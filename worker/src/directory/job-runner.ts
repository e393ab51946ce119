import { currentTimeMs } from '../clock.ts';
import { type DurableStore, isUnavailable } from '../storage/durable-store.ts';
import { deliverTombstones } from './deliver-tombstones.ts';
import { completeTombstoneJobs, type Delivery, nextTombstoneWorkMs } from './tombstone-job.ts';

type JobRunnerContext = {
  readonly storage: Pick<DurableObjectStorage, 'getAlarm' | 'setAlarm'>;
  readonly store: DurableStore;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly bury: (delivery: Delivery) => Promise<{ readonly ok: boolean }>;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
};

/** Sees to it that an alarm is set while there is work on jobs, and does that work when it rings. */
export class JobRunner {
  readonly #context: JobRunnerContext;
  #resumedAtMs = 0;
  /** While it rings, an alarm is not set, and its end sets the next one. */
  #isRinging = false;

  constructor(context: JobRunnerContext) {
    this.#context = context;
  }

  /** Brings tombstones to the shards that are due, and marks as complete what is. */
  async ring(): Promise<void> {
    this.#isRinging = true;
    try {
      await this.#work();
    } finally {
      this.#isRinging = false;
    }
  }

  async #work(): Promise<void> {
    const { store, bury, log } = this.#context;
    await deliverTombstones({
      store,
      now: currentTimeMs,
      bury,
      onFailure: ({ job_id, shard, attempts }, detail) =>
        log('tombstone_not_delivered', { job_id, shard, attempts: attempts + 1, detail }),
    });
    const completed = await store.write((sql) => {
      const nowMs = currentTimeMs();
      const jobs = completeTombstoneJobs(sql, nowMs);
      this.schedule(sql, nowMs);
      return jobs;
    });
    // Thrown, it is for the runtime to try again, and once that gives up for `watch`.
    if (isUnavailable(completed)) throw new Error('the outcome of this round could not be stored');
    for (const { job_id, kind, shards, epoch, reason } of completed) {
      log('job_completed', { job_id, kind, shards, epoch, reason });
    }
  }

  /** The alarm is stored with the block that it is set in: after a crash there are both or neither. */
  schedule(sql: SqlStorage, nowMs: number): void {
    const due = nextTombstoneWorkMs(sql, nowMs);
    if (due !== undefined) void this.#context.storage.setAlarm(Math.max(due, nowMs));
  }

  /** Once a minute while the object is asked for anything: one that is never idle never begins anew. */
  watch(): void {
    if (this.#isRinging || Math.abs(currentTimeMs() - this.#resumedAtMs) < 60_000) return;
    this.#context.waitUntil(this.resume());
  }

  /**
   * Jobs whose alarm is not there, as after an import or when the runtime has given it up, or which a clock that went
   * back has left far ahead, are not forgotten.
   */
  async resume(): Promise<void> {
    const { store, storage, log } = this.#context;
    const nowMs = currentTimeMs();
    this.#resumedAtMs = nowMs;
    const due = store.read((sql) => nextTombstoneWorkMs(sql, nowMs));
    if (isUnavailable(due) || due === undefined) return;
    try {
      const alarmMs = await storage.getAlarm();
      // Of work that is due later than the alarm the alarm itself sees to the next one.
      if (alarmMs === null || alarmMs > Math.max(due, nowMs)) await storage.setAlarm(nowMs);
    } catch (error) {
      log('jobs_not_resumed', { detail: String(error) });
    }
  }
}
