import { DurableObject } from 'cloudflare:workers';
import type { StateRow, StateSection } from '@countersign/protocol/state';
import type { Environment } from '../config/environment.ts';
import { DurableStore } from '../storage/durable-store.ts';
import { exportTable, type PageRange } from '../storage/export-tables.ts';
import { importBlock } from '../storage/import-block.ts';
import { bytesOf, importRows } from '../storage/import-rows.ts';
import { markIn, readChanges } from '../storage/state-marks.ts';
import { keyMigrations } from './key-schema.ts';

export type ClaimResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly code: 'key_of_other_device' | 'key_blocked' | 'storage_unavailable';
    };

/**
 * Which device holds a public key, and which keys are blocked for ever; one object for each shard of key hashes. Asked
 * when a certificate is issued, never at sign-in.
 */
export class KeyObject extends DurableObject<Environment> {
  readonly #store: DurableStore;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, keyMigrations);
  }

  /** Gives the key to the device if nobody has it. Idempotent for the same device. */
  async claim(spkiSha256: Uint8Array, deviceId: string): Promise<ClaimResult> {
    return await this.#store.write((sql): ClaimResult => {
      const [row] = sql
        .exec<{ device_id: string | null; blocked: number }>(
          'SELECT device_id, blocked FROM keys WHERE spki_sha256 = ?',
          spkiSha256,
        )
        .toArray();
      if (row !== undefined && row.blocked !== 0) return { ok: false, code: 'key_blocked' };
      if (row !== undefined && row.device_id !== deviceId) {
        return { ok: false, code: 'key_of_other_device' };
      }
      if (row === undefined) {
        sql.exec('INSERT INTO keys (spki_sha256, device_id) VALUES (?, ?)', spkiSha256, deviceId);
      }
      return { ok: true };
    });
  }

  /** Blocks the key for ever, whoever holds it. Idempotent. */
  async block(spkiSha256: Uint8Array): Promise<ClaimResult> {
    return await this.#store.write((sql): ClaimResult => {
      sql.exec(
        `INSERT INTO keys (spki_sha256, device_id, blocked) VALUES (?, NULL, 1)
         ON CONFLICT (spki_sha256) DO UPDATE SET blocked = 1 WHERE blocked = 0`,
        spkiSha256,
      );
      return { ok: true };
    });
  }

  async stateMark() {
    return await markIn(this.#store, (sql) => ({ changes: readChanges(sql) }));
  }

  async exportState(section: StateSection, range: PageRange) {
    return this.#store.read((sql) => {
      return { ok: true, page: exportTable(sql, section, range) } as const;
    });
  }

  /** Stores keys of an export. One that is blocked already, for a revoked certificate, stays so. */
  async importKeys(rows: readonly StateRow[]) {
    return await importBlock(this.#store, (sql) => {
      for (const row of rows) {
        const removed = sql
          .exec<{ blocked: number }>(
            'DELETE FROM keys WHERE spki_sha256 = ? RETURNING blocked',
            bytesOf(row, 'spki_sha256'),
          )
          .toArray();
        const blocked = removed.some((known) => known.blocked !== 0) || row.blocked !== 0;
        importRows(sql, 'keys', [{ ...row, blocked: blocked ? 1 : 0 }]);
      }
    });
  }
}
