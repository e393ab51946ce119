import {
  type ApplicationPolicy,
  effectivePolicy,
  leavesToGlobal,
  type PolicyDocument,
} from '@countersign/policy';

/** What a draft of the global policy would make of the applications that leave something to it. */
export function effectivePoliciesUnder(
  read: {
    readonly version: number;
    readonly policies: ReadonlyMap<string, ApplicationPolicy>;
  },
  draft: Omit<PolicyDocument, 'version'>,
): ReadonlyMap<string, PolicyDocument> {
  const global = { version: read.version + 1, ...draft };
  return new Map(
    [...read.policies]
      .filter(([, own]) => leavesToGlobal(own))
      .map(([application, own]) => [application, effectivePolicy(own, global)]),
  );
}
