import { randomBytes } from 'node:crypto';
import { type FakeManagementServer, startManagementServer } from './fake-management-server.ts';

/** A device in the fake's inventory. Tests change it in place. */
export type FakeKandjiDevice = {
  serialNumber: string;
  lastCheckInMs: number;
  mdmEnabled: boolean;
  isRemoved: boolean;
  userEmail?: string;
  platform?: string;
};

export type FakeKandji = FakeManagementServer & {
  readonly apiToken: string;
  readonly devices: Map<string, FakeKandjiDevice>;
};

function describeDevice(id: string, device: FakeKandjiDevice) {
  return {
    device_id: id,
    device_name: `Mac ${id}`,
    model: 'MacBook Air',
    serial_number: device.serialNumber,
    platform: device.platform ?? 'Mac',
    os_version: '14.5',
    last_check_in: new Date(device.lastCheckInMs).toISOString(),
    user: device.userEmail === undefined ? '' : { email: device.userEmail, name: 'Dana' },
    asset_tag: null,
    blueprint_id: '00000000-0000-4000-8000-000000000004',
    mdm_enabled: device.mdmEnabled,
    agent_installed: true,
    is_missing: false,
    is_removed: device.isRemoved,
  };
}

/** Kandji (Iru): devices, listed and searched. */
export async function startFakeKandji(): Promise<FakeKandji> {
  const apiToken = randomBytes(20).toString('hex');
  const devices = new Map<string, FakeKandjiDevice>();

  const server = await startManagementServer(({ method, path, headers, query }) => {
    if (headers.authorization !== `Bearer ${apiToken}`) {
      return { status: 401, json: { detail: 'Invalid token.' } };
    }
    if (method !== 'GET' || path !== '/api/v1/devices') {
      return { status: 404, json: { detail: 'Not found.' } };
    }
    const serial = query.get('serial_number');
    const offset = Number(query.get('offset') ?? 0);
    const limit = Math.min(Number(query.get('limit') ?? 300), 300);
    // A search finds what contains the text.
    const found = [...devices].filter(
      ([, device]) => serial === null || device.serialNumber.includes(serial),
    );
    const json = found.slice(offset, offset + limit).map(([id, it]) => describeDevice(id, it));
    return { status: 200, json };
  });
  return { ...server, apiToken, devices };
}
