import type { IntegrationConnection } from '@countersign/protocol/admin-integrations';
import * as z from 'zod/mini';
import { askWithToken, type ObtainedToken } from '../access-token.ts';
import {
  type DeviceIdentity,
  type ManagedDevice,
  managedDevice,
  readTime,
} from '../managed-device.ts';
import type { DevicePage, MdmClient, MdmContext } from '../mdm-client.ts';
import { askMdm, askMdmFor, type MdmResult, mdmFailure, readMdmAnswer } from '../mdm-request.ts';

type JamfAuthentication = Extract<IntegrationConnection, { kind: 'jamf_pro' }>['authentication'];

const pageSize = 200;

const oauthAnswer = z.object({
  access_token: z.string().check(z.minLength(1)),
  expires_in: z.number(),
});
const basicAnswer = z.object({ token: z.string().check(z.minLength(1)), expires: z.string() });

const text = z.optional(z.nullable(z.string()));
const computer = z.object({
  id: z.string(),
  udid: text,
  general: z.nullable(
    z.object({
      remoteManagement: z.optional(z.nullable(z.object({ managed: z.boolean() }))),
      lastContactTime: text,
      // From Jamf Pro 11.23 on.
      lastContact: text,
      lastCheckIn: text,
      /** When the computer last sent its inventory. */
      reportDate: text,
    }),
  ),
  hardware: z.optional(z.nullable(z.object({ serialNumber: text }))),
  operatingSystem: z.optional(z.nullable(z.object({ version: text }))),
  security: z.optional(
    z.nullable(z.object({ firewallEnabled: z.optional(z.nullable(z.boolean())) })),
  ),
  diskEncryption: z.optional(
    z.nullable(
      z.object({
        bootPartitionEncryptionDetails: z.optional(
          z.nullable(z.object({ partitionFileVault2State: text })),
        ),
      }),
    ),
  ),
  userAndLocation: z.optional(z.nullable(z.object({ username: text }))),
});
const inventory = z.object({ totalCount: z.int(), results: z.array(computer) });

/** Of the boot partition. Half encrypted is not encrypted; states that are not of these say neither. */
const isEncryptedIn: Readonly<Record<string, boolean>> = {
  ENCRYPTED: true,
  UNENCRYPTED: false,
  DECRYPTED: false,
  INELIGIBLE: false,
  ENCRYPTING: false,
  ENCRYPTING_PAUSED: false,
  DECRYPTING: false,
  DECRYPTING_PAUSED: false,
  RESTART_NEEDED: false,
};

function isEncrypted({ diskEncryption }: z.infer<typeof computer>): boolean | undefined {
  const state = diskEncryption?.bootPartitionEncryptionDetails?.partitionFileVault2State ?? '';
  return Object.hasOwn(isEncryptedIn, state) ? isEncryptedIn[state] : undefined;
}

function deviceOf(record: z.infer<typeof computer>): ManagedDevice {
  const { id, udid, general, hardware, operatingSystem, userAndLocation, security } = record;
  return managedDevice({
    mdmId: id,
    managed: general?.remoteManagement?.managed === true,
    hardwareUuid: udid,
    serialNumber: hardware?.serialNumber,
    lastCheckInMs: readTime(
      general?.lastContactTime ?? general?.lastCheckIn ?? general?.lastContact,
    ),
    // What is in this inventory is a Mac; mobile devices have another.
    platform: 'macos',
    osVersion: operatingSystem?.version,
    user: userAndLocation?.username,
    posture: { disk_encryption: isEncrypted(record), firewall: security?.firewallEnabled },
    postureAtMs: readTime(general?.reportDate),
  });
}

/** A value in RSQL, in double quotes. */
function rsqlText(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

function filterOf({ serialNumber, hardwareUuid }: DeviceIdentity): string {
  const terms = [
    ...(serialNumber === undefined ? [] : [`hardware.serialNumber==${rsqlText(serialNumber)}`]),
    ...(hardwareUuid === undefined ? [] : [`udid==${rsqlText(jamfUuid(hardwareUuid))}`]),
  ];
  return terms.join(',');
}

/** As Jamf Pro spells it, whichever spelling this one is in. */
function jamfUuid(text: string): string {
  const hex = text.replace(/[^0-9A-Fa-f]/g, '').toUpperCase();
  return hex.length === 32
    ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    : text;
}

async function obtainToken(
  authentication: JamfAuthentication,
  { fetch, urls, secret, now }: MdmContext,
): Promise<MdmResult<ObtainedToken>> {
  if (authentication.method === 'basic') {
    const url = `${urls.api}/api/v1/auth/token`;
    const headers = { Authorization: `Basic ${basicPair(authentication.username, secret)}` };
    const answer = await askMdmFor(fetch, url, { method: 'POST', headers }, basicAnswer, now());
    if (!answer.ok) return answer;
    const expiresAtMs = readTime(answer.value.expires);
    return expiresAtMs === undefined
      ? mdmFailure('answer_malformed', 'the token has no time at which it expires')
      : { ok: true, value: { token: answer.value.token, expiresAtMs } };
  }
  const url = `${urls.api}/api/oauth/token`;
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: authentication.client_id,
    client_secret: secret,
  }).toString();
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const answer = await askMdm(fetch, url, { method: 'POST', headers, body }, now());
  if (!answer.ok) return answer;
  // RFC 6749 section 5.2: a client that is not known may be told so with 400.
  if (answer.value.status === 400) {
    return mdmFailure('credentials_refused', 'Jamf Pro refuses the client id or its secret (400)');
  }
  const token = readMdmAnswer(url, answer.value, oauthAnswer);
  if (!token.ok) return token;
  const { access_token, expires_in } = token.value;
  return { ok: true, value: { token: access_token, expiresAtMs: now() + expires_in * 1000 } };
}

function basicPair(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return btoa(String.fromCharCode(...bytes));
}

/** Jamf Pro API, `computers-inventory`. Reads alone; the privilege that it needs is "Read Computers". */
export function jamfClient(authentication: JamfAuthentication, context: MdmContext): MdmClient {
  const { fetch, urls, tokens, now } = context;
  // Versions come and go with releases of Jamf Pro; the shapes that are read here are the same in these.
  let versions = ['v1', 'v3'];

  const readInventory = async (query: string, token: string) => {
    const headers = { Authorization: `Bearer ${token}` };
    for (;;) {
      const [version, ...older] = versions;
      const url = `${urls.api}/api/${version}/computers-inventory?${query}`;
      const answer = await askMdm(fetch, url, { headers }, now());
      if (!answer.ok) return answer;
      if (answer.value.status !== 404 || older.length === 0) {
        return readMdmAnswer(url, answer.value, inventory);
      }
      versions = older;
    }
  };
  const inventoryPage = (page: number, filter?: string) => {
    const sections = [
      'GENERAL',
      'HARDWARE',
      'OPERATING_SYSTEM',
      'USER_AND_LOCATION',
      'SECURITY',
      'DISK_ENCRYPTION',
    ];
    const query = new URLSearchParams([
      ...sections.map((section): [string, string] => ['section', section]),
      ['page', String(page)],
      ['page-size', String(pageSize)],
      ['sort', 'id:asc'],
      ...(filter === undefined ? [] : [['filter', filter] satisfies [string, string]]),
    ]);
    return askWithToken(
      tokens,
      now(),
      () => obtainToken(authentication, context),
      (token) => readInventory(query.toString(), token),
    );
  };

  return {
    findDevices: async (identity) => {
      const filter = filterOf(identity);
      if (filter === '') return { ok: true, value: [] };
      const found = await inventoryPage(0, filter);
      return found.ok ? { ok: true, value: found.value.results.map(deviceOf) } : found;
    },
    listDevices: async (page): Promise<MdmResult<DevicePage>> => {
      const number = Number(page ?? 0);
      const listed = await inventoryPage(number);
      if (!listed.ok) return listed;
      const { totalCount, results } = listed.value;
      const isLast = results.length === 0 || (number + 1) * pageSize >= totalCount;
      const devices = results.map(deviceOf);
      return { ok: true, value: isLast ? { devices } : { devices, next: String(number + 1) } };
    },
  };
}
