import { effectivePolicy, leavesToGlobal, type PolicyDocument } from '@countersign/policy';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { askObject, type Broker } from './broker.ts';

/** What a draft of the global policy would make of the applications that leave something to it. */
export async function effectivePolicies(
  broker: Broker,
  draft: Omit<PolicyDocument, 'version'>,
): Promise<
  { readonly ok: true; readonly policies: ReadonlyMap<string, PolicyDocument> } | StorageUnavailable
> {
  const read = await askObject(() => broker.organization().ownPolicies());
  if (!read.ok) return read;
  const { version } = read;
  const policies = new Map<string, PolicyDocument>();
  for (const [application, own] of read.policies) {
    if (!leavesToGlobal(own)) continue;
    policies.set(application, effectivePolicy(own, { version: version + 1, ...draft }));
  }
  return { ok: true, policies };
}
