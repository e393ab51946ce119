import { createHash } from 'node:crypto';
import { decisionPage } from '@countersign/protocol/admin';
import { type RecordedDecision, readDecision, type TestBroker } from '../test-broker.ts';

const pageSize = 1000;

/** Follows the hash chains of all shards as they grow, so that each row is read and verified once. */
export class ChainReader {
  readonly #broker: TestBroker;
  readonly #heads = new Map<number, { count: number; hash: Buffer }>();

  constructor(broker: TestBroker) {
    this.#broker = broker;
  }

  /** The decisions that came since the last call, shard by shard. Throws on one that does not follow from those before. */
  async readNew(): Promise<RecordedDecision[]> {
    const records: RecordedDecision[] = [];
    for (let shard = 0; shard < this.#broker.shardCount; shard++) {
      const head = this.#heads.get(shard) ?? { count: 0, hash: Buffer.alloc(32) };
      this.#heads.set(shard, head);
      for (;;) {
        const path = `/v1/admin/shards/${shard}/decisions?after=${head.count}&limit=${pageSize}`;
        const response = await this.#broker.client.admin('GET', path);
        const page = decisionPage.parse(await response.json());
        for (const { sequence, record, hash } of page.decisions) {
          head.hash = createHash('sha256').update(head.hash).update(record).digest();
          head.count += 1;
          if (sequence !== head.count || hash !== head.hash.toString('base64url')) {
            throw new Error(`row ${shard}.${sequence} does not follow from row ${head.count - 1}`);
          }
          const decision = readDecision(record);
          if (decision !== undefined) records.push(decision);
        }
        if (page.decisions.length < pageSize) break;
      }
    }
    return records;
  }

  /** The order in which rows are read: by shard, then by sequence. */
  compareIds(one = '', other = ''): number {
    const [shard = 0, sequence = 0] = one.split('.').map(Number);
    const [otherShard = 0, otherSequence = 0] = other.split('.').map(Number);
    return shard - otherShard || sequence - otherSequence;
  }
}
