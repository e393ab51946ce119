import type { DescribedDevice } from '../device/list-devices.ts';
import { type DurableStore, isUnavailable } from '../storage/durable-store.ts';
import type { DeviceIdentity } from './managed-device.ts';
import { beginPolling } from './poll-management.ts';
import { watchDevice } from './watched-devices.ts';

/**
 * After an import nobody remembers which devices a management is to be asked about. The shards are read one after the
 * other, a page at a time, and each device that has a certificate of the integration is watched again.
 */

const pageSize = 200;
const pagesAtOnce = 10;

type Resumption = { readonly shard: number; readonly after: string };

export type ResumeContext = {
  readonly store: DurableStore;
  readonly integrationId: string;
  readonly shardCount: number;
  readonly pollIntervalMs: number;
  readonly now: () => number;
  readonly listDevices: (
    shard: number,
    after: string,
    limit: number,
  ) => Promise<
    { readonly ok: true; readonly devices: readonly DescribedDevice[] } | { readonly ok: false }
  >;
};

export function beginResumption(
  sql: SqlStorage,
  integrationId: string,
  nowMs: number,
  pollIntervalMs: number,
): void {
  beginPolling(sql, integrationId, nowMs, pollIntervalMs);
  sql.exec(
    `INSERT INTO resumption (id, shard, after) VALUES (1, 0, '')
     ON CONFLICT (id) DO UPDATE SET shard = 0, after = ''`,
  );
}

export function readResumption(sql: SqlStorage): Resumption | undefined {
  return sql.exec<Resumption>('SELECT shard, after FROM resumption').toArray()[0];
}

const live: ReadonlySet<string> = new Set(['issued', 'bound', 'suspended', 'superseded']);

function identityOf({ device }: DescribedDevice): DeviceIdentity {
  const { serial_number, hardware_uuid } = device;
  return {
    ...(serial_number === null ? {} : { serialNumber: serial_number }),
    ...(hardware_uuid === null ? {} : { hardwareUuid: hardware_uuid }),
  };
}

/** @returns `failed` when a shard did not answer, `more` when there are pages left */
export async function resumeWatching(context: ResumeContext): Promise<'done' | 'more' | 'failed'> {
  const { store, integrationId, shardCount, pollIntervalMs, now, listDevices } = context;
  for (let page = 0; page < pagesAtOnce; page++) {
    const place = store.read(readResumption);
    if (place === undefined) return 'done';
    if (isUnavailable(place)) return 'failed';
    const { shard, after } = place;
    if (shard >= shardCount) {
      await store.write((sql) => sql.exec('DELETE FROM resumption'));
      return 'done';
    }
    const listed = await listDevices(shard, after, pageSize);
    if (!listed.ok) return 'failed';
    const { devices } = listed;
    const last = devices.at(-1)?.device.device_id;
    const taken = await store.write((sql) => {
      const { round } = beginPolling(sql, integrationId, now(), pollIntervalMs);
      for (const described of devices) {
        const isOurs = described.certificates.some(
          ({ integration_id, status }) => integration_id === integrationId && live.has(status),
        );
        if (!isOurs) continue;
        const identity = identityOf(described);
        watchDevice(sql, described.device.device_id, identity, identity, round - 1);
      }
      const isShardDone = devices.length < pageSize || last === undefined;
      sql.exec(
        'UPDATE resumption SET shard = ?, after = ?',
        isShardDone ? shard + 1 : shard,
        isShardDone ? '' : last,
      );
      return true;
    });
    if (isUnavailable(taken)) return 'failed';
  }
  return 'more';
}
