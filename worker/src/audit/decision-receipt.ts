import {
  type DecisionReceipt,
  type DecisionReceiptClaims,
  decisionReceiptTyp,
  explainRecord,
  type NetworkZone,
  type PolicyDocument,
  wasDecidedByPolicy,
  zonesOf,
} from '@countersign/policy';
import { encodeBase64url } from '@countersign/protocol';
import { type DecisionRecord, decisionRecord } from '@countersign/protocol/decision-record';
import canonicalize from 'canonicalize';
import { encodeHeader, signCompactJws } from '../token/compact-jws.ts';
import type { SigningKeys } from '../token/token-key.ts';
import { emptyChain } from './hash-chain.ts';

/** Receipts: a decision with all that it rests on, signed for whoever asks in years, and not of this broker. */

/** `<chain>.<sequence>`, as decisions and events of the system log name a row. */
export type RowName = {
  readonly chain: string;
  /** Of a chain that an import archived; `undefined`: the one that a shard writes. */
  readonly archivedBy: string | undefined;
  readonly shard: number;
  readonly sequence: number;
};

/** `undefined` for what names no row. */
export function parseRowName(text: string): RowName | undefined {
  const parts = /^(?:([A-Za-z0-9_-]{22})\.)?(\d{1,4})\.([1-9]\d{0,14})$/.exec(text);
  if (parts === null) return undefined;
  const [, archivedBy, shard = '', sequence] = parts;
  const chain = archivedBy === undefined ? shard : `${archivedBy}.${shard}`;
  return { chain, archivedBy, shard: Number(shard), sequence: Number(sequence) };
}

type Row = { readonly sequence: number; readonly record: string; readonly hash: Uint8Array };

/** A row with the hash that its own builds on. */
export type ChainedRow = Row & { readonly previousHash: Uint8Array };

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

/**
 * @param rows the one with this number and, unless it is the first, the one before it
 * @param start what the chain began with after an import
 */
export async function findChainedRow(
  rows: readonly Row[],
  sequence: number,
  start: string | undefined,
): Promise<ChainedRow | undefined> {
  const row = rows.find((each) => each.sequence === sequence);
  const before = rows.find((each) => each.sequence === sequence - 1);
  if (row === undefined) return undefined;
  if (before !== undefined) return { ...row, previousHash: before.hash };
  return { ...row, previousHash: start === undefined ? emptyChain.hash : await sha256(start) };
}

/** `undefined` for an event, and for a row that this version cannot read. */
export function parseDecision(record: string): DecisionRecord | undefined {
  try {
    const parsed = decisionRecord.safeParse(JSON.parse(record));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** What an application's policy was, and the networks, by the versions that the record names. */
export type DecisionBasis = {
  readonly basis:
    | {
        readonly policy: PolicyDocument;
        readonly source: NonNullable<DecisionReceiptClaims['policy']>['source'];
        readonly author: string;
        readonly comment: string;
        readonly created_at_ms: number;
      }
    | undefined;
  readonly zones: readonly NetworkZone[];
};

export type ReceiptSigner = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly auditKeys: SigningKeys;
  /** Leads from the audit keys to the root; see `assertKeySet` of the settings. */
  readonly keySet: string;
};

async function policyClaims(
  record: DecisionRecord,
  { basis: found, zones }: DecisionBasis,
): Promise<Pick<DecisionReceiptClaims, 'policy' | 'criteria'>> {
  if (found === undefined || !wasDecidedByPolicy(record)) return {};
  const { policy: document, source, author, comment, created_at_ms } = found;
  const criteria = explainRecord(record, document, zones);
  return {
    policy: {
      sha256: encodeBase64url(await sha256(canonicalize(document) ?? '')),
      document,
      source,
      author,
      comment,
      created_at: new Date(created_at_ms).toISOString(),
      zones: [...zonesOf(document, zones)],
    },
    ...(criteria === undefined ? {} : { criteria }),
  };
}

export async function signReceipt(
  name: RowName,
  row: ChainedRow,
  record: DecisionRecord,
  basis: DecisionBasis,
  { brokerUrl, organizationId, auditKeys, keySet }: ReceiptSigner,
  nowMs: number,
): Promise<DecisionReceipt> {
  const { active } = auditKeys;
  const claims: DecisionReceiptClaims = {
    iss: brokerUrl,
    org: organizationId,
    iat: Math.floor(nowMs / 1000),
    decision_id: `${name.chain}.${name.sequence}`,
    row: {
      chain: name.chain,
      sequence: name.sequence,
      record: row.record,
      previous_hash: encodeBase64url(row.previousHash),
      hash: encodeBase64url(row.hash),
    },
    ...(await policyClaims(record, basis)),
  };
  const header = encodeHeader(decisionReceiptTyp, active.kid);
  return { receipt: await signCompactJws(header, claims, active.privateKey), key_set: keySet };
}
