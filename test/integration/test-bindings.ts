import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cloudflareSecrets, ensureDataDirectory } from '@countersign/edge-server';

const brokerUrl = 'https://broker.test';
const shardCount = 8;

/**
 * Bindings of a throw-away deployment: the keys and certificates that the edge server makes for a new data folder,
 * handed over as on Cloudflare (secrets as text).
 */
export async function makeTestBindings(): Promise<Record<string, string>> {
  const parent = mkdtempSync(join(tmpdir(), 'countersign-integration-'));
  try {
    const dataDirectory = join(parent, 'data');
    const nowMs = Date.now();
    const { ownerToken } = await ensureDataDirectory(dataDirectory, {
      shardCount,
      brokerUrl,
      nowMs,
    });
    return {
      ...(await cloudflareSecrets({ dataDirectory, brokerUrl }, nowMs)),
      BROKER_URL: brokerUrl,
      MTLS_URL: 'https://mtls.test',
      SHARD_COUNT: String(shardCount),
      TEST_OWNER_TOKEN: ownerToken,
      TEST_RENEWAL_DEVICES: process.env.COUNTERSIGN_RENEWAL_DEVICES ?? '20',
      TEST_RENEWAL_SEED: process.env.COUNTERSIGN_FAULT_SEED ?? '1',
    };
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}
