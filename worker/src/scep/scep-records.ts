/**
 * What SCEP has to remember, in the integration's object: which key has spent a challenge that was given out, and which
 * key a transaction is of.
 */

const transactionKeptMs = 30 * 86_400_000;

/** What the management said of the device that a challenge is for, as it spelled it. */
export type ChallengedDevice = {
  readonly serialNumber?: string;
  readonly hardwareUuid?: string;
};

export type ScepTransaction = {
  readonly transactionSha256: Uint8Array;
  /** Of the key in the request. */
  readonly spkiSha256: Uint8Array;
  /** `undefined` in a renewal, which has none. */
  readonly challengeSha256: Uint8Array | undefined;
};

export type ScepTransactionAnswer =
  | {
      readonly ok: true;
      /** `unknown`: not one that was given out here; somebody else may know it. */
      readonly challenge: 'granted' | 'unknown';
      readonly device: ChallengedDevice;
      /** What this very request was answered with before. */
      readonly certificate: Uint8Array | undefined;
    }
  | {
      readonly ok: false;
      readonly code: 'scep_transaction_reused' | 'scep_challenge_spent' | 'scep_challenge_expired';
    };

function sameBytes(one: ArrayBuffer, other: Uint8Array): boolean {
  const bytes = new Uint8Array(one);
  return bytes.length === other.length && bytes.every((byte, i) => byte === other[i]);
}

type ChallengeRow = {
  serial_number: string;
  hardware_uuid: string;
  expires_at_ms: number;
  spent_by_spki_sha256: ArrayBuffer | null;
};
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
  { transactionSha256, spkiSha256, challengeSha256 }: ScepTransaction,
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
  const [challenge] =
    challengeSha256 === undefined
      ? []
      : sql
          .exec<ChallengeRow>(
            `SELECT serial_number, hardware_uuid, expires_at_ms, spent_by_spki_sha256
             FROM scep_challenges WHERE challenge_sha256 = ?`,
            challengeSha256,
          )
          .toArray();
  const isRepeated =
    challengeSha256 !== undefined &&
    known?.challenge_sha256 != null &&
    sameBytes(known.challenge_sha256, challengeSha256);
  const certificate = isRepeated ? new Uint8Array(known.certificate) : undefined;
  if (challenge === undefined || challengeSha256 === undefined) {
    return { ok: true, challenge: 'unknown', device: {}, certificate };
  }
  if (challenge.spent_by_spki_sha256 !== null) {
    if (!sameBytes(challenge.spent_by_spki_sha256, spkiSha256)) {
      return { ok: false, code: 'scep_challenge_spent' };
    }
  } else if (nowMs >= challenge.expires_at_ms) {
    return { ok: false, code: 'scep_challenge_expired' };
  } else {
    sql.exec(
      'UPDATE scep_challenges SET spent_by_spki_sha256 = ? WHERE challenge_sha256 = ?',
      spkiSha256,
      challengeSha256,
    );
  }
  return {
    ok: true,
    challenge: 'granted',
    device: {
      ...(challenge.serial_number === '' ? {} : { serialNumber: challenge.serial_number }),
      ...(challenge.hardware_uuid === '' ? {} : { hardwareUuid: challenge.hardware_uuid }),
    },
    certificate,
  };
}

/** Remembers what a transaction was answered with. Never moves a transaction to another key. */
export function keepScepTransaction(
  sql: SqlStorage,
  { transactionSha256, spkiSha256, challengeSha256 }: ScepTransaction,
  certificate: Uint8Array,
  nowMs: number,
): void {
  sql.exec('DELETE FROM scep_transactions WHERE kept_at_ms < ?', nowMs - transactionKeptMs);
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
}
