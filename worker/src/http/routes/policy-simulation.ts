import {
  addSimulation,
  emptySimulation,
  type PartialSimulation,
  simulationOf,
  simulationRequest,
} from '@countersign/policy';
import { currentTimeMs } from '../../clock.ts';
import type { SimulationOrder } from '../../device/simulate-policy.ts';
import { groupsIn } from '../../policy/compiled-policies.ts';
import type { StorageUnavailable } from '../../storage/durable-store.ts';
import { currentSnapshot } from '../answer-change.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

const maxPolicyBytes = 1024 * 1024;

/** Of each shard: two million rows, and a few minutes, at most with a thousand shards. */
const mostPages = 1000;

/** One shard after the other, page by page, so that sign-ins are decided in between. */
async function simulate(
  broker: Broker,
  order: SimulationOrder,
): Promise<
  | { readonly ok: true; readonly sum: PartialSimulation; readonly isComplete: boolean }
  | StorageUnavailable
> {
  const sum = emptySimulation();
  let pages = 0;
  for (let shard = 0; shard < broker.shardCount; shard += 1) {
    let before: number | undefined;
    do {
      if (pages === mostPages) return { ok: true, sum, isComplete: false };
      pages += 1;
      const asked = await askObject(() => deviceShard(broker, shard).simulatePolicy(order, before));
      if (!asked.ok) return asked;
      addSimulation(sum, asked.page.part);
      before = asked.page.before;
    } while (before !== undefined);
  }
  return { ok: true, sum, isComplete: true };
}

const asking = { permission: 'log.read', whileReadOnly: true } as const;

/** `POST /v1/admin/applications/{id}/policy/simulate`: what a draft would have made of recorded sign-ins. Changes nothing. */
export const postPolicySimulation = forAdmin(asking, async (broker, context) => {
  const application = context.parameter('id');
  const body = await readBody(
    context.request,
    simulationRequest,
    ['application/json'],
    maxPolicyBytes,
  );
  if (!body.ok) return context.refuse(body.problem);
  const { policy: fields, since, until } = body.value;
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  if (!snapshot.applications.has(application)) {
    return context.refuse({ code: 'application_not_found' });
  }
  const policy = { version: snapshot.version, ...fields };
  const found = await askObject(() => broker.organization().groupMembers([...groupsIn(policy)]));
  if (!found.ok) {
    return found.code === 'group_not_found'
      ? context.refuse({ code: found.code, detail: found.group })
      : context.refuse({ code: found.code });
  }
  const simulated = await simulate(broker, {
    application,
    policy,
    zones: snapshot.zones,
    groups: found.groups,
    sinceMs: Date.parse(since),
    untilMs: until === undefined ? currentTimeMs() : Date.parse(until),
  });
  if (!simulated.ok) return context.refuse({ code: simulated.code });
  const order = [...policy.rules.map(({ id }) => id), 'default'];
  return Response.json({
    ...simulationOf(simulated.sum, order),
    complete: simulated.isComplete,
  });
});
