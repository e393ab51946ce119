// After an import: which devices a management is asked about is found in the shards, whatever interrupts it.
import { env, runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import type { DescribedDevice } from '../../worker/src/device/list-devices.ts';
import { integrationMigrations } from '../../worker/src/integrations/integration-schema.ts';
import {
  beginResumption,
  readResumption,
  resumeWatching,
} from '../../worker/src/integrations/resume-watching.ts';
import { DurableStore } from '../../worker/src/storage/durable-store.ts';
import { shardObject } from './test-objects.ts';
import { enrolledInShard } from './test-users.ts';

const integrationId = `int_${'R'.repeat(22)}`;
const shardCount = 3;

/** A device that is on record. */
async function describedDevice(): Promise<DescribedDevice> {
  const { deviceId } = await enrolledInShard(0);
  const listed = await shardObject(0).listDevices('', 200);
  if (!listed.ok) throw new Error(listed.code);
  const found = listed.devices.find(({ device }) => device.device_id === deviceId);
  if (found === undefined) throw new Error('the device is not on record');
  return found;
}

it('watches every device with a live certificate of the integration, once', async () => {
  const model = await describedDevice();
  const [certificate] = model.certificates;
  if (certificate === undefined) throw new Error('the device has a certificate');
  const deviceOf = (shard: number, number: number): DescribedDevice => {
    const isOurs = number % 3 !== 1;
    const device_id = `device-${shard}-${String(number).padStart(4, '0')}`;
    return {
      device: { ...model.device, device_id, serial_number: `SERIAL${shard}X${number}` },
      certificates: [
        {
          ...certificate,
          integration_id: isOurs ? integrationId : '',
          status: number % 3 === 2 ? 'revoked' : 'issued',
        },
      ],
    };
  };
  const shards = Array.from({ length: shardCount }, (_, shard) =>
    Array.from({ length: shard === 1 ? 0 : 450 }, (__, number) => deviceOf(shard, number)),
  );
  let calls = 0;
  const stub = env.INTEGRATION.get(env.INTEGRATION.idFromName('resumption'));
  await runInDurableObject(stub, async (_, { storage }) => {
    const store = new DurableStore(storage, integrationMigrations);
    await store.write((sql) => beginResumption(sql, integrationId, Date.now(), 3_600_000));
    const resume = () =>
      resumeWatching({
        store,
        integrationId,
        shardCount,
        pollIntervalMs: 3_600_000,
        now: Date.now,
        listDevices: async (shard, after, limit) => {
          calls++;
          if (calls % 3 === 0) return { ok: false };
          const rows = shards[shard]?.filter((row) => row.device.device_id > after) ?? [];
          return { ok: true, devices: rows.slice(0, limit) };
        },
      });
    const outcomes = [];
    do outcomes.push(await resume());
    while (store.read(readResumption) !== undefined);
    expect(outcomes.at(-1)).toBe('done');
    expect(outcomes).toContain('failed');
    const watched = storage.sql.exec('SELECT device_id FROM watched_devices').toArray();
    const expected = shards
      .flat()
      .filter((__, at) => at % 3 === 0)
      .map(({ device }) => device.device_id);
    expect(watched.map(({ device_id }) => device_id).toSorted()).toEqual(expected.toSorted());
  });
});
