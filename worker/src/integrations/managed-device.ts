import type { Platform, PostureSwitches } from '@countersign/protocol/posture';
import { normalizeHardwareId } from '../device/hardware-id.ts';

/** A device as its management knows it, whichever one that is. */
export type ManagedDevice = {
  /** The management's own id of the record. */
  readonly mdmId: string;
  readonly managed: boolean;
  /** As the management spells them. */
  readonly serialNumber?: string;
  readonly hardwareUuid?: string;
  /** Milliseconds since 1970; absent where the management does not say. */
  readonly lastCheckInMs?: number;
  readonly platform?: Platform;
  readonly osVersion?: string;
  readonly user?: string;
  readonly compliant?: boolean;
  /** How the device is kept, as far as the management says. */
  readonly posture?: PostureSwitches;
  /** When the management last looked at that, and at the version of the system; milliseconds since 1970. */
  readonly postureAtMs?: number;
};

/** By what a device is looked up: at least one. */
export type DeviceIdentity = {
  readonly serialNumber?: string;
  readonly hardwareUuid?: string;
};

export type DeviceVerdict =
  | { readonly ok: true; readonly device: ManagedDevice }
  | {
      readonly ok: false;
      readonly code: 'device_not_managed' | 'device_check_in_stale';
      readonly detail: string;
    };

/** In the one spelling that devices are compared in; `undefined` for placeholders and what is malformed. */
export function normalizeIdentity({ serialNumber, hardwareUuid }: DeviceIdentity): DeviceIdentity {
  const serial =
    serialNumber === undefined ? undefined : normalizeHardwareId({ serial_number: serialNumber });
  const uuid =
    hardwareUuid === undefined ? undefined : normalizeHardwareId({ hardware_uuid: hardwareUuid });
  return {
    ...(serial?.ok === true && serial.value.serialNumber !== undefined
      ? { serialNumber: serial.value.serialNumber }
      : {}),
    ...(uuid?.ok === true && uuid.value.hardwareUuid !== undefined
      ? { hardwareUuid: uuid.value.hardwareUuid }
      : {}),
  };
}

/** For each thing that both sides know, whether they know the same. */
function compare(one: DeviceIdentity, other: DeviceIdentity): boolean[] {
  const [left, right] = [normalizeIdentity(one), normalizeIdentity(other)];
  return (['serialNumber', 'hardwareUuid'] as const)
    .filter((name) => left[name] !== undefined && right[name] !== undefined)
    .map((name) => left[name] === right[name]);
}

/** Whatever both sides know is the same, and there is something that both know. */
export function isSameDevice(one: DeviceIdentity, other: DeviceIdentity): boolean {
  const compared = compare(one, other);
  return compared.length > 0 && compared.every((isSame) => isSame);
}

/** There is something that both sides know, and know differently. */
export function contradict(one: DeviceIdentity, other: DeviceIdentity): boolean {
  return compare(one, other).includes(false);
}

/** The record of a device among those that a look-up found: a managed one, heard of last. */
export function pickRecord(
  records: readonly ManagedDevice[],
  identity: DeviceIdentity,
): ManagedDevice | undefined {
  const rank = ({ managed, lastCheckInMs = 0 }: ManagedDevice) =>
    [managed ? 1 : 0, lastCheckInMs] as const;
  return records
    .filter((record) => isSameDevice(record, identity))
    .sort((one, other) => {
      const [left, right] = [rank(one), rank(other)];
      return right[0] - left[0] || right[1] - left[1];
    })[0];
}

/** Is this device managed, and heard of lately? A management that does not say when is not believed. */
export function judgeDevice(
  records: readonly ManagedDevice[],
  identity: DeviceIdentity,
  maxCheckInAgeSeconds: number,
  nowMs: number,
): DeviceVerdict {
  const record = pickRecord(records, identity);
  if (record === undefined) {
    const detail =
      records.length === 0
        ? 'the management knows no such device'
        : 'the management knows the serial number or the hardware UUID, but not both as one device';
    return { ok: false, code: 'device_not_managed', detail };
  }
  if (!record.managed) {
    return {
      ok: false,
      code: 'device_not_managed',
      detail: `record ${record.mdmId} is not managed`,
    };
  }
  const { lastCheckInMs } = record;
  if (lastCheckInMs === undefined || nowMs - lastCheckInMs > maxCheckInAgeSeconds * 1000) {
    const since = lastCheckInMs === undefined ? 'never' : new Date(lastCheckInMs).toISOString();
    const detail = `the last check-in of record ${record.mdmId} was: ${since}`;
    return { ok: false, code: 'device_check_in_stale', detail };
  }
  return { ok: true, device: record };
}

/** @param text RFC 3339; `undefined` for everything else */
export function readTime(text: string | null | undefined): number | undefined {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? undefined : time;
}

type DeviceFacts = Omit<ManagedDevice, 'mdmId' | 'managed'>;

const isKnown = ([, value]: readonly [string, unknown]) =>
  value !== undefined && value !== null && value !== '';

/** Leaves out what is not known. */
export function managedDevice(
  device: Pick<ManagedDevice, 'mdmId' | 'managed'> & {
    readonly [Name in keyof Omit<DeviceFacts, 'posture'>]: DeviceFacts[Name] | null | undefined;
  } & {
    readonly posture?: { readonly [Name in keyof PostureSwitches]: boolean | null | undefined };
  },
): ManagedDevice {
  const { mdmId, managed, posture, ...others } = device;
  const known = Object.entries(others).filter(isKnown);
  const switches = Object.entries(posture ?? {}).filter(isKnown);
  return {
    mdmId,
    managed,
    ...Object.fromEntries(known),
    ...(switches.length === 0 ? {} : { posture: Object.fromEntries(switches) }),
  };
}
