import { expect, it } from 'vitest';
import { integrationRecord } from '../directory/integration-records.ts';
import { CurrentManagement } from './current-management.ts';

const integration = integrationRecord.parse({
  integration_id: `int_${'A'.repeat(22)}`,
  version: 1,
  name: 'Warehouse',
  kind: 'inventory_file',
  state: { mode: 'all_users' },
  profile: '1y',
  authority: 'one_time_token',
  trust_shared_secret: false,
  require_active_user: false,
  max_check_in_age_seconds: 86_400,
  poll_interval_seconds: 3600,
  outage: 'refuse',
  connection: { kind: 'inventory_file' },
  scep: { enabled: false },
  attestation: { roots_pem: [], endorsement_keys: 'listed', listed_sha256: [] },
  created_at_ms: 0,
});

it('is opened once for all who ask at the same moment, and again when it is old', async () => {
  const storedSecretsKey = await crypto.subtle.importKey(
    'raw',
    new Uint8Array(32),
    'AES-GCM',
    false,
    ['encrypt', 'decrypt'],
  );
  let found = 0;
  let nowMs = 0;
  const management = new CurrentManagement({
    readSettings: async () => ({
      ok: true,
      settings: { storedSecretsKey, outboundNetworks: [] },
    }),
    findIntegration: async () => {
      found += 1;
      await Promise.resolve();
      return { ok: true, integration, sealedCredentials: undefined };
    },
    inventory: {
      findDevices: async () => ({ ok: true, value: [] }),
      listDevices: async () => ({ ok: true, value: { devices: [] } }),
    },
    fetch: () => Promise.reject(new Error('nothing is fetched')),
    now: () => nowMs,
  });
  const ask = () =>
    Promise.all(Array.from({ length: 60 }, () => management.load(integration.integration_id)));
  const first = await ask();
  expect([found, new Set(first).size, first[0]?.ok]).toEqual([1, 1, true]);
  nowMs = 5_001;
  expect(new Set([...first, ...(await ask())]).size).toBe(1);
  expect(found).toBe(2);
});
