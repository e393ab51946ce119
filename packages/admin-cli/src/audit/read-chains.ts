import { decisionPage } from '@countersign/protocol/admin';
import { archivedChains, archivedDecisionPage } from '@countersign/protocol/state';
import { organizationEventPage } from '@countersign/protocol/system-log';
import { type AdminClient, BrokerRefusal } from '../client/admin-client.ts';
import type { ChainHead, ExportedChain, ExportedRow } from '../verify-audit/index.ts';

/** The chains of a broker, whose rows are asked for as they are taken. */

type Page = {
  readonly rows: readonly ExportedRow[];
  readonly start: string | undefined;
  readonly head: ChainHead;
};
type PageReader = (after: number, limit: number) => Promise<Page>;

const pageRows = 1000;

/** Up to the head, so that rows which come meanwhile do not matter. */
async function* rowsThrough(read: PageReader, { count }: ChainHead): AsyncGenerator<ExportedRow> {
  let sequence = 0;
  while (sequence < count) {
    const { rows } = await read(sequence, Math.min(pageRows, count - sequence));
    yield* rows;
    const last = rows.at(-1)?.sequence ?? 0;
    // Rows that are missing are for the audit to find.
    if (last <= sequence) return;
    sequence = last;
  }
}

async function openChain(name: string, read: PageReader): Promise<ExportedChain> {
  const { start, head } = await read(0, 1);
  return { name, start, head, rows: rowsThrough(read, head) };
}

const range = (after: number, limit: number) => `after=${after}&limit=${limit}`;

const shardReader =
  (client: AdminClient, shard: number): PageReader =>
  async (after, limit) => {
    const path = `/v1/admin/shards/${shard}/decisions?${range(after, limit)}`;
    const { decisions, start, head } = await client.get(path, decisionPage);
    return { rows: decisions, start, head };
  };

const organizationReader =
  (client: AdminClient): PageReader =>
  async (after, limit) => {
    const path = `/v1/admin/organization/events?${range(after, limit)}`;
    const { events, head } = await client.get(path, organizationEventPage);
    return { rows: events, start: undefined, head };
  };

const archiveReader =
  (client: AdminClient, chain: string): PageReader =>
  async (after, limit) => {
    const path = `/v1/admin/archived-chains/${chain}/decisions?${range(after, limit)}`;
    const { decisions, start, head } = await client.get(path, archivedDecisionPage);
    return { rows: decisions, start: start ?? undefined, head };
  };

/** The first shard that there is not ends them: how many there are only an owner may ask. */
async function openShards(client: AdminClient): Promise<ExportedChain[]> {
  const chains: ExportedChain[] = [];
  for (let shard = 0; ; shard++) {
    try {
      chains.push(await openChain(String(shard), shardReader(client, shard)));
    } catch (error) {
      const isEnd = error instanceof BrokerRefusal && error.problem.field === 'shard';
      if (!isEnd || shard === 0) throw error;
      return chains;
    }
  }
}

/** Every chain of a broker: those of its shards, the organization's, and those that imports archived. */
export async function openChains(client: AdminClient): Promise<ExportedChain[]> {
  const shards = await openShards(client);
  const organization = await openChain('organization', organizationReader(client));
  const { chains: archived } = await client.get('/v1/admin/archived-chains', archivedChains);
  const archives: ExportedChain[] = [];
  for (const { chain_id } of archived) {
    archives.push(await openChain(chain_id, archiveReader(client, chain_id)));
  }
  return [...shards, organization, ...archives];
}

export const chainRoutes = [
  'GET /v1/admin/shards/:shard/decisions',
  'GET /v1/admin/organization/events',
  'GET /v1/admin/archived-chains',
  'GET /v1/admin/archived-chains/:id/decisions',
] as const;
