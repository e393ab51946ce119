import { effectivePolicy, failOpenFinding, lintBoth, policyChange } from '@countersign/policy';
import { reportedPosture } from '../../integrations/posture-report.ts';
import { answerChange, currentSnapshot } from '../answer-change.ts';
import { askObject, type Broker } from '../broker.ts';
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

/** Applications, and each version of their policies. */

/** `GET /v1/admin/applications`. */
export const getApplications = forAdmin('applications.read', async (broker, context) => {
  const listed = await askObject(() => broker.organization().listApplications());
  if (!listed.ok) return context.refuse({ code: listed.code });
  const applications = listed.applications.map(
    ({ application_id, name, source = 'choices', policy, clients }) => ({
      application_id,
      name,
      source,
      policy_version: policy.version,
      enforcement: policy.enforcement,
      rules: policy.rules.length,
      otherwise: policy.otherwise,
      clients,
    }),
  );
  return Response.json({ applications });
});

const failOpenOf = async (broker: Broker, applicationId: string) =>
  (await currentSnapshot(broker))?.applications.get(applicationId)?.fail_open;

/** `GET /v1/admin/applications/{id}/policy?version=…`: the one in force, or an older one. */
export const getPolicy = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const asked = askedVersion(context);
  if (!asked.ok) return asked.response;
  const answered = await askObject(() =>
    broker.organization().findPolicy(application_id, asked.version),
  );
  if (!answered.ok) return context.refuse({ code: answered.code });
  const { found, effective } = answered;
  const failOpen = await failOpenOf(broker, application_id);
  return Response.json({
    application_id,
    policy: found.policy,
    ...(effective === undefined ? {} : { effective }),
    ...policyVersionFactsOf(found),
    ...(failOpen === undefined ? {} : { fail_open: failOpen }),
  });
});

/** `GET /v1/admin/applications/{id}/policy/versions`. */
export const getPolicyVersions = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const listed = await askObject(() => broker.organization().listPolicyVersions(application_id));
  if (!listed.ok) return context.refuse({ code: listed.code });
  const versions = showVersions(listed.versions, policyVersionFactsOf);
  return Response.json({ application_id, versions });
});

/** `PUT /v1/admin/applications/{id}/policy`: rules, in place of whatever there was. */
export const putPolicy = forAdmin(
  { permission: 'applications.write', event: 'admin.policy.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readDocument(context, policyChange);
    if (!body.ok) return context.refuse(body.problem);
    const { policy } = body.value;
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const own = { version: snapshot.version, ...policy };
    const reportedByManagement = reportedPosture(snapshot.integrations.values());
    const lint = lintBoth(own, snapshot.globalPolicy, { reportedByManagement });
    const refused = refuseMistake(context, policy.rules, lint);
    if (refused !== undefined) return refused;
    const changed = await askObject(() =>
      broker.organization().putPolicy(context.admin.adminId, id, body.value),
    );
    if (!changed.ok) return refusePolicyChange(context, changed);
    const effective = effectivePolicy(own, snapshot.globalPolicy);
    const early = await findTrustedTooEarly(broker, new Map([[id, effective]]));
    const failOpen = snapshot.applications.get(id)?.fail_open;
    const told = failOpen === undefined ? [] : [failOpenFinding(failOpen.max_age_seconds)];
    const findings = [...lint, ...early, ...told];
    return await answerChange(broker, context, id, changed, { findings });
  },
);
