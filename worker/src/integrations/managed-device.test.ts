import { describe, expect, it } from 'vitest';
import { isSameDevice, judgeDevice, type ManagedDevice, pickRecord } from './managed-device.ts';

const nowMs = Date.parse('2026-11-20T10:00:00Z');
const daySeconds = 86_400;
const uuid = 'EBBFF74D-B1A2-4C3D-8E4F-001122334455';
const otherUuid = 'EBBFF74D-B1A2-4C3D-8E4F-001122334456';
const record = (changes: Partial<ManagedDevice> = {}): ManagedDevice => ({
  mdmId: '13',
  managed: true,
  serialNumber: 'C02ABC123',
  hardwareUuid: uuid,
  lastCheckInMs: nowMs - 1000,
  ...changes,
});
const codeOf = (
  records: ManagedDevice[],
  identity = { serialNumber: 'C02ABC123', hardwareUuid: uuid },
) => {
  const verdict = judgeDevice(records, identity, daySeconds, nowMs);
  return verdict.ok ? verdict.device.mdmId : verdict.code;
};

describe('isSameDevice', () => {
  it('needs all that both know to be the same, whatever its spelling', () => {
    expect(isSameDevice({ serialNumber: 'c02-abc 123' }, { serialNumber: 'C02ABC123' })).toBe(true);
    expect(
      isSameDevice(
        { hardwareUuid: uuid.toLowerCase() },
        { hardwareUuid: uuid, serialNumber: 'C02ABC123' },
      ),
    ).toBe(true);
    const one = { serialNumber: 'C02ABC123', hardwareUuid: uuid };
    expect(isSameDevice(one, { ...one, hardwareUuid: otherUuid })).toBe(false);
    expect(isSameDevice(one, { ...one, serialNumber: 'C02ABC124' })).toBe(false);
  });

  it('is false where both know nothing, or placeholders', () => {
    expect(isSameDevice({ serialNumber: 'C02ABC123' }, { hardwareUuid: uuid })).toBe(false);
    expect(isSameDevice({}, {})).toBe(false);
    const placeholder = { serialNumber: 'System Serial Number' };
    expect(isSameDevice(placeholder, placeholder)).toBe(false);
  });
});

describe('judgeDevice', () => {
  it('knows managed, unmanaged, unknown, other and stale devices apart', () => {
    expect(codeOf([record()])).toBe('13');
    expect(codeOf([record({ managed: false })])).toBe('device_not_managed');
    expect(codeOf([])).toBe('device_not_managed');
    expect(codeOf([record({ hardwareUuid: otherUuid })])).toBe('device_not_managed');
    expect(codeOf([record({ lastCheckInMs: nowMs - daySeconds * 1000 })])).toBe('13');
    expect(codeOf([record({ lastCheckInMs: nowMs - daySeconds * 1000 - 1 })])).toBe(
      'device_check_in_stale',
    );
    const { lastCheckInMs: _, ...silent } = record();
    expect(codeOf([silent])).toBe('device_check_in_stale');
  });

  it('takes the managed record that was heard of last', () => {
    const records = [
      record({ mdmId: 'old', lastCheckInMs: nowMs - 5000 }),
      record({ mdmId: 'new' }),
      record({ mdmId: 'given up', managed: false, lastCheckInMs: nowMs }),
      record({ mdmId: 'other', serialNumber: 'C02ABC124' }),
    ];
    expect(codeOf(records)).toBe('new');
    expect(pickRecord(records.slice(2), { serialNumber: 'C02ABC123' })?.mdmId).toBe('given up');
  });
});
