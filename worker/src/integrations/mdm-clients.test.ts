import { setDefaultCACertificates } from 'node:tls';
import type { IntegrationConnection } from '@countersign/protocol/admin-integrations';
import { startFakeIntune } from '@countersign/testkit/fake-intune';
import { startFakeJamfPro } from '@countersign/testkit/fake-jamf-pro';
import { startFakeJumpCloud } from '@countersign/testkit/fake-jumpcloud';
import { startFakeKandji } from '@countersign/testkit/fake-kandji';
import type { FakeManagementServer } from '@countersign/testkit/fake-management-server';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createMdmClient, type MdmClient } from './mdm-client.ts';
import type { MdmFailureReason } from './mdm-request.ts';
import { parseOutboundNetworks } from './outbound-url.ts';
import { postureReportOf } from './posture-report.ts';
import { deriveConnectionUrls } from './tenant-url.ts';

const networks = parseOutboundNetworks('127.0.0.0/8') ?? [];
const nowMs = Date.parse('2026-11-20T10:00:00Z');
const uuid = 'EBBFF74D-B1A2-4C3D-8E4F-001122334455';

function clientOf(connection: IntegrationConnection, secret: string): MdmClient {
  const derived = deriveConnectionUrls(connection, networks);
  if (!derived.ok) throw new Error(`${derived.field} ${derived.detail}`);
  const context = { fetch, urls: derived.urls, secret, now: Date.now };
  const client = createMdmClient(connection, context);
  if (client === undefined) throw new Error('this kind asks nobody');
  return client;
}

type World = {
  readonly server: FakeManagementServer;
  /** A client with these credentials, or with the right ones. */
  readonly client: (secret?: string) => MdmClient;
  readonly add: (id: string, serialNumber: string, managed: boolean) => void;
  readonly expectedUuid?: string;
  /** Whether the management itself can call a device unmanaged. */
  readonly saysManaged: boolean;
};

async function jamfWorld(method: 'client_credentials' | 'basic'): Promise<World> {
  const fake = await startFakeJamfPro();
  const authentication =
    method === 'basic'
      ? ({ method, username: fake.username } as const)
      : ({ method, client_id: fake.clientId } as const);
  const right = method === 'basic' ? fake.password : fake.clientSecret;
  const connection = { kind: 'jamf_pro', tenant_url: fake.url, authentication } as const;
  return {
    server: fake,
    client: (secret = right) => clientOf(connection, secret),
    add: (id, serialNumber, managed) =>
      fake.computers.set(id, { serialNumber, udid: uuid, managed, lastContactMs: nowMs }),
    expectedUuid: uuid,
    saysManaged: true,
  };
}

const worlds: ReadonlyArray<[string, () => Promise<World>]> = [
  ['Jamf Pro, as an API client', () => jamfWorld('client_credentials')],
  ['Jamf Pro, as an account', () => jamfWorld('basic')],
  [
    'Intune',
    async () => {
      const fake = await startFakeIntune();
      const connection = {
        kind: 'intune',
        tenant_id: fake.tenantId,
        client_id: fake.clientId,
        login_url: fake.url,
        graph_url: fake.url,
        management_url: fake.url,
      } as const;
      return {
        server: fake,
        client: (secret = fake.clientSecret) => clientOf(connection, secret),
        add: (id, serialNumber, managed) => {
          const managementState = managed ? 'managed' : 'retirePending';
          fake.devices.set(id, { serialNumber, managementState, lastSyncMs: nowMs });
        },
        saysManaged: true,
      };
    },
  ],
  [
    'JumpCloud',
    async () => {
      const fake = await startFakeJumpCloud();
      const connection = { kind: 'jumpcloud', tenant_url: fake.url } as const;
      return {
        server: fake,
        client: (secret = fake.apiKey) => clientOf(connection, secret),
        add: (id, serialNumber) => fake.systems.set(id, { serialNumber, lastContactMs: nowMs }),
        saysManaged: false,
      };
    },
  ],
  [
    'Kandji',
    async () => {
      const fake = await startFakeKandji();
      const connection = { kind: 'kandji', tenant_url: fake.url } as const;
      return {
        server: fake,
        client: (secret = fake.apiToken) => clientOf(connection, secret),
        add: (id, serialNumber, managed) =>
          fake.devices.set(id, {
            serialNumber,
            lastCheckInMs: nowMs,
            mdmEnabled: managed,
            isRemoved: false,
          }),
        saysManaged: true,
      };
    },
  ],
];

describe.each(worlds)('%s', (_name, start) => {
  let world: World;
  beforeAll(async () => {
    world = await start();
    setDefaultCACertificates([world.server.certificatePem]);
  });
  afterEach(() => world.server.setFault(undefined));
  afterAll(() => world.server.stop());

  it('finds a device by its serial number, and none by another one', async () => {
    world.add('one', 'C02ABC123', true);
    const client = world.client();
    const found = await client.findDevices({ serialNumber: 'C02ABC123' });
    expect(found).toMatchObject({
      ok: true,
      value: [{ mdmId: 'one', managed: true, serialNumber: 'C02ABC123', lastCheckInMs: nowMs }],
    });
    if (world.expectedUuid !== undefined) {
      expect(found).toMatchObject({ value: [{ hardwareUuid: world.expectedUuid }] });
      // In the spelling that devices are compared in.
      const byUuid = await client.findDevices({
        hardwareUuid: world.expectedUuid.replaceAll('-', '').toLowerCase(),
      });
      expect(byUuid).toMatchObject({ ok: true, value: [{ mdmId: 'one' }] });
    }
    expect(await client.findDevices({ serialNumber: 'C02ABC999' })).toEqual({
      ok: true,
      value: [],
    });
  });

  it('takes nothing of a serial number for a part of its question', async () => {
    world.add('one', 'C02ABC123', true);
    const hostile = [
      'C02" , hardware.serialNumber=="C02ABC123',
      "x' or serialNumber ne '",
      'a"\\"b,c;d',
    ];
    for (const serialNumber of hostile) {
      expect(await world.client().findDevices({ serialNumber })).toEqual({ ok: true, value: [] });
    }
  });

  it('lists every device, over all pages', async () => {
    for (let number = 0; number < 650; number++) {
      world.add(`n${number}`, `SERIAL${number}`, number % 2 === 0);
    }
    const client = world.client();
    const seen = new Map<string, boolean>();
    let pages = 0;
    let next: string | undefined;
    do {
      const page = await client.listDevices(next);
      if (!page.ok) throw new Error(page.detail);
      for (const { serialNumber = '', managed } of page.value.devices)
        seen.set(serialNumber, managed);
      next = page.value.next;
      pages++;
    } while (next !== undefined);
    expect(pages).toBeGreaterThan(2);
    for (let number = 0; number < 650; number++) {
      expect(seen.get(`SERIAL${number}`)).toBe(!world.saysManaged || number % 2 === 0);
    }
  });

  it('says that wrong credentials are wrong', async () => {
    for (const ask of [
      world.client('not the secret').listDevices(),
      world.client('not the secret').findDevices({ serialNumber: 'C02ABC123' }),
    ]) {
      expect(await ask).toMatchObject({ ok: false, reason: 'credentials_refused' });
    }
  });

  it('names each way in which a management fails', async () => {
    const table: ReadonlyArray<
      [Parameters<FakeManagementServer['setFault']>[0], MdmFailureReason, number?]
    > = [
      [{ kind: 'unauthorized' }, 'credentials_refused'],
      [{ kind: 'rate_limited', retryAfterSeconds: 17 }, 'rate_limited', 17],
      [{ kind: 'failing' }, 'server_failed', 7],
      [{ kind: 'garbage' }, 'answer_malformed'],
      [{ kind: 'garbage', text: '{"results":[{"id":7}],"value":7}' }, 'answer_malformed'],
      [{ kind: 'garbage', text: 'x'.repeat(8 * 1024 * 1024 + 1) }, 'answer_too_large'],
      [{ kind: 'redirect', location: `${world.server.url}/elsewhere` }, 'redirected'],
      [{ kind: 'outage' }, 'unreachable'],
    ];
    for (const [fault, reason, retryAfterSeconds] of table) {
      world.server.setFault(fault);
      const answer = await world.client().findDevices({ serialNumber: 'C02ABC123' });
      expect(answer).toMatchObject({ ok: false, reason });
      if (!answer.ok) expect(answer.retryAfterSeconds).toBe(retryAfterSeconds);
    }
    expect(world.server.requests.filter(({ path }) => path === '/elsewhere')).toEqual([]);
  });
});

describe('what a management says of how a device is kept', () => {
  const reportOf = async (client: MdmClient) => {
    const found = await client.findDevices({ serialNumber: 'C02ABC123' });
    if (!found.ok) throw new Error(found.detail);
    const [device] = found.value;
    if (device === undefined) throw new Error('the device is not there');
    const listed = await client.listDevices();
    expect(listed).toEqual({ ok: true, value: { devices: [device] } });
    return postureReportOf(device, nowMs + 1000);
  };

  it('is read of Jamf Pro, as of its last inventory', async () => {
    const fake = await startFakeJamfPro();
    onTestFinished(() => fake.stop());
    setDefaultCACertificates([fake.certificatePem]);
    const authentication = { method: 'client_credentials', client_id: fake.clientId } as const;
    const connection = { kind: 'jamf_pro', tenant_url: fake.url, authentication } as const;
    const table: ReadonlyArray<[object, object | undefined]> = [
      [{}, { disk_encryption: true, firewall: true, os_version: '14.5' }],
      [
        { fileVaultState: 'DECRYPTED', firewallEnabled: false, osVersion: '13.4.1 (c)' },
        { disk_encryption: false, firewall: false, os_version: '13.4.1' },
      ],
      [
        { fileVaultState: 'ENCRYPTING' },
        { disk_encryption: false, firewall: true, os_version: '14.5' },
      ],
      [{ fileVaultState: 'UNKNOWN', firewallEnabled: null, osVersion: 'beta' }, undefined],
      [{ fileVaultState: null, firewallEnabled: null }, { os_version: '14.5' }],
    ];
    for (const [change, expected] of table) {
      fake.computers.set('one', {
        serialNumber: 'C02ABC123',
        udid: uuid,
        managed: true,
        lastContactMs: nowMs,
        reportMs: nowMs - 60_000,
        ...change,
      });
      expect(await reportOf(clientOf(connection, fake.clientSecret))).toEqual(
        expected && { reported_at_ms: nowMs - 60_000, platform: 'macos', ...expected },
      );
    }
  });

  it('is read of Intune and JumpCloud, as of the last contact; Kandji tells the version alone', async () => {
    const [intune, jumpcloud, kandji] = await Promise.all([
      startFakeIntune(),
      startFakeJumpCloud(),
      startFakeKandji(),
    ]);
    onTestFinished(async () => {
      await Promise.all([intune, jumpcloud, kandji].map((fake) => fake.stop()));
    });
    setDefaultCACertificates([intune.certificatePem]);
    const serialNumber = 'C02ABC123';
    const ofIntune = clientOf(
      {
        kind: 'intune',
        tenant_id: intune.tenantId,
        client_id: intune.clientId,
        login_url: intune.url,
        graph_url: intune.url,
        management_url: intune.url,
      },
      intune.clientSecret,
    );
    for (const isEncrypted of [true, false]) {
      const managementState = 'managed';
      intune.devices.set('w', { serialNumber, managementState, lastSyncMs: nowMs, isEncrypted });
      expect(await reportOf(ofIntune)).toEqual({
        reported_at_ms: nowMs,
        disk_encryption: isEncrypted,
        platform: 'windows',
        os_version: '10.0.22631.3737',
      });
    }
    const ofJumpCloud = clientOf(
      { kind: 'jumpcloud', tenant_url: jumpcloud.url },
      jumpcloud.apiKey,
    );
    for (const encrypted of [true, false, undefined]) {
      jumpcloud.systems.set('j', {
        serialNumber,
        lastContactMs: nowMs,
        ...(encrypted === undefined ? {} : { encrypted }),
      });
      expect(await reportOf(ofJumpCloud)).toEqual({
        reported_at_ms: nowMs,
        platform: 'macos',
        os_version: '14.5',
        ...(encrypted === undefined ? {} : { disk_encryption: encrypted }),
      });
    }
    const mac = { serialNumber, lastCheckInMs: nowMs, mdmEnabled: true, isRemoved: false };
    kandji.devices.set('k', mac);
    const ofKandji = clientOf({ kind: 'kandji', tenant_url: kandji.url }, kandji.apiToken);
    expect(await reportOf(ofKandji)).toEqual({
      reported_at_ms: nowMs,
      platform: 'macos',
      os_version: '14.5',
    });

    const named = [
      ['Windows', 'windows'],
      ['macOS', 'macos'],
      ['Mac OS X', 'macos'],
      ['Mac', 'macos'],
      ['iPadOS', 'ios'],
      ['iPhone', 'ios'],
      ['Android', 'android'],
      ['Ubuntu', 'other_desktop'],
      ['AppleTV', undefined],
    ] as const;
    for (const [name, platform] of named) {
      const windows = { serialNumber, managementState: 'managed', lastSyncMs: nowMs };
      intune.devices.set('w', { ...windows, operatingSystem: name });
      jumpcloud.systems.set('j', { serialNumber, lastContactMs: nowMs, os: name });
      kandji.devices.set('k', { ...mac, platform: name });
      for (const client of [ofIntune, ofJumpCloud, ofKandji]) {
        expect((await reportOf(client))?.platform, name).toBe(platform);
      }
    }
  });
});
