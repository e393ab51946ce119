import {
  findChainedRow,
  parseDecision,
  parseRowName,
  type RowName,
  signReceipt,
} from '../../audit/decision-receipt.ts';
import { currentTimeMs } from '../../clock.ts';
import { shardOfChain } from '../../storage/import-page.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';

/** The row and the one before it, with what its chain began with. */
async function readRows(broker: Broker, { archivedBy, chain, shard, sequence }: RowName) {
  const after = Math.max(0, sequence - 2);
  if (archivedBy === undefined) {
    if (shard >= broker.shardCount) return { ok: true, rows: [], start: undefined } as const;
    return await askObject(() => deviceShard(broker, shard).decisions(after, 2));
  }
  const home = shardOfChain(chain, broker.shardCount);
  const archived = await askObject(() =>
    deviceShard(broker, home).archivedDecisions(chain, after, 2),
  );
  if (!archived.ok) return archived;
  const { rows = [], start } = archived.page ?? {};
  return { ok: true, rows, start: start ?? undefined } as const;
}

/**
 * `GET /v1/admin/decisions/{id}/receipt`: for administrators alone, since the record says of the device what sign-in
 * servers are not told.
 */
export const getDecisionReceipt = forAdmin('log.read', async (broker, context) => {
  const name = parseRowName(context.parameter('id'));
  if (name === undefined) {
    const detail = 'must be <chain>.<sequence>, as decisions and events name a row';
    return context.refuse({ code: 'field_invalid', field: 'id', detail });
  }
  const page = await readRows(broker, name);
  if (!page.ok) return context.refuse({ code: page.code });
  const row = await findChainedRow(page.rows, name.sequence, page.start);
  if (row === undefined) return context.refuse({ code: 'decision_not_found' });
  const record = parseDecision(row.record);
  if (record === undefined) {
    const detail =
      'the row holds no decision about a sign-in, or one that this version cannot read';
    return context.refuse({ code: 'decision_not_found', detail });
  }
  const { application, policy_version, organization_version } = record;
  const basis = await askObject(() =>
    broker.organization().decisionBasis(application, policy_version, organization_version),
  );
  if (!basis.ok) return context.refuse({ code: basis.code });
  return Response.json(await signReceipt(name, row, record, basis, broker, currentTimeMs()));
});
