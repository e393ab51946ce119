import { encodeBase64url } from '@countersign/protocol';
import { parseFields } from '@countersign/protocol/schemas';
import {
  chainId,
  type MarksAnswer,
  marksPerPage,
  type StateObject,
  stateObjects,
  stateSections,
} from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { deviceMigrations } from '../../device/device-schema.ts';
import { organizationMigrations } from '../../directory/organization-schema.ts';
import { keyMigrations } from '../../enrollment/key-schema.ts';
import { decodeCursor } from '../../storage/export-tables.ts';
import { shardOfChain } from '../../storage/import-page.ts';
import { askObject, type Broker, deviceShard, keyShard } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readWhole } from '../read-whole.ts';

/** Export of everything that is stored, and the marks that an older copy of it is noticed by. */

const namesOf = (migrations: ReadonlyArray<{ readonly id: string }>) =>
  migrations.map(({ id }) => id);

/** `GET /v1/admin/state`. */
export const getState = forAdmin('state.transfer', async (broker, context) => {
  const organization = await askObject(() => broker.organization().stateMark());
  if (!organization.ok) return context.refuse({ code: organization.code });
  return Response.json({
    organization_id: broker.organizationId,
    shard_count: broker.shardCount,
    imports: organization.mark.imports,
    schemas: {
      device: namesOf(deviceMigrations),
      key: namesOf(keyMigrations),
      organization: namesOf(organizationMigrations),
    },
  });
});

type Marked<Mark> =
  | { readonly ok: true; readonly mark: Mark }
  | { readonly ok: false; readonly otherVersion?: string };

/** What cannot be read is refused by its object, too: it is told, and does not hide the others. */
const markOf = <Mark>(answer: Marked<Mark>) =>
  answer.ok
    ? answer.mark
    : {
        unreadable: answer.otherVersion ?? 'storage_unavailable',
        other_version: answer.otherVersion !== undefined,
      };

/** `GET /v1/admin/state/marks?from={shard}`. */
export const getMarks = forAdmin('state.transfer', async (broker, context) => {
  const query = new URL(context.request.url).searchParams;
  const from = readWhole(query.get('from') ?? '0', 0, broker.shardCount - 1);
  if (from === undefined) return context.refuse({ code: 'field_invalid', field: 'from' });
  const count = Math.min(marksPerPage, broker.shardCount - from);
  const shards = Array.from({ length: count }, async (_, index) => {
    const shard = from + index;
    const [device, key] = await Promise.all([
      askObject(() => deviceShard(broker, shard).stateMark()),
      askObject(() => keyShard(broker, shard).stateMark()),
    ]);
    return { shard, device: markOf(device), key: markOf(key) };
  });
  const answer: MarksAnswer = {
    organization_id: broker.organizationId,
    shard_count: broker.shardCount,
    organization: markOf(await askObject(() => broker.organization().stateMark())),
    shards: await Promise.all(shards),
  };
  return Response.json(answer);
});

const rowsQuery = z.object({
  object: z.enum(stateObjects),
  shard: z.string(),
  section: z.string(),
  after: z.optional(z.string()),
  through: z.optional(z.string()),
});

/** `GET /v1/admin/state/rows?object=…&shard=…&section=…&after=…&through=…`. */
export const getStateRows = forAdmin('state.transfer', async (broker, context) => {
  const parameters = new URL(context.request.url).searchParams;
  const query = parseFields(rowsQuery, Object.fromEntries(parameters));
  if (!query.ok) {
    return context.refuse({ code: 'field_invalid', field: query.field, detail: query.detail });
  }
  const { object } = query.value;
  const wrong = (field: string) => context.refuse({ code: 'field_invalid', field });
  const shard = readWhole(query.value.shard, 0, broker.shardCount - 1);
  if (shard === undefined) return wrong('shard');
  const section = stateSections[object].find((name) => name === query.value.section);
  if (section === undefined) return wrong('section');
  const after = query.value.after === undefined ? undefined : decodeCursor(query.value.after);
  if (query.value.after !== undefined && after === undefined) return wrong('after');
  const through = readWhole(query.value.through ?? '0', 0, Number.MAX_SAFE_INTEGER);
  if (through === undefined) return wrong('through');
  const range = { after, ...(query.value.through === undefined ? {} : { through }) };
  const objects = {
    device: () => deviceShard(broker, shard).exportState(section, range),
    key: () => keyShard(broker, shard).exportState(section, range),
    organization: () => broker.organization().exportState(section, range),
  } as const satisfies Record<StateObject, unknown>;
  const page = await askObject(objects[object]);
  return page.ok ? Response.json(page.page) : context.refuse(page);
});

/** `GET /v1/admin/archived-chains`. */
export const getArchivedChains = forAdmin('log.read', async (broker, context) => {
  const archived = await askObject(() => broker.organization().archivedHeads());
  return archived.ok ? Response.json({ chains: archived.chains }) : context.refuse(archived);
});

/** `GET /v1/admin/archived-chains/{chain id}/decisions?after=…&limit=…`. */
export const getArchivedDecisions = forAdmin('log.read', async (broker: Broker, context) => {
  const id = parseFields(chainId, context.parameter('id'));
  if (!id.ok) return context.refuse({ code: 'not_found' });
  const query = new URL(context.request.url).searchParams;
  const after = readWhole(query.get('after') ?? '0', 0, Number.MAX_SAFE_INTEGER);
  if (after === undefined) return context.refuse({ code: 'field_invalid', field: 'after' });
  const limit = readWhole(query.get('limit') ?? '100', 1, 1000);
  if (limit === undefined) return context.refuse({ code: 'field_invalid', field: 'limit' });
  const shard = shardOfChain(id.value, broker.shardCount);
  const answer = await askObject(() =>
    deviceShard(broker, shard).archivedDecisions(id.value, after, limit),
  );
  if (!answer.ok) return context.refuse(answer);
  if (answer.page === undefined) return context.refuse({ code: 'not_found' });
  const { rows, start, count, hash } = answer.page;
  return Response.json({
    chain_id: id.value,
    decisions: rows.map((row) => ({ ...row, hash: encodeBase64url(row.hash) })),
    start,
    head: { count, hash: encodeBase64url(hash) },
  });
});
