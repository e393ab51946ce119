import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { syncDirectory, writeFileOnce } from './durable-files.ts';
import { firstIssuers, formatIssuers } from './issuers.ts';
import type { DataPaths } from './layout.ts';
import { makeScepRaKey } from './scep-ra.ts';

/**
 * Gives a folder that was made by an earlier version what it lacks. `issuers.json` comes last: a folder that has it had
 * the others, and one of them that is missing then was lost.
 */
export function adoptOlderFolder(paths: DataPaths): void {
  if (existsSync(paths.issuers) || !existsSync(paths.deployment)) return;
  if (!existsSync(paths.privateKey('issuer')) || existsSync(paths.privateKey('issuer-2'))) return;
  makeScepRaKey(paths);
  writeFileOnce(paths.storedSecretsKey, randomBytes(32));
  syncDirectory(paths.keys);
  writeFileOnce(paths.issuers, formatIssuers(firstIssuers));
}
