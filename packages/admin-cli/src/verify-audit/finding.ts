/** What is wrong with a log, and where. Rows are named by chain and sequence number. */
export type Finding =
  /** Its text or its hash is another than the one that was written; or those of the row before it are, both. */
  | { readonly kind: 'row_changed'; readonly chain: string; readonly sequence: number }
  /** The text says that it is another row, or of another chain. */
  | { readonly kind: 'row_foreign'; readonly chain: string; readonly sequence: number }
  | {
      readonly kind: 'rows_missing';
      readonly chain: string;
      readonly first: number;
      readonly last: number;
    }
  /** A row that comes again, or after one that follows it. */
  | { readonly kind: 'row_out_of_order'; readonly chain: string; readonly sequence: number }
  /** Rows at the end that were there when a checkpoint was signed, or that the chain's head counts. */
  | {
      readonly kind: 'rows_cut_off';
      readonly chain: string;
      readonly first: number;
      readonly last: number;
    }
  /** The rows fit each other, and not a checkpoint: from one of these on, they were written anew. */
  | {
      readonly kind: 'rows_rewritten';
      readonly chain: string;
      readonly first: number;
      readonly last: number;
    }
  /** The rows are whole, and the head that was given with them is another. */
  | { readonly kind: 'head_wrong'; readonly chain: string }
  /** What the chain began with does not name this chain, or cannot be read. */
  | { readonly kind: 'start_wrong'; readonly chain: string }
  /** A chain that a checkpoint, or the beginning of another chain, names, and that is not there. */
  | { readonly kind: 'chain_missing'; readonly chain: string }
  /** An archived chain that does not end as the chain after it says. */
  | { readonly kind: 'archive_wrong'; readonly chain: string }
  /** `index` counts from 0, in the order in which they were given. */
  | { readonly kind: 'checkpoint_invalid'; readonly index: number; readonly detail: string };

const range = (first: number, last: number) =>
  first === last ? `row ${first}` : `rows ${first} to ${last}`;

/** A finding in a sentence, for a person. */
export function describeFinding(finding: Finding): string {
  switch (finding.kind) {
    case 'row_changed':
      return `chain ${finding.chain}: row ${finding.sequence} was changed${finding.sequence === 1 ? '' : `, or row ${finding.sequence - 1} together with its hash`}`;
    case 'row_foreign':
      return `chain ${finding.chain}: row ${finding.sequence} holds a record of another row or chain`;
    case 'rows_missing':
      return `chain ${finding.chain}: ${range(finding.first, finding.last)} missing`;
    case 'row_out_of_order':
      return `chain ${finding.chain}: row ${finding.sequence} is not in its place`;
    case 'rows_cut_off':
      return `chain ${finding.chain}: ${range(finding.first, finding.last)} cut off at the end`;
    case 'rows_rewritten':
      return `chain ${finding.chain}: ${range(finding.first, finding.last)} not as a checkpoint has signed them: one or more of them were written anew`;
    case 'head_wrong':
      return `chain ${finding.chain}: its head is not that of its newest row`;
    case 'start_wrong':
      return `chain ${finding.chain}: what it began with was changed`;
    case 'chain_missing':
      return `chain ${finding.chain}: missing as a whole`;
    case 'archive_wrong':
      return `chain ${finding.chain}: it does not end as the chain after it says`;
    case 'checkpoint_invalid':
      return `checkpoint ${finding.index + 1}: ${finding.detail}`;
  }
}
