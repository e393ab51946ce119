import { readIssuers } from './data-directory/issuers.ts';
import { keepKeySetSigner } from './data-directory/keep-key-set-signer.ts';
import { keepKeySet } from './data-directory/key-set.ts';
import type { DataDirectory } from './data-directory/open-data-directory.ts';
import { keepScepRaCertificates } from './data-directory/scep-ra.ts';
import { readPublicKeys } from './rotation/token-key-files.ts';
import type { TokenKeys } from './rotation/token-keys.ts';
import { type WorkerBindings, workerSettings } from './worker-settings.ts';

/**
 * The worker's bindings for these token keys. What they need and is not in the data folder yet is made and kept there
 * first: a newer key set, a newer certificate of its signer, or of SCEP's authority.
 *
 * @returns `changedFrom` is the broker URL of the older key set, when that was another
 */
export async function keepWorkerSettings(
  data: DataDirectory,
  brokerUrl: string,
  tokenKeys: TokenKeys,
  nowMs: number,
): Promise<WorkerBindings & { readonly changedFrom: string | undefined }> {
  const content = {
    brokerUrl,
    organizationId: data.deployment.organizationId,
    challengeKeys: readPublicKeys(data.paths, tokenKeys, 'challenge'),
    auditKeys: readPublicKeys(data.paths, tokenKeys, 'audit'),
  };
  await keepScepRaCertificates(data.paths, readIssuers(data.paths).active, nowMs);
  const signer = await keepKeySetSigner(data, nowMs);
  const { keySet, changedFrom } = keepKeySet(data.paths.keySet, content, signer, nowMs);
  return { ...workerSettings(data, brokerUrl, keySet, tokenKeys), changedFrom };
}
