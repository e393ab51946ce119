import { type HypotheticalSignIn, noRuleId, whatIf, whatIfRequest } from '@countersign/policy';
import { currentTimeMs } from '../../clock.ts';
import { currentSnapshot } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readDocument } from '../policy-answers.ts';

/** No device is a trusted one while device trust is off, whatever is thought of it. */
function withoutDeviceTrust({ device, ...given }: HypotheticalSignIn): HypotheticalSignIn {
  return device?.trusted === true
    ? { ...given, device: { ...device, trusted: false, reason: 'device_trust_disabled' } }
    : { ...given, ...(device === undefined ? {} : { device }) };
}

/** Somebody inactive signs in nowhere; no rule is asked. */
const ofInactive = {
  effect: 'deny',
  reason: 'subject_inactive',
  rule: noRuleId,
  uncertain: false,
  rules: [],
} as const;

/**
 * `POST /v1/admin/applications/{id}/policy/what-if`: what would become of a sign-in that is only thought of, by the policy
 * in force or by drafts. Records and changes nothing.
 */
export const postPolicyWhatIf = forAdmin(
  { permission: 'applications.read', whileReadOnly: true, isQuestion: true },
  async (broker, context) => {
    const application = context.parameter('id');
    const body = await readDocument(context, whatIfRequest);
    if (!body.ok) return context.refuse(body.problem);
    const { given, policy: own, global_policy: global } = body.value;
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const found = await askObject(() =>
      broker.organization().policyForWhatIf(application, given.user, { own, global }),
    );
    if (!found.ok) {
      return found.code === 'field_invalid'
        ? context.refuse({ code: found.code, ...found.unknown })
        : context.refuse({ code: found.code });
    }
    const { policy, groups } = found;
    const asked = snapshot.deviceTrustEnabled ? given : withoutDeviceTrust(given);
    const outcome = snapshot.inactiveUsers.has(given.user)
      ? ofInactive
      : whatIf(
          policy,
          { ...asked, groups: given.groups ?? [...groups] },
          snapshot.zones,
          currentTimeMs(),
        );
    return Response.json({
      application_id: application,
      policy_version: policy.version,
      ...outcome,
    });
  },
);
