import * as z from 'zod/mini';
import { type ManagedDevice, managedDevice, readTime } from '../managed-device.ts';
import type { MdmClient, MdmContext } from '../mdm-client.ts';
import { askMdmFor } from '../mdm-request.ts';
import { platformNamed } from '../platform-name.ts';

const pageSize = 100;

const text = z.optional(z.nullable(z.string()));
const system = z.object({
  _id: z.string(),
  serialNumber: text,
  lastContact: text,
  os: text,
  version: text,
  fde: z.optional(z.nullable(z.object({ active: z.optional(z.nullable(z.boolean())) }))),
});
const systems = z.object({ totalCount: z.int(), results: z.array(system) });

/** A system is managed as long as JumpCloud has it: one that is given up is deleted there. */
function deviceOf(record: z.infer<typeof system>): ManagedDevice {
  return managedDevice({
    mdmId: record._id,
    managed: true,
    serialNumber: record.serialNumber,
    lastCheckInMs: readTime(record.lastContact),
    platform: platformNamed(record.os),
    osVersion: record.version,
    posture: { disk_encryption: record.fde?.active },
    postureAtMs: readTime(record.lastContact),
  });
}

/** JumpCloud API v1, systems. The key of an administrator whose role is "Read Only" does. */
export function jumpcloudClient(
  organizationId: string | undefined,
  context: MdmContext,
): MdmClient {
  const { fetch, urls, secret, now } = context;
  const headers = {
    'x-api-key': secret,
    ...(organizationId === undefined ? {} : { 'x-org-id': organizationId }),
  };

  return {
    findDevices: async ({ serialNumber }) => {
      if (serialNumber === undefined) return { ok: true, value: [] };
      const found = await askMdmFor(
        fetch,
        `${urls.api}/search/systems`,
        {
          method: 'POST',
          headers: { ...headers, 'Content-Type': 'application/json' },
          body: JSON.stringify({ filter: { and: [{ serialNumber }] }, limit: pageSize }),
        },
        systems,
        now(),
      );
      return found.ok ? { ok: true, value: found.value.results.map(deviceOf) } : found;
    },
    listDevices: async (page) => {
      const skip = Number(page ?? 0);
      const query = new URLSearchParams({
        limit: String(pageSize),
        skip: String(skip),
        sort: '_id',
      });
      const listed = await askMdmFor(
        fetch,
        `${urls.api}/systems?${query}`,
        { headers },
        systems,
        now(),
      );
      if (!listed.ok) return listed;
      const { totalCount, results } = listed.value;
      const devices = results.map(deviceOf);
      const isLast = results.length === 0 || skip + results.length >= totalCount;
      return {
        ok: true,
        value: isLast ? { devices } : { devices, next: String(skip + results.length) },
      };
    },
  };
}
