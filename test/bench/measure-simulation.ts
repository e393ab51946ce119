import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { simulationAnswer } from '@countersign/policy';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { type Figure, median } from './figures.ts';
import { enrollFleet, prepareSignIns } from './prepared-sign-ins.ts';
import { cpuSecondsOf, encodeCall, sendAll } from './send-all.ts';
import { startBroker } from './workerd-direct.ts';

const fleetSize = 50;
const recorded = 200_000;
const rounds = 3;
const ruleCount = 100;

/**
 * Repeats the decisions that are there, in the shards of a broker that stands still, until there are enough: two hundred
 * thousand sign-ins would take minutes and leave the same rows. What has to be copied to the log counts as copied.
 */
function multiplyDecisions(durableObjects: string, count: number): void {
  const folders = readdirSync(durableObjects).map((name) => join(durableObjects, name));
  const databases = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.sqlite') && name !== 'metadata.sqlite')
      .map((name) => new DatabaseSync(join(folder, name))),
  );
  const countIn = (database: DatabaseSync, table: string) =>
    Number(database.prepare(`SELECT COUNT(*) AS count FROM ${table}`).get()?.count);
  const hasTable = (database: DatabaseSync, table: string) =>
    database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) !==
    undefined;
  const shards = databases.filter(
    (database) => hasTable(database, 'enrollment_tokens') && countIn(database, 'decisions') > 0,
  );
  const perShard = Math.ceil(count / shards.length);
  for (const shard of shards) {
    shard.exec(
      `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${perShard}),
       last AS (SELECT MAX(sequence) AS sequence FROM decisions),
       signed AS (SELECT * FROM decisions WHERE record ->> 'recorded_at_ms' > 0
         AND record ->> 'opened' IS NOT NULL ORDER BY sequence DESC LIMIT 1)
       INSERT INTO decisions (sequence, challenge_id, device_id, stage, record, hash)
       SELECT last.sequence + n, 'again-' || n, signed.device_id, signed.stage, signed.record, signed.hash
       FROM numbers, last, signed`,
    );
    shard.exec('UPDATE outbox_cursors SET sequence = (SELECT MAX(sequence) FROM decisions)');
  }
  for (const database of databases) database.close();
}

const rules = Array.from({ length: ruleCount }, (_, place) => ({
  id: `rule-${place}`,
  when: place === ruleCount - 1 ? { device_trust: 'trusted' } : { people: { users: [`${place}`] } },
  effect: place === ruleCount - 1 ? 'allow' : 'deny',
}));

/** A draft over everything that is on record: with the calls of the shards, the reading, and the parsing of each record. */
export async function measureSimulation(directory: string): Promise<Figure[]> {
  const first = await startBroker(directory);
  const fleet = await enrollFleet(first, fleetSize);
  const requests = (await prepareSignIns(fleet, 400)).map(encodeCall);
  const isExpected = (answer: string) => answer.includes('"decision":true');
  await sendAll({ ...first, requests, isExpected }).finally(first.stop);
  multiplyDecisions(first.durableObjects, recorded);
  const broker = await startBroker(directory, { port: first.port });
  try {
    const client = new BrokerClient({
      fetch: (url, init) => fetch(url, init),
      brokerUrl: broker.url,
      ownerToken: broker.ownerToken,
    });
    const policy = { enforcement: 'enforce', rules, otherwise: 'deny' };
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const path = `/v1/admin/applications/${fleet.client.application}/policy/simulate`;
    const runs: { readonly perCore: number; readonly seconds: number }[] = [];
    let found = 0;
    for (let round = 0; round < rounds; round++) {
      const cpuBefore = cpuSecondsOf(broker.pid);
      const beganAt = performance.now();
      const response = await client.admin('POST', path, { policy, since });
      const text = await response.text();
      if (!response.ok) throw new Error(`${response.status} ${text}`);
      const { decisions, unchanged } = simulationAnswer.parse(JSON.parse(text));
      if (unchanged !== decisions) throw new Error(`the draft changes something: ${text}`);
      found = decisions;
      const seconds = (performance.now() - beganAt) / 1000;
      runs.push({ seconds, perCore: decisions / (cpuSecondsOf(broker.pid) - cpuBefore) });
    }
    if (found < recorded) throw new Error(`only ${found} decisions were looked at`);
    return [
      {
        name: 'simulated decisions/s and core, in workerd',
        value: `${(median(runs.map(({ perCore }) => perCore)) / 1000).toFixed(0)} k/s`,
        target: '≥ 100 k/s',
        note: `${found} decisions in ${median(runs.map(({ seconds }) => seconds)).toFixed(1)} s, a draft of ${ruleCount} rules; records are read from the disk and parsed`,
      },
    ];
  } finally {
    await broker.stop();
  }
}
