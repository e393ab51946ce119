import { importBeginning, importEnd, importPage } from '@countersign/protocol/state';
import { currentTimeMs } from '../../clock.ts';
import { importStatePage } from '../../storage/import-page.ts';
import { askObject, type Broker, deviceShard, integrationObject, keyShard } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/**
 * Import of an export, into an organization in which nothing is stored yet. From its begin to its end no snapshot is
 * given, and with that nothing is served: an import that is broken off leaves nothing that could be half right.
 */

/** A page of an export is larger than what others send. */
const maxPageBytes = 8 * 1024 * 1024;
const json = ['application/json'];

/** The end of an import is what the log has of it: until then the log itself is being brought in. */
const rule = {
  permission: 'state.transfer',
  event: 'admin.state.import',
  recorded: 'with_change',
} as const;
/** While an import is running there is no snapshot that could be asked for, and no administrator on record. */
const importing = { ...rule, whileImporting: true } as const;

const allShards = (broker: Broker) =>
  Array.from({ length: broker.shardCount }, (_, shard) => shard);

/** Nothing may be stored in any shard, or rows would be mixed with those of the import. */
async function findUsedShard(broker: Broker): Promise<number | undefined> {
  for (const shard of allShards(broker)) {
    const device = await askObject(() => deviceShard(broker, shard).stateMark());
    const key = await askObject(() => keyShard(broker, shard).stateMark());
    const isEmpty =
      device.ok &&
      key.ok &&
      device.mark.count + device.mark.certificates + device.mark.changes + key.mark.changes === 0;
    if (!isEmpty) return shard;
  }
  return undefined;
}

/** `POST /v1/admin/state/import`. */
export const postImport = forAdmin(rule, async (broker, context) => {
  const body = await readBody(context.request, importBeginning, json, maxPageBytes);
  if (!body.ok) return context.refuse(body.problem);
  const used = await findUsedShard(broker);
  if (used !== undefined) {
    return context.refuse({
      code: 'import_refused',
      detail: `an import needs an organization in which nothing is stored yet (see shard ${used})`,
    });
  }
  const begun = await askObject(() => broker.organization().beginImport(body.value));
  if (!begun.ok) return context.refuse(begun);
  await broker.snapshots.refresh(currentTimeMs());
  logEvent('import_begun', { request_id: context.requestId, import_id: body.value.import_id });
  return Response.json({ status: 'running' });
});

/** `POST /v1/admin/state/import/rows`. */
export const postImportRows = forAdmin(importing, async (broker, context) => {
  const body = await readBody(context.request, importPage, json, maxPageBytes);
  if (!body.ok) return context.refuse(body.problem);
  const page = body.value;
  const running = await askObject(() => broker.organization().runningImport());
  if (!running.ok) return context.refuse(running);
  if (running.importId !== page.import_id) {
    return context.refuse({ code: 'import_refused', detail: 'no such import is running' });
  }
  // Only the first page of a shard needs them, and with many shards they are long.
  const archived =
    page.section === 'chain_start'
      ? await askObject(() => broker.organization().archivedHeads())
      : ({ ok: true, chains: [] } as const);
  if (!archived.ok) return context.refuse(archived);
  const stored = await importStatePage(
    {
      shardCount: broker.shardCount,
      chains: archived.chains,
      importIntoShard: (shard, part) =>
        askObject(() => deviceShard(broker, shard).importState(part)),
      importKeys: (shard, rows) => askObject(() => keyShard(broker, shard).importKeys(rows)),
      blockKey: (shard, spki) => askObject(() => keyShard(broker, shard).block(spki)),
      importOrganization: ({ import_id, section, tables }) =>
        askObject(() =>
          broker.organization().importRows(import_id, section, tables[section] ?? []),
        ),
      reserve: (shard, bindings) =>
        askObject(() => broker.organization().importReservations(page.import_id, shard, bindings)),
    },
    page,
  );
  return stored.ok ? Response.json({ status: 'running' }) : context.refuse(stored);
});

/** `POST /v1/admin/state/import/finish`: the shards end their part first, the organization's end is the last. */
export const postImportEnd = forAdmin(importing, async (broker, context) => {
  const body = await readBody(context.request, importEnd);
  if (!body.ok) return context.refuse(body.problem);
  const { import_id: importId } = body.value;
  for (const shard of allShards(broker)) {
    const ended = await askObject(() => deviceShard(broker, shard).finishImport(shard, importId));
    if (!ended.ok) return context.refuse(ended);
  }
  const ended = await askObject(() =>
    broker.organization().finishImport(context.admin.adminId, importId),
  );
  if (!ended.ok) return context.refuse(ended);
  await broker.snapshots.refresh(currentTimeMs());
  await watchAgain(broker, context);
  logEvent('import_finished', { request_id: context.requestId, import_id: importId });
  return Response.json({ status: 'complete' });
});

/** Which devices a management is asked about is found out anew; one that cannot be begun now is in the log. */
async function watchAgain(broker: Broker, { waitUntil }: RouteContext): Promise<void> {
  const read = await broker.snapshots.read(currentTimeMs(), waitUntil);
  if (!read.ok) return;
  for (const id of read.snapshot.integrations.keys()) {
    const resumed = await askObject(() => integrationObject(broker, id).resumeWatching(id));
    if (!resumed.ok) logEvent('management_not_polled', { integration_id: id, code: resumed.code });
  }
}
