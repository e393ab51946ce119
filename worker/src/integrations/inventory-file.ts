import { platforms, postureSwitches, postureSwitchNames } from '@countersign/protocol/posture';
import * as z from 'zod/mini';
import { normalizeHardwareId } from '../device/hardware-id.ts';

/** The inventory of those who have no device management: one device on each line of a CSV file (RFC 4180). */

export type InventoryRow = {
  readonly serialNumber: string;
  readonly hardwareUuid: string;
  readonly posture?: InventoryPosture;
};

export type InventoryResult =
  | { readonly ok: true; readonly rows: readonly InventoryRow[] }
  /** `line` counts from 1, the header's. */
  | { readonly ok: false; readonly line: number; readonly detail: string };

export const maxInventoryRows = 100_000;

/** What a file may say of how a device is kept. */
export const inventoryPosture = z.object({
  ...postureSwitches,
  platform: z.optional(z.enum(platforms)),
  os_version: z.optional(z.string()),
});
export type InventoryPosture = z.infer<typeof inventoryPosture>;

const identities = ['serial_number', 'hardware_uuid'] as const;
const columns = [...identities, ...postureSwitchNames, 'platform', 'os_version'] as const;
type Column = (typeof columns)[number];

/** A line's fields; `undefined` where the quotes of one do not match. */
function splitLine(line: string): string[] | undefined {
  if (!line.includes('"')) return line.split(',').map((field) => field.trim());
  const fields = line.match(/(^|,)\s*("(?:[^"]|"")*"|[^",]*)\s*(?=,|$)/g);
  if (fields === null || fields.join('') !== line) return undefined;
  return fields.map((field) => {
    const text = field.replace(/^,/, '').trim();
    return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"').trim() : text;
  });
}

function readHeader(line: string): (Column | undefined)[] | undefined {
  const names = splitLine(line)?.map((name) => name.toLowerCase());
  if (names === undefined) return undefined;
  const found = names.map((name) => columns.find((column) => column === name));
  const known = found.filter((column) => column !== undefined);
  const namesDevices = identities.some((column) => known.includes(column));
  return namesDevices && new Set(known).size === known.length ? found : undefined;
}

type Given = Partial<Record<Column, string>>;

function readPosture(
  given: Given,
):
  | { readonly ok: true; readonly posture: InventoryPosture }
  | { readonly ok: false; readonly detail: string } {
  const posture: InventoryPosture = {};
  for (const name of postureSwitchNames) {
    const text = given[name]?.toLowerCase();
    if (text === undefined) continue;
    if (text !== 'true' && text !== 'false') {
      return { ok: false, detail: `${name} must be true, false or empty` };
    }
    posture[name] = text === 'true';
  }
  if (given.platform !== undefined) {
    const platform = platforms.find((known) => known === given.platform?.toLowerCase());
    if (platform === undefined) {
      return { ok: false, detail: `platform must be one of ${platforms.join(', ')} or empty` };
    }
    posture.platform = platform;
  }
  const { os_version } = given;
  if (os_version === undefined) return { ok: true, posture };
  return /^\d{1,9}(\.\d{1,9}){0,9}$/.test(os_version)
    ? { ok: true, posture: { ...posture, os_version } }
    : { ok: false, detail: 'os_version must be numbers with dots, such as 14.5' };
}

type RowResult =
  | { readonly ok: true; readonly row: InventoryRow }
  | { readonly ok: false; readonly detail: string };

function readRow(line: string, header: readonly (Column | undefined)[]): RowResult {
  const fields = splitLine(line);
  if (fields === undefined) return { ok: false, detail: 'the quotes of a field do not match' };
  if (fields.length !== header.length) {
    return { ok: false, detail: `has ${fields.length} fields, the header ${header.length}` };
  }
  const given: Given = {};
  fields.forEach((field, at) => {
    const column = header[at];
    if (column !== undefined && field !== '') given[column] = field;
  });
  const named: Pick<Given, (typeof identities)[number]> = {
    ...(given.serial_number === undefined ? {} : { serial_number: given.serial_number }),
    ...(given.hardware_uuid === undefined ? {} : { hardware_uuid: given.hardware_uuid }),
  };
  if (Object.keys(named).length === 0) {
    return { ok: false, detail: 'has neither serial_number nor hardware_uuid' };
  }
  const normalized = normalizeHardwareId(named);
  if (!normalized.ok) {
    const what = normalized.field.replace('hardware_id.', '');
    const isPlaceholder = normalized.code === 'hardware_id_placeholder';
    return { ok: false, detail: `${what} is ${isPlaceholder ? 'a placeholder' : 'malformed'}` };
  }
  const kept = readPosture(given);
  if (!kept.ok) return kept;
  const { posture } = kept;
  const { serialNumber = '', hardwareUuid = '' } = normalized.value;
  return {
    ok: true,
    row: {
      serialNumber,
      hardwareUuid,
      ...(Object.keys(posture).length === 0 ? {} : { posture }),
    },
  };
}

/**
 * Reads an inventory: a header that names `serial_number`, `hardware_uuid` or both, in any order, and what it says of how
 * devices are kept, other columns being ignored; then a device on each line. Empty lines count as lines and are skipped. Nothing is taken when one is wrong.
 */
export function parseInventory(text: string): InventoryResult {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const header = readHeader(lines[0] ?? '');
  if (header === undefined) {
    return {
      ok: false,
      line: 1,
      detail: 'must name the columns serial_number, hardware_uuid or both, each once',
    };
  }
  const rows: InventoryRow[] = [];
  const lineOf = new Map<string, number>();
  for (const [at, line] of lines.entries()) {
    const number = at + 1;
    if (at === 0 || line.trim() === '') continue;
    if (rows.length === maxInventoryRows) {
      return { ok: false, line: number, detail: `is one more than ${maxInventoryRows} devices` };
    }
    const read = readRow(line, header);
    if (!read.ok) return { ok: false, line: number, detail: read.detail };
    const { serialNumber, hardwareUuid } = read.row;
    for (const name of [serialNumber && `s${serialNumber}`, hardwareUuid && `u${hardwareUuid}`]) {
      if (name === '') continue;
      const before = lineOf.get(name);
      if (before !== undefined) {
        return { ok: false, line: number, detail: `names a device of line ${before} again` };
      }
      lineOf.set(name, number);
    }
    rows.push(read.row);
  }
  if (rows.length === 0)
    return { ok: false, line: lines.length, detail: 'there is no device in it' };
  return { ok: true, rows };
}
