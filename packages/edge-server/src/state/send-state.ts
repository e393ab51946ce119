import { type StateTables, stateAnswer } from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { EdgeServerError } from '../edge-server-error.ts';
import { askBroker, type BrokerAccess } from './ask-broker.ts';
import type { CheckedStateFile } from './check-state-file.ts';
import { invalidLine, readStateFile } from './read-state-file.ts';

const running = z.object({ status: z.enum(['running', 'complete']) });

const emptyTables: StateTables = {};

/** Steps of a schema that this version lacks: what they mean cannot be known. */
async function assertKnownSchemas(access: BrokerAccess, file: CheckedStateFile): Promise<void> {
  const { schemas } = await askBroker(access, stateAnswer, '/v1/admin/state');
  for (const object of ['device', 'key', 'organization'] as const) {
    const unknown = file.header.schemas[object].find((step) => !schemas[object].includes(step));
    if (unknown === undefined) continue;
    throw new EdgeServerError(
      'state_file_invalid',
      `The export is of a newer version of Countersign (it has ${unknown}). Import it with that version or a newer one.`,
    );
  }
}

async function sendPages(
  access: BrokerAccess,
  { header, tombstones }: CheckedStateFile,
  input: string,
): Promise<void> {
  const import_id = header.export_id;
  const send = (page: Readonly<Record<string, unknown>>) =>
    askBroker(access, running, '/v1/admin/state/import/rows', { import_id, ...page });
  await askBroker(access, running, '/v1/admin/state/import', {
    import_id,
    imports: header.mark.organization.imports,
    created_at: header.created_at,
    chains: header.mark.shards.flatMap(({ device }, shard) =>
      device === null || device.count === 0
        ? []
        : [{ chain_id: `${import_id}.${shard}`, count: device.count, hash: device.hash }],
    ),
  });
  for await (const { number, value } of readStateFile(input)) {
    if (value.type !== 'page') continue;
    const { object, shard, section } = value;
    // They are put together from all shards below.
    if (section === 'user_tombstones') continue;
    const tables = section === 'devices' ? tombstones.suspend(shard, value.tables) : value.tables;
    await send({ object, shard, section, tables }).catch((error: unknown) => {
      if (!(error instanceof EdgeServerError)) throw error;
      throw invalidLine(input, number, `it cannot be stored: ${error.message}`);
    });
  }
  const ended = {
    user_tombstones: [...tombstones.rows()],
    integration_tombstones: [...tombstones.integrationRows()],
  };
  for (const section of ['user_tombstones', 'integration_tombstones'] as const) {
    const rows = ended[section];
    for (let sent = 0; sent < rows.length; sent += 1000) {
      const page = { ...emptyTables, [section]: rows.slice(sent, sent + 1000) };
      await send({ object: 'device', shard: 0, section, tables: page });
    }
  }
  await askBroker(access, running, '/v1/admin/state/import/finish', { import_id });
}

/**
 * Sends an export to a broker in which nothing is stored yet. From the first page to the end it serves nothing; an
 * import that is broken off cannot be taken up again.
 *
 * @throws EdgeServerError
 */
export async function sendState(
  access: BrokerAccess,
  file: CheckedStateFile,
  input: string,
): Promise<void> {
  await assertKnownSchemas(access, file);
  await sendPages(access, file, input);
}
