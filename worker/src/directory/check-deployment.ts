import { type DurableStore, isUnavailable, storageUnavailable } from '../storage/durable-store.ts';
import type { Deployment, SnapshotAnswer } from './organization-answers.ts';
import { readSetting } from './organization-settings.ts';

/**
 * Compares the deployment that asks with the one on record. The first call ever records it.
 *
 * @returns `undefined` when it is the same
 */
export async function checkDeployment(
  store: DurableStore,
  deployment: Deployment,
): Promise<Extract<SnapshotAnswer, { readonly ok: false }> | undefined> {
  const offered = `shards=${deployment.shardCount} device-id-key=${deployment.deviceIdKeyFingerprint}`;
  const known = store.read((sql) => readSetting(sql, 'deployment'));
  if (isUnavailable(known)) return storageUnavailable;
  if (known === offered) return undefined;
  const recorded = await store.write((sql) => {
    sql.exec(
      `INSERT INTO settings (name, value) VALUES ('deployment', ?) ON CONFLICT (name) DO NOTHING`,
      offered,
    );
    return readSetting(sql, 'deployment');
  });
  if (isUnavailable(recorded)) return storageUnavailable;
  if (recorded === offered) return undefined;
  const detail = `created with ${String(recorded)}, started with ${offered}. The number of shards changes with an export and an import; a lost device id key comes back from a backup`;
  return { ok: false, code: 'deployment_mismatch', detail };
}
