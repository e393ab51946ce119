import * as z from 'zod/mini';
import { type ManagedDevice, managedDevice, readTime } from '../managed-device.ts';
import type { MdmClient, MdmContext } from '../mdm-client.ts';
import { askMdmFor } from '../mdm-request.ts';
import { platformNamed } from '../platform-name.ts';

const pageSize = 300;

const text = z.optional(z.nullable(z.string()));
const device = z.object({
  device_id: z.string(),
  serial_number: text,
  platform: text,
  os_version: text,
  last_check_in: text,
  // An object, or an empty text where nobody is assigned.
  user: z.optional(z.nullable(z.union([z.string(), z.object({ email: text })]))),
  mdm_enabled: z.optional(z.boolean()),
  is_removed: z.optional(z.boolean()),
});
const devices = z.array(device);

function deviceOf(record: z.infer<typeof device>): ManagedDevice {
  const { user } = record;
  return managedDevice({
    mdmId: record.device_id,
    managed: record.is_removed !== true && record.mdm_enabled !== false,
    serialNumber: record.serial_number,
    lastCheckInMs: readTime(record.last_check_in),
    platform: platformNamed(record.platform),
    osVersion: record.os_version,
    // The list says nothing of FileVault, firewall or screen lock.
    postureAtMs: readTime(record.last_check_in),
    user: typeof user === 'object' ? user?.email : undefined,
  });
}

/** Kandji (Iru) API, devices. The token needs "Device list" alone. */
export function kandjiClient(context: MdmContext): MdmClient {
  const { fetch, urls, secret, now } = context;
  const read = (query: Readonly<Record<string, string>>) =>
    askMdmFor(
      fetch,
      `${urls.api}/devices?${new URLSearchParams(query)}`,
      { headers: { Authorization: `Bearer ${secret}` } },
      devices,
      now(),
    );

  return {
    findDevices: async ({ serialNumber }) => {
      if (serialNumber === undefined) return { ok: true, value: [] };
      const found = await read({ serial_number: serialNumber, limit: String(pageSize) });
      return found.ok ? { ok: true, value: found.value.map(deviceOf) } : found;
    },
    listDevices: async (page) => {
      const offset = Number(page ?? 0);
      const listed = await read({ limit: String(pageSize), offset: String(offset) });
      if (!listed.ok) return listed;
      const found = listed.value.map(deviceOf);
      return {
        ok: true,
        value:
          found.length < pageSize
            ? { devices: found }
            : { devices: found, next: String(offset + found.length) },
      };
    },
  };
}
