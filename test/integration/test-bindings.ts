import { createHash, createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDataDirectory } from '@countersign/edge-server';

const testBrokerUrl = 'https://broker.test';
const testShardCount = 8;

/**
 * Bindings of a throw-away deployment: the keys and certificates that the edge server makes for a new data folder,
 * handed over as Cloudflare would (secrets as text).
 */
export async function makeTestBindings(): Promise<Record<string, string>> {
  const parent = mkdtempSync(join(tmpdir(), 'countersign-integration-'));
  try {
    const data = await ensureDataDirectory(join(parent, 'data'), {
      shardCount: testShardCount,
      brokerUrl: testBrokerUrl,
      nowMs: Date.now(),
    });
    const pkcs8 = (name: 'issuer' | 'challenge' | 'decision' | 'response') =>
      createPrivateKey(readFileSync(data.paths.privateKey(name)))
        .export({ format: 'der', type: 'pkcs8' })
        .toString('base64');
    return {
      BROKER_URL: testBrokerUrl,
      SHARD_COUNT: String(testShardCount),
      ORGANIZATION_ID: data.deployment.organizationId,
      OWNER_TOKEN_SHA256: createHash('sha256').update(data.ownerToken).digest('base64url'),
      ROOT_CERTIFICATE: data.rootCertificatePem,
      ISSUER_CERTIFICATE: data.issuerCertificatePem,
      KEY_SET: readFileSync(data.paths.keySet, 'utf8').trim(),
      PUBLIC_KEYS: JSON.stringify({
        challenge: data.publicKey('challenge'),
        decision: data.publicKey('decision'),
        response_encryption: data.publicKey('response'),
      }),
      ISSUER_KEY: pkcs8('issuer'),
      CHALLENGE_KEY: pkcs8('challenge'),
      DECISION_KEY: pkcs8('decision'),
      RESPONSE_KEY: pkcs8('response'),
      DEVICE_ID_KEY: readFileSync(data.paths.deviceIdKey).toString('base64url'),
      TEST_OWNER_TOKEN: data.ownerToken,
    };
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}
