import { isDecisionReason } from '@countersign/protocol/decision-reasons';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { posture } from '@countersign/protocol/device-response';
import {
  type EnrollmentStrength,
  enrollmentStrengths,
} from '@countersign/protocol/enrollment-strength';
import { keyProtection } from '@countersign/protocol/key-protection';
import * as z from 'zod/mini';
import type { PolicyFacts } from './facts.ts';
import {
  type ClientType,
  clientTypes,
  type EvidenceChannel,
  evidenceChannels,
  type Platform,
  platforms,
} from './policy-document.ts';
import { requestFacts, withReport } from './request-facts.ts';

const signedByDevice = z.object({ key_protection: keyProtection, posture });

const among = <Known extends string>(known: readonly Known[], text: string | undefined) =>
  known.find((one) => one === text);

/** The part of a record that a policy is asked about. `response` is read here, and need not have been before. */
export type RecordedSignIn = Pick<
  DecisionRecord,
  | 'subject'
  | 'recorded_at_ms'
  | 'channel'
  | 'device_trusted'
  | 'reason'
  | 'untrusted_reason'
  | 'facts'
> & { readonly response?: unknown };

/** What the policy was asked about when this was decided: the same question can be asked of another policy. */
export function recordedFacts(record: RecordedSignIn): PolicyFacts {
  const { facts = {} } = record;
  const signed = z.safeParse(signedByDevice, record.response);
  const reason = record.untrusted_reason ?? record.reason;
  const ofRequest = requestFacts(
    record.subject,
    new Set(facts.groups),
    {
      ip_address: facts.ip_address,
      client_type: among<ClientType>(clientTypes, facts.client_type),
      platform: among<Platform>(platforms, facts.platform),
    },
    among<EvidenceChannel>(evidenceChannels, record.channel) ?? 'none',
    signed.success ? signed.data : undefined,
  );
  return {
    ...ofRequest,
    posture: withReport(ofRequest.posture, facts.posture_report),
    // A reason that this version does not know is still one.
    deviceTrust: record.device_trusted
      ? { trusted: true }
      : { trusted: false, reason: isDecisionReason(reason) ? reason : 'policy_denied' },
    enrollmentStrength:
      among<EnrollmentStrength>(enrollmentStrengths, facts.enrollment_strength) ?? 'none',
    certificateAgeSeconds: facts.certificate_age_seconds ?? 'none',
    atMs: record.recorded_at_ms,
  };
}
