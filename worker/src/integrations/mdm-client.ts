import type { IntegrationConnection } from '@countersign/protocol/admin-integrations';
import { AccessToken } from './access-token.ts';
import { graphClient } from './intune/graph-client.ts';
import { jamfClient } from './jamf-pro/jamf-client.ts';
import { jumpcloudClient } from './jumpcloud/jumpcloud-client.ts';
import { kandjiClient } from './kandji/kandji-client.ts';
import type { DeviceIdentity, ManagedDevice } from './managed-device.ts';
import type { Fetch, MdmResult } from './mdm-request.ts';
import type { ConnectionUrls } from './tenant-url.ts';

export type DevicePage = {
  readonly devices: readonly ManagedDevice[];
  /** What the next page is asked for with; absent after the last one. */
  readonly next?: string;
};

/** One device management, whichever kind it is of. Holds no state but an access token. */
export type MdmClient = {
  /** Every record with this serial number or this hardware UUID, as far as the management can search by them. */
  readonly findDevices: (identity: DeviceIdentity) => Promise<MdmResult<readonly ManagedDevice[]>>;
  /** @param page `next` of the page before; left out for the first */
  readonly listDevices: (page?: string) => Promise<MdmResult<DevicePage>>;
};

/** What the clients of all kinds are made of. */
export type MdmContext = {
  readonly fetch: Fetch;
  readonly urls: ConnectionUrls;
  readonly secret: string;
  readonly tokens: AccessToken;
  /** Milliseconds since 1970, now. */
  readonly now: () => number;
};

/** @returns `undefined` for the kind that asks nobody */
export function createMdmClient(
  connection: IntegrationConnection,
  context: Omit<MdmContext, 'tokens'>,
): MdmClient | undefined {
  const withToken = { ...context, tokens: new AccessToken() };
  switch (connection.kind) {
    case 'jamf_pro':
      return jamfClient(connection.authentication, withToken);
    case 'intune':
      return graphClient(connection, withToken);
    case 'jumpcloud':
      return jumpcloudClient(connection.organization_id, withToken);
    case 'kandji':
      return kandjiClient(withToken);
    case 'inventory_file':
      return undefined;
  }
}
