import type { ExportedChain, ExportedRow } from '@countersign/admin-cli/verify-audit';
import { decisionPage } from '@countersign/protocol/admin';
import { archivedChains, archivedDecisionPage } from '@countersign/protocol/state';
import {
  checkpointSet,
  type LogEvent,
  logPage,
  organizationEventPage,
} from '@countersign/protocol/system-log';
import type { BrokerClient } from '@countersign/testkit/broker-client';
import type * as z from 'zod/mini';

/** The system log as its clients have it: pages, chains, checkpoints. */

export async function getAs<Schema extends z.ZodMiniType>(
  client: BrokerClient,
  path: string,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const response = await client.admin('GET', path);
  if (response.status !== 200)
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return schema.parse(await response.json());
}

export type HeldChain = ExportedChain & { readonly rows: readonly ExportedRow[] };

/** Every chain of a broker: those of its shards, the organization's, and those that imports archived. */
export async function exportChains(client: BrokerClient, shardCount: number): Promise<HeldChain[]> {
  const chains: HeldChain[] = [];
  for (let shard = 0; shard < shardCount; shard++) {
    const path = `/v1/admin/shards/${shard}/decisions?limit=1000`;
    const { decisions, start, head } = await getAs(client, path, decisionPage);
    chains.push({ name: String(shard), start, head, rows: decisions });
  }
  const organization = '/v1/admin/organization/events?limit=1000';
  const { events, head } = await getAs(client, organization, organizationEventPage);
  chains.push({ name: 'organization', start: undefined, head, rows: events });
  for (const { chain_id } of (await getAs(client, '/v1/admin/archived-chains', archivedChains))
    .chains) {
    const path = `/v1/admin/archived-chains/${chain_id}/decisions?limit=1000`;
    const archived = await getAs(client, path, archivedDecisionPage);
    const { decisions, start } = archived;
    chains.push({
      name: chain_id,
      start: start ?? undefined,
      head: archived.head,
      rows: decisions,
    });
  }
  return chains;
}

export const checkpointsOf = (client: BrokerClient) =>
  getAs(client, '/v1/admin/checkpoints', checkpointSet);

/** All events that fit, page by page. */
export async function searchLog(
  client: BrokerClient,
  query: Readonly<Record<string, string>> = {},
): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  let after: string | undefined;
  for (let more = true; more; ) {
    const parameters = new URLSearchParams({ ...query, ...(after === undefined ? {} : { after }) });
    const page = await getAs(client, `/v1/admin/log?${parameters}`, logPage);
    events.push(...page.events);
    after = page.next;
    more = page.more;
  }
  return events;
}

/** Has every chain brought at once, instead of some seconds later. */
export async function hurryDrain(client: BrokerClient): Promise<void> {
  const response = await client.admin('POST', '/v1/admin/log/rebuild');
  if (response.status !== 202) throw new Error(await response.text());
}

/** Waits until every row of every chain has come together in the log. */
export async function untilDrained(client: BrokerClient, shardCount: number): Promise<LogEvent[]> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const chains = await exportChains(client, shardCount);
    const rows = chains.reduce((sum, chain) => sum + chain.rows.length, 0);
    const events = await searchLog(client, { limit: '1000' });
    if (events.length >= rows) return events;
    if (performance.now() > deadline) throw new Error(`${events.length} of ${rows} rows came`);
    await new Promise((later) => setTimeout(later, 250));
  }
}
