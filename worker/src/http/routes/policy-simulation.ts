import {
  addSimulation,
  effectivePolicy,
  emptySimulation,
  globalSimulationRequest,
  type PartialSimulation,
  type PolicyDocument,
  simulationOf,
  simulationRequest,
} from '@countersign/policy';
import { currentTimeMs } from '../../clock.ts';
import type { SimulationOrder } from '../../device/simulate-policy.ts';
import type { OrganizationSnapshot } from '../../directory/organization-snapshot.ts';
import { groupsIn } from '../../policy/compiled-policies.ts';
import type { StorageUnavailable } from '../../storage/durable-store.ts';
import { currentSnapshot } from '../answer-change.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { effectivePolicies } from '../effective-policies.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { maxPolicyBytes } from '../policy-answers.ts';
import { readBody } from '../read-body.ts';

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

type Period = { readonly since: string; readonly until?: string | undefined };

/** @param policies by application, what would decide its sign-ins */
async function answerSimulation(
  broker: Broker,
  context: AdminContext,
  { zones }: OrganizationSnapshot,
  policies: ReadonlyMap<string, PolicyDocument>,
  { since, until }: Period,
): Promise<Response> {
  const named = new Set([...policies.values()].flatMap((policy) => [...groupsIn(policy)]));
  const found = await askObject(() => broker.organization().groupMembers([...named]));
  if (!found.ok) {
    return found.code === 'group_not_found'
      ? context.refuse({ code: found.code, detail: found.group })
      : context.refuse({ code: found.code });
  }
  const simulated = await simulate(broker, {
    policies,
    zones,
    groups: found.groups,
    sinceMs: Date.parse(since),
    untilMs: until === undefined ? currentTimeMs() : Date.parse(until),
  });
  if (!simulated.ok) return context.refuse({ code: simulated.code });
  const rules = [...policies.values()].flatMap((policy) => policy.rules.map(({ id }) => id));
  return Response.json({
    ...simulationOf(simulated.sum, [...new Set([...rules, 'default'])]),
    complete: simulated.isComplete,
  });
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
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  if (!snapshot.applications.has(application)) {
    return context.refuse({ code: 'application_not_found' });
  }
  const own = { version: snapshot.version, ...body.value.policy };
  const policies = new Map([[application, effectivePolicy(own, snapshot.globalPolicy)]]);
  return await answerSimulation(broker, context, snapshot, policies, body.value);
});

/** `POST /v1/admin/global-policy/simulate`: on the sign-ins of all applications that leave something to it. */
export const postGlobalPolicySimulation = forAdmin(asking, async (broker, context) => {
  const body = await readBody(
    context.request,
    globalSimulationRequest,
    ['application/json'],
    maxPolicyBytes,
  );
  if (!body.ok) return context.refuse(body.problem);
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const read = await effectivePolicies(broker, body.value.policy);
  if (!read.ok) return context.refuse({ code: read.code });
  return await answerSimulation(broker, context, snapshot, read.policies, body.value);
});
