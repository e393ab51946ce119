import { describe, expect, it } from 'vitest';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { integrationMigrations } from './integration-schema.ts';
import { inventoryClient } from './inventory-records.ts';
import type { ManagedDevice } from './managed-device.ts';
import { postureReportOf } from './posture-report.ts';
import { latestOfEach, markTold, untoldReport } from './untold-reports.ts';
import { findWatched, watchDevice } from './watched-devices.ts';

const nowMs = 1_800_000_000_000;
const hourMs = 3_600_000;

const record = (change: Partial<ManagedDevice> = {}): ManagedDevice => ({
  mdmId: '13',
  managed: true,
  serialNumber: 'C02ABC123',
  osVersion: '14.5',
  posture: { disk_encryption: true },
  postureAtMs: nowMs - hourMs,
  ...change,
});

describe('postureReportOf', () => {
  it('is of the moment at which the management looked, and of none to come', () => {
    expect(postureReportOf(record(), nowMs)).toEqual({
      reported_at_ms: nowMs - hourMs,
      disk_encryption: true,
      os_version: '14.5',
    });
    const early = postureReportOf(record({ postureAtMs: nowMs + hourMs }), nowMs);
    expect(early?.reported_at_ms).toBe(nowMs);
  });

  it('is none where nothing is known, or not since when', () => {
    const { postureAtMs: _, ...timeless } = record();
    expect(postureReportOf(timeless, nowMs)).toBe(undefined);
    const unread = { posture: {}, platform: 'macos', osVersion: 'Sonoma' } as const;
    expect(postureReportOf(record(unread), nowMs)).toBe(undefined);
  });

  it.each([
    ['14.5', '14.5'],
    [' 15 ', '15'],
    ['13.4.1 (c)', '13.4.1'],
    ['10.0.22631.3737', '10.0.22631.3737'],
    ['14.5-beta', undefined],
    ['Sonoma 14', undefined],
    ['14.', undefined],
    ['', undefined],
  ])('reads the version %j as %s', (osVersion, version) => {
    expect(postureReportOf(record({ osVersion }), nowMs)?.os_version).toBe(version);
  });
});

describe('what a shard is told', () => {
  function watched() {
    const sql = fakeSqlStorage(integrationMigrations);
    const identity = { serialNumber: 'C02ABC123' };
    watchDevice(sql, 'device', identity, identity, 1);
    const due = (of: ManagedDevice, at = nowMs) => {
      const [device] = findWatched(sql, identity);
      return device && untoldReport(device, of, at, 6 * hourMs);
    };
    const tell = (of: ManagedDevice, at = nowMs) => {
      const report = due(of, at);
      if (report !== undefined) markTold(sql, report);
      return report !== undefined;
    };
    return { sql, identity, due, tell };
  }

  it('is told once, again when it changes, and before it stops counting', () => {
    const { tell } = watched();
    expect(tell(record())).toBe(true);
    expect(tell(record())).toBe(false);
    expect(tell(record({ postureAtMs: nowMs }), nowMs)).toBe(false);
    expect(tell(record({ postureAtMs: nowMs, posture: { disk_encryption: false } }))).toBe(true);
    const later = { posture: { disk_encryption: false }, postureAtMs: nowMs + 6 * hourMs };
    expect(tell(record(later), nowMs + 7 * hourMs)).toBe(true);
    expect(tell(record(later), nowMs + 7 * hourMs)).toBe(false);
  });

  it('is told the platform too, once the management names it', () => {
    const { tell, due } = watched();
    tell(record());
    const named = record({ platform: 'macos' });
    expect(due(named)?.posture).toMatchObject({ platform: 'macos', os_version: '14.5' });
    expect([tell(named), tell(named)]).toEqual([true, false]);
  });

  it('is told that the management says nothing any more', () => {
    const { tell, due } = watched();
    tell(record());
    const silent = record({ posture: {}, osVersion: '', lastCheckInMs: nowMs });
    expect(due(silent)).toMatchObject({ deviceId: 'device', posture: undefined });
    expect(tell(silent)).toBe(true);
    expect(tell(silent)).toBe(false);
  });

  it('is never told what is older: a management may have two records of a device', () => {
    const { tell, due } = watched();
    tell(record());
    const old = { posture: { disk_encryption: false }, postureAtMs: nowMs - 2 * hourMs };
    expect(due(record({ mdmId: 'old', ...old }))).toBe(undefined);
    const { postureAtMs: _, ...timeless } = record({ mdmId: 'old' });
    expect(due(timeless)).toBe(undefined);
  });

  it('is told anew after a certificate, which came with a word of its own', () => {
    const { sql, identity, tell } = watched();
    tell(record());
    watchDevice(sql, 'device', identity, identity, 2);
    expect(tell(record())).toBe(true);
  });

  it('is the latest of several on one page', () => {
    const { due } = watched();
    const reports = [
      due(record({ mdmId: 'new', postureAtMs: nowMs })),
      due(record({ mdmId: 'old' })),
      due(record({ mdmId: 'silent', posture: {}, osVersion: '', lastCheckInMs: nowMs })),
    ].filter((report) => report !== undefined);
    expect(reports).toHaveLength(3);
    expect(latestOfEach(reports).map(({ mdmId }) => mdmId)).toEqual(['new']);
  });
});

describe('rows from before managements reported posture', () => {
  const before = integrationMigrations.findIndex(({ id }) => id === '008_posture');
  const step = integrationMigrations[before];

  it('say nothing of it, and are told of all that is said from then on', async () => {
    const sql = fakeSqlStorage(integrationMigrations.slice(0, before));
    sql.exec(
      `INSERT INTO watched_devices (device_id, serial_number, asked_serial_number)
       VALUES ('device', 'C02ABC123', 'C02ABC123')`,
    );
    sql.exec("INSERT INTO inventory (serial_number, hardware_uuid) VALUES ('C02ABC123', '')");
    for (const statement of (step?.sql ?? '').split(';')) {
      if (statement.trim() !== '') sql.exec(statement);
    }
    const [device] = findWatched(sql, { serialNumber: 'C02ABC123' });
    if (device === undefined) throw new Error('the row is gone');
    expect(untoldReport(device, record(), nowMs, hourMs)).toMatchObject({ deviceId: 'device' });
    expect(untoldReport(device, record({ posture: {}, osVersion: '' }), nowMs, hourMs)).toBe(
      undefined,
    );
    const client = inventoryClient(
      (block) => block(sql),
      () => nowMs,
    );
    const found = await client.findDevices({ serialNumber: 'C02ABC123' });
    if (!found.ok) throw new Error(found.detail);
    expect(found.value).toHaveLength(1);
    expect(found.value.map((of) => postureReportOf(of, nowMs))).toEqual([undefined]);
  });
});
