import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import type { Finding } from './finding.ts';

/** One row of a chain, as it was exported. `hash` is base64url. */
export type ExportedRow = {
  readonly sequence: number;
  readonly record: string;
  readonly hash: string;
};

export type ChainHead = { readonly count: number; readonly hash: string };

/** What a checkpoint says of this chain. */
export type Expectation = ChainHead & { readonly issuedAtSeconds: number };

const place = z.object({ sequence: z.int(), shard: z.union([z.int(), z.string()]) });

const next = (previous: Buffer, record: string) =>
  createHash('sha256').update(previous).update(record, 'utf8').digest();
const sha256 = (text: string) => createHash('sha256').update(text, 'utf8').digest();
const decode = (hash: string) => Buffer.from(hash, 'base64url');

function placeIn(record: string): { sequence: number; shard: string } | undefined {
  try {
    const { sequence, shard } = place.parse(JSON.parse(record));
    return { sequence, shard: String(shard) };
  } catch {
    return undefined;
  }
}

/** The writer's shard, or `organization`, of a chain: of an archived one it is the part after the dot. */
export const writerOf = (chain: string) => chain.slice(chain.lastIndexOf('.') + 1);

/**
 * Follows one chain, row by row in the order in which they are given, with nothing kept but what it needs next. Written
 * from the storage schema's text and not from the broker's code.
 */
export class ChainCheck {
  readonly chain: string;
  readonly findings: Finding[] = [];
  readonly #expectations: Expectation[];
  #previous: Buffer;
  /** Where the row before was given another hash than it computes to: what it computes to. */
  #computedPrevious: Buffer | undefined;
  #sequence = 0;
  /** The newest row that a checkpoint has confirmed. */
  #confirmedThrough = 0;

  /**
   * @param start what the chain began with after an import
   * @param expectations of checkpoints, in any order
   */
  constructor(chain: string, start: string | undefined, expectations: readonly Expectation[]) {
    this.chain = chain;
    this.#previous = start === undefined ? Buffer.alloc(32) : sha256(start);
    this.#expectations = expectations.toSorted((a, b) => a.count - b.count);
  }

  add({ sequence, record, hash }: ExportedRow): void {
    const { chain } = this;
    if (sequence <= this.#sequence) {
      this.findings.push({ kind: 'row_out_of_order', chain, sequence });
      return;
    }
    const isNext = sequence === this.#sequence + 1;
    if (!isNext) {
      const missing = { first: this.#sequence + 1, last: sequence - 1 };
      this.findings.push({ kind: 'rows_missing', chain, ...missing });
    }
    const given = decode(hash);
    const computed = next(this.#previous, record);
    const isRight = computed.equals(given);
    // Nothing can be said of a row whose predecessor is missing; what follows it builds on its hash.
    if (isNext && !isRight) this.#blame(sequence, record, given);
    const said = placeIn(record);
    if (said === undefined || said.sequence !== sequence || said.shard !== writerOf(chain)) {
      this.#addOnce({ kind: 'row_foreign', chain, sequence });
    }
    this.#computedPrevious = isNext && !isRight ? computed : undefined;
    this.#previous = given;
    this.#sequence = sequence;
    this.#compare(sequence, hash);
  }

  /** It is this row, unless the row before was merely given a wrong hash, which was told then. */
  #blame(sequence: number, record: string, given: Buffer): void {
    const before = this.#computedPrevious;
    if (before !== undefined && next(before, record).equals(given)) return;
    this.#addOnce({ kind: 'row_changed', chain: this.chain, sequence });
  }

  #addOnce(finding: Finding & { readonly sequence: number }): void {
    const isKnown = this.findings.some(
      (known) => 'sequence' in known && known.sequence === finding.sequence,
    );
    if (!isKnown) this.findings.push(finding);
  }

  #compare(sequence: number, hash: string): void {
    for (const { count, hash: signed } of this.#expectations) {
      if (count !== sequence) continue;
      if (signed !== hash) this.#tellRewritten(sequence);
      this.#confirmedThrough = sequence;
    }
  }

  #tellRewritten(last: number): void {
    const first = this.#confirmedThrough + 1;
    const isExplained = this.findings.some(
      (finding) =>
        ('sequence' in finding && finding.sequence >= first && finding.sequence <= last) ||
        (finding.kind === 'rows_missing' && finding.last >= first && finding.first <= last),
    );
    // A row that was found changed and whose own hash was changed with it explains this: once is enough.
    if (isExplained || this.findings.some(({ kind }) => kind === 'rows_rewritten')) return;
    this.findings.push({ kind: 'rows_rewritten', chain: this.chain, first, last });
  }

  /**
   * Ends the chain.
   *
   * @param head as it was given with the rows
   * @returns the head of the rows, and through which row a checkpoint covers it
   */
  end(head: ChainHead | undefined): { readonly head: ChainHead; readonly coveredThrough: number } {
    const { chain } = this;
    const count = this.#sequence;
    const covered = this.#expectations.at(-1)?.count ?? 0;
    const last = Math.max(covered, head?.count ?? 0);
    if (last > count) this.findings.push({ kind: 'rows_cut_off', chain, first: count + 1, last });
    const hash = this.#previous.toString('base64url');
    const isWrong =
      head !== undefined && head.count <= count && (head.count < count || head.hash !== hash);
    if (isWrong && this.findings.length === 0) this.findings.push({ kind: 'head_wrong', chain });
    return { head: { count, hash }, coveredThrough: Math.min(covered, count) };
  }
}
