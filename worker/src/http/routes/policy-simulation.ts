import {
  addSimulation,
  defaultRuleId,
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
import type { StorageUnavailable } from '../../storage/durable-store.ts';
import { currentSnapshot } from '../answer-change.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { effectivePoliciesUnder } from '../effective-policies.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readDocument } from '../policy-answers.ts';

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

/**
 * @param policies by application, what would decide its sign-ins
 * @param draft what must name nothing that there is not
 */
async function answerSimulation(
  broker: Broker,
  context: AdminContext,
  { zones }: OrganizationSnapshot,
  policies: ReadonlyMap<string, PolicyDocument>,
  { policy: draft, since, until }: Period & { readonly policy: Pick<PolicyDocument, 'rules'> },
): Promise<Response> {
  // The draft first: what it names that there is not is named by its own places.
  const found = await askObject(() =>
    broker.organization().membersForDrafts([draft, ...policies.values()]),
  );
  if (!found.ok) {
    return found.code === 'field_invalid'
      ? context.refuse({ code: found.code, ...found.unknown })
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
  const order = new Map(
    [...policies].map(([application, { rules }]) => [
      application,
      [...rules.map(({ id }) => id), defaultRuleId],
    ]),
  );
  return Response.json({
    ...simulationOf(simulated.sum, order),
    complete: simulated.isComplete,
  });
}

const asking = { permission: 'log.read', whileReadOnly: true, isQuestion: true } as const;

/** `POST /v1/admin/applications/{id}/policy/simulate`: what a draft would have made of recorded sign-ins. Changes nothing. */
export const postPolicySimulation = forAdmin(asking, async (broker, context) => {
  const application = context.parameter('id');
  const body = await readDocument(context, simulationRequest);
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
  const body = await readDocument(context, globalSimulationRequest);
  if (!body.ok) return context.refuse(body.problem);
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const read = await askObject(() => broker.organization().ownPolicies());
  if (!read.ok) return context.refuse({ code: read.code });
  const policies = effectivePoliciesUnder(read, body.value.policy);
  return await answerSimulation(broker, context, snapshot, policies, body.value);
});
