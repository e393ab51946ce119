import { encodeBase64url } from '@countersign/protocol';
import { appendEvent } from '../audit/append-event.ts';
import { type ChainHead, emptyChain } from '../audit/hash-chain.ts';
import type { AdminEventType } from '../audit/system-log-event.ts';
import { raiseVersion, readVersion } from './organization-settings.ts';

/** What a change is in the organization's log. `debug_data` holds no secret. */
export type AdminEvent = {
  readonly event_type: AdminEventType;
  /** Left out: a success. */
  readonly outcome?: 'FAILURE';
  readonly reason?: string;
  readonly user?: string;
  readonly integration_id?: string;
  readonly debug_data?: Readonly<Record<string, string>>;
};

/** What a use case did: `event` is absent when everything was as it should be already. */
export type Outcome<Value> = {
  readonly ok: true;
  readonly value: Value;
  readonly event: AdminEvent | undefined;
  /** Where one request changed more than one thing. */
  readonly further?: readonly AdminEvent[];
};

/** `changed` and the organization's version, for every change that was not refused. */
export type Recorded<Value> = {
  readonly ok: true;
  readonly value: Value;
  readonly version: number;
  readonly changed: boolean;
};

/** `event`: what is in the log all the same, because somebody must look at it. */
export type Refusal = { readonly ok: false; readonly event?: AdminEvent | undefined };

/** The chain of the organization's own log. An import brings its rows as they are, so it has no other beginning. */
export function readOrganizationHead(sql: SqlStorage): ChainHead {
  const [row] = sql
    .exec<{ sequence: number; hash: ArrayBuffer }>(
      'SELECT sequence, hash FROM decisions ORDER BY sequence DESC LIMIT 1',
    )
    .toArray();
  return row === undefined ? emptyChain : { count: row.sequence, hash: new Uint8Array(row.hash) };
}

/** 16 random bytes. */
export const randomId = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));

/** Appends to the organization's log that an administrator has done this. */
export function appendAdminEvent(
  sql: SqlStorage,
  adminId: string,
  { debug_data = {}, ...event }: AdminEvent,
  nowMs: number,
): void {
  appendEvent(
    sql,
    readOrganizationHead(sql),
    { outcome: 'SUCCESS', ...event, actor: { type: 'admin', id: adminId }, debug_data },
    { shard: 'organization', nowMs, randomId },
  );
}

/** What is answered to a change, of what its use case returned. */
export type RecordedOf<Result> = Result extends Outcome<infer Value> ? Recorded<Value> : Result;

/**
 * The one way to change the organization, as a block of its object or part of one: what has changed raises the
 * version, so that snapshots are read anew, and is in the log with who did it. A refusal is answered as it is.
 */
export function recordChange<Result extends Outcome<unknown> | Refusal>(
  sql: SqlStorage,
  adminId: string,
  nowMs: number,
  change: () => Result,
): RecordedOf<Result>;
export function recordChange(
  sql: SqlStorage,
  adminId: string,
  nowMs: number,
  change: () => Outcome<unknown> | Refusal,
): Recorded<unknown> | Refusal {
  const outcome = change();
  if (!outcome.ok) {
    if (outcome.event !== undefined) appendAdminEvent(sql, adminId, outcome.event, nowMs);
    return outcome;
  }
  const { value, event, further = [] } = outcome;
  if (event === undefined) return { ok: true, value, version: readVersion(sql), changed: false };
  const version = raiseVersion(sql);
  for (const each of [event, ...further]) appendAdminEvent(sql, adminId, each, nowMs);
  return { ok: true, value, version, changed: true };
}
