import { encodeBase64url } from '@countersign/protocol';
import { appendEvent } from '../audit/append-event.ts';
import { type ChainHead, emptyChain } from '../audit/hash-chain.ts';
import type { SystemLogEvent } from '../audit/system-log-event.ts';
import { currentTimeMs } from '../clock.ts';
import { DurableStore, isUnavailable, type StorageUnavailable } from '../storage/durable-store.ts';
import { AlarmClock } from './alarm-clock.ts';
import { readChainHead } from './decision-record.ts';
import { deviceMigrations } from './device-schema.ts';
import { shardOfId } from './placement.ts';

/** One synchronous block that checks and writes in a device shard. */
export type ShardBlock = {
  readonly sql: SqlStorage;
  readonly nowMs: number;
  /** 16 random bytes, base64url. */
  readonly randomId: () => string;
  /** Of the chain of decisions and events; whoever appends moves it on. */
  head: ChainHead;
  /**
   * Appends an event to the chain. `shard` is needed where no device is named in its `debug_data`, `id` where the event is
   * to be known again.
   */
  readonly log: (event: SystemLogEvent, shard?: number, id?: string) => void;
};

const randomId = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));

/** The storage of a device shard: its tables, the head of its chain, its alarm. */
export class DeviceShard {
  readonly #store: DurableStore;
  readonly #shardCount: number;
  readonly alarm: AlarmClock;
  /** False once there are none: a look for them reads the whole table. */
  intentsMayBeLeft = true;
  #head: ChainHead = emptyChain;

  constructor(storage: DurableObjectStorage, shardCount: number) {
    this.#shardCount = shardCount;
    this.alarm = new AlarmClock(storage);
    this.#store = new DurableStore(storage, deviceMigrations, () => {
      this.#readHeadAgain();
      this.alarm.forget();
    });
    this.#readHeadAgain();
  }

  get store(): DurableStore {
    return this.#store;
  }

  read<Value>(block: (sql: SqlStorage) => Value): Value | StorageUnavailable {
    return this.#store.read(block);
  }

  /** Runs a block that checks and writes; its answer comes after its writes are on disk. */
  async write<Value>(run: (block: ShardBlock) => Value): Promise<Value | StorageUnavailable> {
    return await this.#store.write((sql) => this.runBlock(sql, run));
  }

  /** The same, for blocks that the store runs in another way. */
  runBlock<Value>(sql: SqlStorage, run: (block: ShardBlock) => Value): Value {
    const nowMs = currentTimeMs();
    const block: ShardBlock = {
      sql,
      nowMs,
      randomId,
      head: this.#head,
      log: (event, shard, id) => {
        const context = {
          shard: shard ?? this.#shardOf(event),
          nowMs,
          randomId: id === undefined ? randomId : () => id,
        };
        block.head = appendEvent(sql, block.head, event, context);
      },
    };
    const value = run(block);
    this.#head = block.head;
    return value;
  }

  /** A device's events are in the shard that its id places it in. */
  #shardOf(event: SystemLogEvent): number {
    return shardOfId(event.debug_data.device_id ?? '', this.#shardCount) ?? 0;
  }

  /** The head in memory is ahead of the disk when what it was raised for was undone. */
  #readHeadAgain(): void {
    const head = this.#store.read(readChainHead);
    if (!isUnavailable(head)) this.#head = head;
  }
}
