import { env, runInDurableObject } from 'cloudflare:test';
import { type DecisionRecord, decisionRecord } from '@countersign/protocol/decision-record';
import type { DeviceObject } from '../../worker/src/device/device-object.ts';
import { deviceObjectName, shardOfId } from '../../worker/src/device/placement.ts';
import { broker } from './test-broker.ts';

/** The Durable Objects behind the broker, looked at from inside. */

export const shardCount = Number(env.SHARD_COUNT);

export const shardObject = (shard: number) =>
  env.DEVICE.get(env.DEVICE.idFromName(deviceObjectName(shard)));

export const organizationObject = () =>
  env.ORGANIZATION.get(env.ORGANIZATION.idFromName('organization'));

export const runInOrganization = <Result>(
  run: (state: DurableObjectState) => Result | Promise<Result>,
): Promise<Result> => runInDurableObject(organizationObject(), (_, state) => run(state));

/** The shard of a device id or challenge id. */
export function shardOf(id: string | undefined): number {
  const shard = shardOfId(id ?? '', shardCount);
  if (shard === undefined) throw new RangeError(`${id} has no shard`);
  return shard;
}

export const inShard = <Result>(
  shard: number,
  run: (object: DeviceObject, state: DurableObjectState) => Result | Promise<Result>,
): Promise<Result> => runInDurableObject(shardObject(shard), run);

/** Runs one statement in a shard and gives its rows. */
export const sqlInShard = (shard: number, statement: string, ...bindings: SqlStorageValue[]) =>
  inShard(shard, (_, { storage }) => storage.sql.exec(statement, ...bindings).toArray());

/** The record behind an answer's `decision_id`, as the administrator gets it. */
export async function recordOf(decisionId: string): Promise<DecisionRecord> {
  const [shard = Number.NaN, sequence] = decisionId.split('.').map(Number);
  const { rows } = await broker.decisions(shard);
  const row = rows.find((each) => each.sequence === sequence);
  if (row === undefined) throw new Error(`there is no row ${decisionId}`);
  return decisionRecord.parse(JSON.parse(row.record));
}

/** How many decisions each shard holds. */
export async function countDecisions(): Promise<number[]> {
  const counts = Array.from({ length: shardCount }, async (_, shard) => {
    const { head } = await broker.decisions(shard);
    return head.count;
  });
  return await Promise.all(counts);
}

/** An empty database of its own. */
export const inEmptyObject = <Result>(
  run: (storage: DurableObjectStorage) => Result,
): Promise<Result> =>
  runInDurableObject(env.KEY.get(env.KEY.newUniqueId()), (_, { storage }) => {
    for (const table of ['keys', 'changes', 'schema_migrations'])
      storage.sql.exec(`DROP TABLE ${table}`);
    return run(storage);
  });

/** The same database, and how many rows have been written through it since that was asked last. */
export function countRowsWritten(sql: SqlStorage) {
  let cursors: { readonly rowsWritten: number }[] = [];
  const counted = new Proxy(sql, {
    get: (target, name) =>
      name === 'exec'
        ? (...parameters: Parameters<SqlStorage['exec']>) => {
            const cursor = target.exec(...parameters);
            cursors.push(cursor);
            return cursor;
          }
        : Reflect.get(target, name),
  });
  const rowsWritten = () => {
    const taken = cursors;
    cursors = [];
    return total(taken.map((cursor) => cursor.rowsWritten));
  };
  return { sql: counted, rowsWritten };
}

export const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
