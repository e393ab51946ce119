import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { alternate, type Figure, median } from './figures.ts';
import { enrollFleet, type Fleet, prepareSignIns } from './prepared-sign-ins.ts';
import { encodeCall, type LoadResult, sendAll } from './send-all.ts';
import { type DirectBroker, startBroker } from './workerd-direct.ts';

const revocations = 50_000;
const fleetSize = 100;
const decisionsPerRound = 750;
const rounds = 8;
const warmUp = 500;

const shardFolder = 'countersign-device-v1';

/** A device of which the one certificate is revoked, and a database for each shard. */
async function fillShards(broker: DirectBroker): Promise<void> {
  const { url: brokerUrl, ownerToken } = broker;
  const client = new BrokerClient({ fetch, brokerUrl, ownerToken });
  const shards = () =>
    readdirSync(join(broker.durableObjects, shardFolder)).filter(isDatabase).length;
  for (let index = 0; index < 500; index++) {
    const device = await FakeDevice.create({ serial_number: `REVOKED${index + 1000}` });
    const { device_id } = await client.enroll(device);
    const { certificates } = await client.device(device_id);
    await client.revoke(device_id, certificates[0]?.fingerprint_sha256 ?? '');
    if (index >= 64 && shards() >= 16) return;
  }
  throw new Error('some shards have no device');
}

const isDatabase = (name: string) => name.endsWith('.sqlite') && name !== 'metadata.sqlite';

/**
 * Puts revoked certificates into every shard of a broker that stands still, each of a device, a key and a serial number
 * of its own, like the revoked one that is there. Fifty thousand enrollments would take minutes and leave the same rows.
 */
function multiplyRevoked(durableObjects: string, count: number): void {
  const folder = join(durableObjects, shardFolder);
  const names = readdirSync(folder).filter(isDatabase);
  const perShard = Math.ceil(count / names.length);
  for (const name of names) {
    const database = new DatabaseSync(join(folder, name));
    try {
      const columns = database
        .prepare(`SELECT name FROM pragma_table_info('certificates')`)
        .all()
        .map((column) => String(column.name));
      const own: Record<string, string> = {
        certificate_number: '(SELECT MAX(certificate_number) FROM certificates) + n',
        lineage: '(SELECT MAX(certificate_number) FROM certificates) + n',
        device_id: `device_id || '-' || n`,
        spki_sha256: 'randomblob(32)',
        serial_number: 'randomblob(16)',
        certificate_sha256: 'randomblob(32)',
      };
      const values = columns.map((column) => own[column] ?? column);
      database.exec(
        `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${perShard}),
         revoked AS (SELECT * FROM certificates WHERE status = 'revoked' LIMIT 1)
         INSERT INTO certificates (${columns.join(', ')})
         SELECT ${values.join(', ')} FROM numbers, revoked`,
      );
      const [row] = database
        .prepare(`SELECT COUNT(*) AS count FROM certificates WHERE status = 'revoked'`)
        .all();
      if (!(Number(row?.count) >= perShard)) throw new Error(`${name} has too few revocations`);
    } finally {
      database.close();
    }
  }
}

type Running = { readonly broker: DirectBroker; readonly fleet: Fleet };

async function startWith(directory: string, count: number): Promise<Running> {
  mkdirSync(directory);
  const first = await startBroker(directory);
  await fillShards(first).finally(first.stop);
  if (count > 0) multiplyRevoked(first.durableObjects, count);
  const broker = await startBroker(directory, { port: first.port });
  return { broker, fleet: await enrollFleet(broker, fleetSize) };
}

async function decide({ broker, fleet }: Running, count: number): Promise<LoadResult> {
  const requests = (await prepareSignIns(fleet, count)).map(encodeCall);
  const isExpected = (answer: string) => answer.includes('"decision":true');
  const result = await sendAll({ ...broker, requests, isExpected });
  if (result.failures > 0) throw new Error(`${result.failures} sign-ins were denied`);
  return result;
}

/** Decisions of a broker with hardly a revocation, in turn with those of one with many. */
export async function measureRevokedFleet(directory: string): Promise<Figure[]> {
  const none = await startWith(join(directory, 'none'), 0);
  const many = await startWith(join(directory, 'many'), revocations);
  try {
    for (const each of [none, many]) await decide(each, warmUp);
    const runs = await alternate(rounds, {
      none: () => decide(none, decisionsPerRound),
      many: () => decide(many, decisionsPerRound),
    });
    const ratioOf = (part: 'perSecond' | 'cpuMicroseconds') =>
      median(runs.many.map((run, index) => run[part] / (runs.none[index]?.[part] ?? Number.NaN)));
    const inNumbers = (results: readonly LoadResult[]) =>
      `${median(results.map((run) => run.perSecond)).toFixed(0)}/s, ${median(results.map((run) => run.cpuMicroseconds)).toFixed(0)} µs`;
    return [
      {
        name: `server CPU per decision after ${revocations.toLocaleString('en')} revocations ÷ after hardly any`,
        value: ratioOf('cpuMicroseconds').toFixed(2),
        target: '1.00',
        note: `${inNumbers(runs.many)} ÷ ${inNumbers(runs.none)}; decisions/s ${ratioOf('perSecond').toFixed(2)}`,
      },
    ];
  } finally {
    await Promise.all([none.broker.stop(), many.broker.stop()]);
  }
}
