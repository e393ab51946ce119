import type { StateRow, StateTables } from '@countersign/protocol/state';
import type { PageLine } from './state-file.ts';

const textOr = (row: StateRow, column: string) => {
  const value = row[column];
  return typeof value === 'string' ? value : undefined;
};
const wholeOr = (row: StateRow, column: string) => {
  const value = row[column];
  return typeof value === 'number' ? value : 0;
};

/**
 * Which bindings have ended, by all that an export says: the epochs of the organization, which is read last, and the
 * tombstones that had reached each shard before its devices were read. A shard that a tombstone had not reached yet has
 * devices whose unbound certificates are still to be suspended.
 */
export class TombstoneIndex {
  /** By user: bindings of this epoch and of older ones have ended. */
  readonly #ended = new Map<string, number>();
  readonly #reached: Array<Map<string, number>> = [];
  readonly #deletedIntegrations = new Set<string>();

  add({ object, shard, tables }: PageLine): void {
    if (object === 'organization') {
      for (const row of tables.users ?? []) {
        this.#raise(this.#ended, textOr(row, 'user_id'), wholeOr(row, 'epoch') - 1);
      }
      for (const row of tables.tombstone_jobs ?? []) {
        const integration = textOr(row, 'integration_id');
        if (row.kind === 'integration' && integration !== undefined) {
          this.#deletedIntegrations.add(integration);
        }
      }
    }
    for (const row of tables.user_tombstones ?? []) {
      const [user, epoch] = [textOr(row, 'user_id'), wholeOr(row, 'epoch')];
      this.#raise(this.#ended, user, epoch);
      this.#reached[shard] ??= new Map();
      this.#raise(this.#reached[shard], user, epoch);
    }
  }

  #raise(epochs: Map<string, number>, user: string | undefined, epoch: number): void {
    if (user === undefined || epoch < 1) return;
    epochs.set(user, Math.max(epoch, epochs.get(user) ?? 0));
  }

  /** All of them, as rows that every new shard gets. */
  *rows(): Generator<StateRow, void, undefined> {
    for (const [user_id, epoch] of this.#ended) yield { user_id, epoch };
  }

  /** Integrations whose deletion may not have reached every shard, as rows that every new shard gets. */
  *integrationRows(): Generator<StateRow, void, undefined> {
    for (const integration_id of this.#deletedIntegrations) yield { integration_id };
  }

  /**
   * A page of devices of this exported shard, with the certificates suspended that a tombstone on its way would have
   * suspended: the unbound ones of each device on which an ended binding was made.
   */
  suspend(shard: number, tables: StateTables): StateTables {
    const certificates = tables.certificates ?? [];
    const devices = new Set(
      certificates
        .filter((row) => this.#isPending(shard, row))
        .map((row) => textOr(row, 'device_id')),
    );
    if (devices.size === 0) return tables;
    const isHit = (row: StateRow) =>
      devices.has(textOr(row, 'device_id')) &&
      textOr(row, 'bound_user') === undefined &&
      (row.status === 'intent' || row.status === 'issued' || row.status === 'superseded');
    return {
      ...tables,
      certificates: certificates.map((row) => (isHit(row) ? { ...row, status: 'suspended' } : row)),
    };
  }

  #isPending(shard: number, row: StateRow): boolean {
    const bound = textOr(row, 'bound_user');
    const user = bound ?? textOr(row, 'requested_user');
    const ended = user === undefined ? undefined : this.#ended.get(user);
    if (user === undefined || ended === undefined) return false;
    const reached = this.#reached[shard]?.get(user) ?? 0;
    const epoch = wholeOr(row, bound === undefined ? 'requested_epoch' : 'bound_epoch');
    return reached < ended && epoch <= ended;
  }
}
