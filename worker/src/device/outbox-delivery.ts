import { isUnavailable } from '../storage/durable-store.ts';
import {
  deliverStandings,
  outboxIsEmpty,
  type PkiDestinations,
  readOutbox,
  settleOutbox,
} from './deliver-pki-standing.ts';
import type { DeviceShard } from './device-shard.ts';
import type { DutyOutcome } from './shard-duties.ts';

/** One pass goes through this many rounds: what fails in the first ones keeps later ones from being told in none. */
const roundsPerPass = 50;

/** Empties the outbox of a shard, one pass at a time. */
export class OutboxDelivery {
  readonly #shard: DeviceShard;
  readonly #destinations: PkiDestinations;
  #underWay: Promise<DutyOutcome> | undefined;
  #next: Promise<DutyOutcome> | undefined;

  constructor(shard: DeviceShard, destinations: PkiDestinations) {
    this.#shard = shard;
    this.#destinations = destinations;
  }

  /** A pass that begins from now on: one that is under way may have read too soon. Who asks meanwhile shares the next. */
  deliver(): Promise<DutyOutcome> {
    this.#next ??= this.#start();
    return this.#next;
  }

  async #start(): Promise<DutyOutcome> {
    await this.#underWay?.catch(() => undefined);
    this.#next = undefined;
    this.#underWay = this.#pass();
    return await this.#underWay;
  }

  async #pass(): Promise<DutyOutcome> {
    let after = 0;
    for (let round = 0; round < roundsPerPass; round++) {
      const rows = this.#shard.read((sql) => readOutbox(sql, after));
      if (isUnavailable(rows)) return 'failed';
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.certificate_number;
      const told = await deliverStandings(rows, this.#destinations);
      const settled = await this.#shard.write(({ sql }) => settleOutbox(sql, told));
      if (isUnavailable(settled)) return 'failed';
    }
    const empty = this.#shard.read(outboxIsEmpty);
    return empty === true ? 'done' : 'failed';
  }
}
