import { failOpenFinding, lintPolicy, policyChange } from '@countersign/policy';
import type { PolicyVersion } from '../../directory/policy-records.ts';
import { answerChange, currentSnapshot } from '../answer-change.ts';
import { askObject, type Broker } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { readWhole } from '../read-whole.ts';

/** Policies of applications, each version of them. */

/** A thousand rules with names in each. */
const maxPolicyBytes = 1024 * 1024;

type Made = Pick<PolicyVersion, 'source' | 'author' | 'comment' | 'created_at_ms'>;

const factsOf = ({ source, author, comment, created_at_ms }: Made) => ({
  source,
  author,
  comment,
  created_at: new Date(created_at_ms).toISOString(),
});

const failOpenOf = async (broker: Broker, applicationId: string) =>
  (await currentSnapshot(broker))?.applications.get(applicationId)?.fail_open;

/** `GET /v1/admin/applications/{id}/policy?version=…`: the one in force, or an older one. */
export const getPolicy = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const asked = new URL(context.request.url).searchParams.get('version');
  const version = asked === null ? undefined : readWhole(asked, 1, Number.MAX_SAFE_INTEGER);
  if (asked !== null && version === undefined) {
    const detail = 'must be a whole number in range';
    return context.refuse({ code: 'field_invalid', field: 'version', detail });
  }
  const found = await askObject(() => broker.organization().findPolicy(application_id, version));
  if (!found.ok) return context.refuse({ code: found.code });
  const failOpen = await failOpenOf(broker, application_id);
  return Response.json({
    application_id,
    policy: found.found.policy,
    ...factsOf(found.found),
    ...(failOpen === undefined ? {} : { fail_open: failOpen }),
  });
});

/** `GET /v1/admin/applications/{id}/policy/versions`. */
export const getPolicyVersions = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const listed = await askObject(() => broker.organization().listPolicyVersions(application_id));
  if (!listed.ok) return context.refuse({ code: listed.code });
  const versions = listed.versions.map((one) => ({
    version: one.version,
    rules: one.rules,
    ...factsOf(one),
  }));
  return Response.json({ application_id, versions });
});

/** `PUT /v1/admin/applications/{id}/policy`: rules, in place of whatever there was. */
export const putPolicy = forAdmin(
  { permission: 'applications.write', event: 'admin.policy.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(
      context.request,
      policyChange,
      ['application/json'],
      maxPolicyBytes,
    );
    if (!body.ok) return context.refuse(body.problem);
    const findings = lintPolicy(body.value.policy);
    const mistake = findings.find(({ severity }) => severity === 'error');
    if (mistake !== undefined) {
      const { rule, detail } = mistake;
      const place = body.value.policy.rules.findIndex(({ id }) => id === rule);
      return context.refuse({ code: 'field_invalid', field: `policy.rules.${place}`, detail });
    }
    const changed = await askObject(() =>
      broker.organization().putPolicy(context.admin.adminId, id, body.value),
    );
    if (!changed.ok) {
      if (changed.code === 'field_invalid') {
        const { code, field, detail } = changed;
        return context.refuse({ code, field, detail });
      }
      return changed.code === 'policy_version_conflict'
        ? context.refuse({ code: changed.code, detail: `it is at version ${changed.version}` })
        : context.refuse({ code: changed.code });
    }
    const failOpen = await failOpenOf(broker, id);
    const told = failOpen === undefined ? [] : [failOpenFinding(failOpen.max_age_seconds)];
    return await answerChange(broker, context, id, changed, { findings: [...findings, ...told] });
  },
);
