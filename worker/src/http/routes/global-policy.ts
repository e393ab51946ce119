import { globalPolicyChange, lintBoth, lintPolicy } from '@countersign/policy';
import { reportedPosture } from '../../integrations/posture-report.ts';
import { answerChange, currentSnapshot } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { effectivePoliciesUnder } from '../effective-policies.ts';
import { findTrustedTooEarly } from '../find-trusted-too-early.ts';
import { forAdmin } from '../for-admin.ts';
import {
  askedVersion,
  policyVersionFactsOf,
  readDocument,
  refuseMistake,
  refusePolicyChange,
  showVersions,
} from '../policy-answers.ts';

/** What stands behind the policies of all applications, each version of it. */

/** `GET /v1/admin/global-policy?version=…`: the one in force, or an older one. */
export const getGlobalPolicy = forAdmin('applications.read', async (broker, context) => {
  const asked = askedVersion(context);
  if (!asked.ok) return asked.response;
  const answered = await askObject(() => broker.organization().findGlobalPolicy(asked.version));
  if (!answered.ok) return context.refuse({ code: answered.code });
  const { found } = answered;
  return Response.json({ policy: found.policy, ...policyVersionFactsOf(found) });
});

/** `GET /v1/admin/global-policy/versions`. */
export const getGlobalPolicyVersions = forAdmin('applications.read', async (broker, context) => {
  const listed = await askObject(() => broker.organization().listGlobalPolicyVersions());
  if (!listed.ok) return context.refuse({ code: listed.code });
  const versions = showVersions(listed.versions, policyVersionFactsOf);
  return Response.json({ versions });
});

/** `PUT /v1/admin/global-policy`. */
export const putGlobalPolicy = forAdmin(
  { permission: 'applications.write', event: 'admin.policy.update', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readDocument(context, globalPolicyChange);
    if (!body.ok) return context.refuse(body.problem);
    const { policy } = body.value;
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const reportedByManagement = reportedPosture(snapshot.integrations.values());
    const alone = lintPolicy(policy, { reportedByManagement });
    const refused = refuseMistake(context, policy.rules, alone);
    if (refused !== undefined) return refused;
    const read = await askObject(() => broker.organization().ownPolicies());
    if (!read.ok) return context.refuse({ code: read.code });
    const changed = await askObject(() =>
      broker.organization().putGlobalPolicy(context.admin.adminId, body.value),
    );
    if (!changed.ok) return refusePolicyChange(context, changed);
    const together = [...read.policies].flatMap(([application, own]) => {
      const known = new Set(lintPolicy(own).map(({ code, rule }) => `${code} ${rule}`));
      return lintBoth(own, { version: 0, ...policy })
        .filter(({ code, rule }) => !known.has(`${code} ${rule}`))
        .map((finding) => ({ ...finding, application }));
    });
    const early = await findTrustedTooEarly(broker, effectivePoliciesUnder(read, policy));
    const findings = [...alone, ...together, ...early];
    return await answerChange(broker, context, 'global', changed, { findings });
  },
);
