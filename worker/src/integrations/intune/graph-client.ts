import * as z from 'zod/mini';
import { askWithToken } from '../access-token.ts';
import { type ManagedDevice, managedDevice, readTime } from '../managed-device.ts';
import type { MdmClient, MdmContext } from '../mdm-client.ts';
import { askMdmFor, type MdmResult, mdmFailure } from '../mdm-request.ts';
import { platformNamed } from '../platform-name.ts';
import { type EntraClient, obtainEntraToken } from './entra-token.ts';

const fields =
  'id,serialNumber,udid,managementState,lastSyncDateTime,operatingSystem,osVersion,userPrincipalName,complianceState,isEncrypted';
const pageSize = 200;

/** What `managementState` says of a device that its administrators have neither given up nor begun to. */
const managedStates = new Set(['managed', 'unhealthy', 'wipeCanceled', 'retireCanceled']);

const text = z.optional(z.nullable(z.string()));
const device = z.object({
  id: z.string(),
  serialNumber: text,
  udid: text,
  managementState: z.string(),
  lastSyncDateTime: text,
  operatingSystem: text,
  osVersion: text,
  userPrincipalName: text,
  complianceState: text,
  isEncrypted: z.optional(z.nullable(z.boolean())),
});
const devicePage = z.object({
  value: z.array(device),
  '@odata.nextLink': z.optional(z.string()),
});

function deviceOf(record: z.infer<typeof device>): ManagedDevice {
  return managedDevice({
    mdmId: record.id,
    managed: managedStates.has(record.managementState),
    serialNumber: record.serialNumber,
    hardwareUuid: record.udid,
    lastCheckInMs: readTime(record.lastSyncDateTime),
    platform: platformNamed(record.operatingSystem),
    osVersion: record.osVersion,
    user: record.userPrincipalName,
    compliant: record.complianceState == null ? undefined : record.complianceState === 'compliant',
    posture: { disk_encryption: record.isEncrypted },
    postureAtMs: readTime(record.lastSyncDateTime),
  });
}

/** A text in an OData filter, in single quotes. */
function odataText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Microsoft Graph, `managedDevices`: application permission DeviceManagementManagedDevices.Read.All. */
export function graphClient(client: EntraClient, context: MdmContext): MdmClient {
  const { fetch, urls, tokens, now } = context;
  const scope = `${new URL(urls.api).origin}/.default`;
  const collection = `${urls.api}/deviceManagement/managedDevices`;

  const readPage = (url: string) =>
    askWithToken(
      tokens,
      now(),
      () => obtainEntraToken(client, scope, context),
      (token) =>
        askMdmFor(fetch, url, { headers: { Authorization: `Bearer ${token}` } }, devicePage, now()),
    );
  /** A link of Graph's stays with Graph: the token goes with it. */
  const isOwnLink = (link: string) => {
    const url = URL.parse(link);
    return url !== null && `${url.origin}${url.pathname}` === collection;
  };
  const malformedLink = () =>
    mdmFailure('answer_malformed', 'Graph answers a next link to another place');

  return {
    findDevices: async ({ serialNumber }): Promise<MdmResult<readonly ManagedDevice[]>> => {
      if (serialNumber === undefined) return { ok: true, value: [] };
      const query = new URLSearchParams({
        $filter: `serialNumber eq ${odataText(serialNumber)}`,
        $select: fields,
      });
      const found: ManagedDevice[] = [];
      let url: string | undefined = `${collection}?${query}`;
      while (url !== undefined) {
        const page: MdmResult<z.infer<typeof devicePage>> = await readPage(url);
        if (!page.ok) return page;
        found.push(...page.value.value.map(deviceOf));
        url = page.value['@odata.nextLink'];
        if (url !== undefined && (!isOwnLink(url) || found.length > 1000)) return malformedLink();
      }
      return { ok: true, value: found };
    },
    listDevices: async (page) => {
      const first = `${collection}?${new URLSearchParams({ $select: fields, $top: String(pageSize) })}`;
      const listed = await readPage(page ?? first);
      if (!listed.ok) return listed;
      const next = listed.value['@odata.nextLink'];
      if (next !== undefined && !isOwnLink(next)) return malformedLink();
      const devices = listed.value.value.map(deviceOf);
      return { ok: true, value: next === undefined ? { devices } : { devices, next } };
    },
  };
}
