import { type DecisionReason, decodeBase64url } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { parseDecision } from '../audit/decision-receipt.ts';
import { readDecisionPage } from './decision-record.ts';
import { lostStanding, type StandingFacts } from './lost-standing.ts';
import { findCertificates } from './named-certificates.ts';

/** Which row somebody shows by a decision token. */
export type ShownRow = {
  readonly sequence: number;
  /** `jti` of the token: after an import another row can have this number. */
  readonly tokenId: string;
};

/** A sign-in on record, and what it has lost since of what it rests on. */
export type ShownSignIn = {
  readonly record: DecisionRecord;
  readonly lost: DecisionReason | undefined;
};

/** `undefined` where the row is not that of the token. Reads only. */
export function findShownSignIn(
  sql: SqlStorage,
  { sequence, tokenId }: ShownRow,
  facts: StandingFacts,
  nowMs: number,
): ShownSignIn | undefined {
  const [row] = readDecisionPage(sql, sequence - 1, 1);
  if (row?.sequence !== sequence) return undefined;
  const record = parseDecision(row.record);
  if (record === undefined || record.token?.jti !== tokenId) return undefined;
  const named = [record.certificate_sha256, record.mtls_certificate_sha256].filter(
    (text) => text !== undefined,
  );
  const found = findCertificates(
    sql,
    named.map((text) => decodeBase64url(text)),
  );
  return { record, lost: lostStanding(sql, record, found, facts, nowMs) };
}
