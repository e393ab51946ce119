import { replaceFile } from '../data-directory/durable-files.ts';
import { keepKeySetSigner } from '../data-directory/keep-key-set-signer.ts';
import { readKeySet, signKeySet } from '../data-directory/key-set.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { readPublicKeys } from '../rotation/token-key-files.ts';
import type { TokenKeys } from '../rotation/token-keys.ts';

/**
 * Signs a key set for these token keys with a version above the one in the folder and above `seenVersion`: a device
 * that has seen a newer one than this folder accepts it.
 *
 * @returns the version
 */
export async function raiseKeySet(
  data: DataDirectory,
  tokenKeys: TokenKeys,
  seenVersion: number,
  nowMs: number,
): Promise<number> {
  const { iss, version } = readKeySet(data.paths.keySet).claims;
  const raised = Math.max(version, seenVersion) + 1;
  const content = {
    brokerUrl: iss,
    organizationId: data.deployment.organizationId,
    challengeKeys: readPublicKeys(data.paths, tokenKeys, 'challenge'),
    auditKeys: readPublicKeys(data.paths, tokenKeys, 'audit'),
  };
  const keySet = signKeySet(content, await keepKeySetSigner(data, nowMs), raised, nowMs);
  replaceFile(data.paths.keySet, `${keySet}\n`);
  return raised;
}
