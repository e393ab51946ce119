import type { DeviceIdentity } from '../integrations/managed-device.ts';
import { spendScepChallenge } from '../integrations/scep-challenges.ts';

/** What SCEP has to remember beside challenges, in the integration's object: which key a transaction is of. */

const transactionKeptMs = 30 * 86_400_000;

export type ScepTransaction = {
  readonly transactionSha256: Uint8Array;
  /** Of the key in the request. */
  readonly spkiSha256: Uint8Array;
  /** `undefined` in a renewal, which has none. */
  readonly challengeSha256: Uint8Array | undefined;
  /** The device that the request names, if it names one. */
  readonly device: DeviceIdentity;
};

export type ScepTransactionAnswer =
  | {
      readonly ok: true;
      /** `unknown`: not one that was given out here; somebody else may know it. */
      readonly challenge: 'granted' | 'unknown';
      /** The device that the challenge was given out for; empty where it names none. */
      readonly device: DeviceIdentity;
      /** What this very request was answered with before. */
      readonly certificate: Uint8Array | undefined;
    }
  | {
      readonly ok: false;
      readonly code:
        | 'scep_transaction_reused'
        | 'scep_challenge_spent'
        | 'scep_challenge_expired'
        | 'scep_challenge_wrong_device';
    };

function sameBytes(one: ArrayBuffer, other: Uint8Array): boolean {
  const bytes = new Uint8Array(one);
  return bytes.length === other.length && bytes.every((byte, i) => byte === other[i]);
}

type TransactionRow = {
  spki_sha256: ArrayBuffer;
  challenge_sha256: ArrayBuffer | null;
  certificate: ArrayBuffer;
};

/**
 * One synchronous block: is the transaction of this key, and does the challenge permit it? A challenge is spent by the
 * first key that comes with it, and stays that key's: the same request may come again, another one may not.
 */
export function takeScepTransaction(
  sql: SqlStorage,
  { transactionSha256, spkiSha256, challengeSha256, device }: ScepTransaction,
  nowMs: number,
): ScepTransactionAnswer {
  const [known] = sql
    .exec<TransactionRow>(
      `SELECT spki_sha256, challenge_sha256, certificate FROM scep_transactions
       WHERE transaction_sha256 = ?`,
      transactionSha256,
    )
    .toArray();
  if (known !== undefined && !sameBytes(known.spki_sha256, spkiSha256)) {
    return { ok: false, code: 'scep_transaction_reused' };
  }
  if (challengeSha256 === undefined) {
    return { ok: true, challenge: 'unknown', device: {}, certificate: undefined };
  }
  if (isOfOtherKey(sql, challengeSha256, spkiSha256)) {
    return { ok: false, code: 'scep_challenge_spent' };
  }
  const isRepeated =
    known?.challenge_sha256 != null && sameBytes(known.challenge_sha256, challengeSha256);
  const certificate = isRepeated ? new Uint8Array(known.certificate) : undefined;
  const spent = spendScepChallenge(sql, challengeSha256, spkiSha256, device, nowMs);
  if (spent.ok) return { ok: true, challenge: 'granted', device: spent.device, certificate };
  const { code } = spent;
  return code === 'scep_challenge_invalid'
    ? { ok: true, challenge: 'unknown', device: {}, certificate }
    : { ok: false, code };
}

/**
 * Has another key got a certificate by this challenge? Whoever gave it out, as Intune does, may say yes to any number of
 * keys; it permits one.
 */
function isOfOtherKey(
  sql: SqlStorage,
  challengeSha256: Uint8Array,
  spkiSha256: Uint8Array,
): boolean {
  const others = sql.exec(
    'SELECT 1 FROM scep_transactions WHERE challenge_sha256 = ? AND spki_sha256 <> ? LIMIT 1',
    challengeSha256,
    spkiSha256,
  );
  return others.toArray().length > 0;
}

/**
 * Remembers what a transaction was answered with. Never moves a transaction to another key, nor a challenge: of two keys
 * that came with one at the same time, the second certificate does not go out.
 */
export function keepScepTransaction(
  sql: SqlStorage,
  { transactionSha256, spkiSha256, challengeSha256 }: Omit<ScepTransaction, 'device'>,
  certificate: Uint8Array,
  nowMs: number,
): { readonly ok: true } | { readonly ok: false; readonly code: 'scep_challenge_spent' } {
  sql.exec('DELETE FROM scep_transactions WHERE kept_at_ms < ?', nowMs - transactionKeptMs);
  if (challengeSha256 !== undefined && isOfOtherKey(sql, challengeSha256, spkiSha256)) {
    return { ok: false, code: 'scep_challenge_spent' };
  }
  sql.exec(
    `INSERT INTO scep_transactions
       (transaction_sha256, spki_sha256, challenge_sha256, certificate, kept_at_ms)
     VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (transaction_sha256) DO UPDATE SET challenge_sha256 = excluded.challenge_sha256,
       certificate = excluded.certificate, kept_at_ms = excluded.kept_at_ms
       WHERE spki_sha256 = excluded.spki_sha256`,
    transactionSha256,
    spkiSha256,
    challengeSha256 ?? null,
    certificate,
    nowMs,
  );
  return { ok: true };
}
