// The system log after an import into another number of shards: all of it comes together again, and verifies.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeFinding, verifyAudit } from '@countersign/admin-cli/verify-audit';
import { verifyReceipt } from '@countersign/admin-cli/verify-receipt';
import { decisionReceipt } from '@countersign/policy';
import type { CheckpointSet } from '@countersign/protocol/system-log';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  checkpointsOf,
  exportChains,
  getAs,
  type HeldChain,
  hurryDrain,
  searchLog,
  untilDrained,
} from '../support/exported-log.ts';
import { BackupFolder } from '../support/server-command.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const shardCount = 3;
let folder: BackupFolder;
let origin: TestBroker;
let imported: TestBroker;
/** What was kept elsewhere of both brokers. */
const kept: CheckpointSet[] = [];
let before: string[];

const uuidsOf = async (broker: TestBroker) =>
  (await searchLog(broker.client)).map(({ uuid }) => uuid);

beforeAll(async () => {
  folder = new BackupFolder();
  origin = await TestBroker.start();
  const client = await origin.client.registerClient();
  const devices = await Promise.all([enrollDevice(origin), enrollDevice(origin)]);
  for (const [index, device] of devices.entries()) {
    await origin.client.signIn(client, device, `user-${index}`);
  }
  await hurryDrain(origin.client);
  await untilDrained(origin.client, origin.shardCount);
  before = await uuidsOf(origin);
  kept.push(await checkpointsOf(origin.client));
  const exported = await folder.export(origin.dataDirectory);
  await origin.stop();
  const result = await folder.import(exported, 'imported', '--shards', String(shardCount));
  expect(result).toMatchObject({ code: 0 });
  imported = await origin.startOn(folder.file('imported'), shardCount);
  for (const [index, device] of devices.entries()) {
    await imported.client.signIn(client, device, `user-${index}`);
  }
  await hurryDrain(imported.client);
  await untilDrained(imported.client, shardCount);
  kept.push(await checkpointsOf(imported.client));
});
afterAll(async () => {
  await imported?.stop();
  folder?.remove();
  await origin?.stopAndRemove();
});

const audit = (chains: readonly HeldChain[]) =>
  verifyAudit({
    chains,
    checkpoints: kept.flatMap(({ checkpoints }) => checkpoints),
    keys: kept.flatMap(({ keys }) => keys),
    issuer: origin.url,
  });

it('has every event from before under the same uuid, beside the new ones', async () => {
  const after = await uuidsOf(imported);
  expect(before.filter((uuid) => !after.includes(uuid))).toEqual([]);
  expect(after.length).toBeGreaterThan(before.length);
  expect(new Set(after).size).toBe(after.length);
});

it('verifies with checkpoints from before and after, though their keys differ', async () => {
  const report = await audit(await exportChains(imported.client, shardCount));
  expect(report.findings.map(describeFinding)).toEqual([]);
  expect(report.checkpoints.verified).toBe(kept.flatMap(({ checkpoints }) => checkpoints).length);
  const archived = report.chains.filter(({ name }) => name.includes('.'));
  expect(archived.length).toBeGreaterThan(0);
  for (const { rows, coveredThrough } of report.chains) expect(coveredThrough).toBe(rows);
});

it('gives receipts of decisions from before, under the name of the chain that was archived', async () => {
  const chains = await exportChains(imported.client, shardCount);
  const archived = chains.filter(({ name }) => name.includes('.'));
  const [decision] = archived.flatMap(({ name, rows }) =>
    rows
      .filter(({ record }) => record.includes('"subject":"user-0"'))
      .map(({ sequence }) => `${name}.${sequence}`),
  );
  const path = `/v1/admin/decisions/${decision}/receipt`;
  const receipt = await getAs(imported.client, path, decisionReceipt);
  const asked = {
    text: JSON.stringify(receipt),
    rootPem: readFileSync(join(folder.file('imported'), 'certificates', 'root.pem'), 'utf8'),
    nowMs: Date.now(),
  };
  const verified = await verifyReceipt(asked);
  expect(verified).toMatchObject({ ok: true, replay: { kind: 'same' } });
  expect(verified).toMatchObject({ claims: { decision_id: decision } });
});

it('#64 shows an archived chain that was cut off, or taken away', async () => {
  const chains = await exportChains(imported.client, shardCount);
  const archived = chains.find(({ name }) => name.includes('.'));
  if (archived === undefined) throw new Error('nothing was archived');
  const cut = chains.map((chain) =>
    chain === archived ? { ...chain, rows: chain.rows.slice(0, -1), head: undefined } : chain,
  );
  expect((await audit(cut)).findings).toMatchObject([
    { kind: 'rows_cut_off', chain: archived.name },
    { kind: 'archive_wrong', chain: archived.name },
  ]);
  const without = chains.filter((chain) => chain !== archived);
  const missing = (await audit(without)).findings.filter(({ kind }) => kind === 'chain_missing');
  expect(missing.length).toBeGreaterThan(0);
});
