import { effectivePolicy, whatIf, whatIfRequest } from '@countersign/policy';
import { currentTimeMs } from '../../clock.ts';
import { groupsIn } from '../../policy/compiled-policies.ts';
import { currentSnapshot } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { maxPolicyBytes } from '../policy-answers.ts';
import { readBody } from '../read-body.ts';

/**
 * `POST /v1/admin/applications/{id}/policy/what-if`: what would become of a sign-in that is only thought of, by the policy
 * in force or by drafts. Records and changes nothing.
 */
export const postPolicyWhatIf = forAdmin(
  { permission: 'applications.read', whileReadOnly: true },
  async (broker, context) => {
    const application = context.parameter('id');
    const body = await readBody(
      context.request,
      whatIfRequest,
      ['application/json'],
      maxPolicyBytes,
    );
    if (!body.ok) return context.refuse(body.problem);
    const { given, policy: draft, global_policy: globalDraft } = body.value;
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const own = await askObject(() => broker.organization().findPolicy(application, undefined));
    if (!own.ok) {
      const isUnknown = own.code === 'policy_not_found';
      return context.refuse({ code: isUnknown ? 'application_not_found' : own.code });
    }
    const { version } = snapshot;
    const policy = effectivePolicy(
      draft === undefined ? own.found.policy : { version, ...draft },
      globalDraft === undefined ? snapshot.globalPolicy : { version, ...globalDraft },
    );
    const members = await askObject(() =>
      broker.organization().groupMembers([...groupsIn(policy)]),
    );
    if (!members.ok) {
      return members.code === 'group_not_found'
        ? context.refuse({ code: members.code, detail: members.group })
        : context.refuse({ code: members.code });
    }
    const groupsOnRecord = [...members.groups].flatMap(([group, users]) =>
      users.has(given.user) ? [group] : [],
    );
    const asked = { ...given, groups: given.groups ?? groupsOnRecord };
    const outcome = whatIf(policy, asked, snapshot.zones, currentTimeMs());
    return Response.json({
      application_id: application,
      policy_version: policy.version,
      ...outcome,
    });
  },
);
