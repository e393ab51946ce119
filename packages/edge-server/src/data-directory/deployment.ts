import * as z from 'zod/mini';
import { parseDataFile } from './parse-data-file.ts';

/** `deployment.json`: what was decided when the data was created and cannot change without moving the data. */
export type Deployment = {
  readonly version: 1;
  /** `org_` and 16 random bytes, base64url. */
  readonly organizationId: string;
  readonly shardCount: number;
  /** SHA-256 of the device id key, base64url. */
  readonly deviceIdKeyFingerprint: string;
  /** RFC 3339. */
  readonly createdAt: string;
};

export const maxShardCount = 4096;

const deploymentFile = z.object({
  version: z.literal(1),
  organization_id: z.string().check(z.regex(/^org_[A-Za-z0-9_-]{22}$/)),
  shard_count: z.int().check(z.minimum(1), z.maximum(maxShardCount)),
  device_id_key_fingerprint: z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/)),
  created_at: z.string(),
});

export function formatDeployment(deployment: Deployment): string {
  const file: z.infer<typeof deploymentFile> = {
    version: deployment.version,
    organization_id: deployment.organizationId,
    shard_count: deployment.shardCount,
    device_id_key_fingerprint: deployment.deviceIdKeyFingerprint,
    created_at: deployment.createdAt,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * @param path for the message only
 * @throws EdgeServerError `data_directory_unusable` when the file is damaged or of another version
 */
export function parseDeployment(text: string, path: string): Deployment {
  const file = parseDataFile(deploymentFile, text, path);
  return {
    version: file.version,
    organizationId: file.organization_id,
    shardCount: file.shard_count,
    deviceIdKeyFingerprint: file.device_id_key_fingerprint,
    createdAt: file.created_at,
  };
}
