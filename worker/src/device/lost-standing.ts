import type { DecisionReason } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { certificateStanding } from '../policy/device-trust.ts';
import { findTombstone } from './device-records.ts';
import { certificateFacts, type FoundCertificates } from './named-certificates.ts';
import type { SignIn } from './sign-in.ts';

/** What certificates' standing rests on and the shard does not know: for the user whose sign-in it was. */
export type StandingFacts = Pick<SignIn, 'activeIssuerIds' | 'integrations'>;

/**
 * What a recorded allow has lost since of what it rests on: user, certificates, their issuers, the binding. `undefined`
 * when nothing, as of a decision that rests on no standing: a denial, or an allow without a trusted device.
 *
 * @param found the certificates that it rests on, as they are now
 */
export function lostStanding(
  sql: SqlStorage,
  recorded: DecisionRecord,
  found: FoundCertificates,
  facts: StandingFacts,
  nowMs: number,
): DecisionReason | undefined {
  if (!recorded.decision || !recorded.device_trusted) return undefined;
  const { subject, epoch = 0 } = recorded;
  if (epoch <= findTombstone(sql, subject)) return 'user_revoked';
  if (found.all.length === 0) return 'certificate_unknown';
  if (found.lineageMismatch) return 'evidence_lineage_mismatch';
  for (const row of found.all) {
    const standing = certificateStanding(certificateFacts(row, facts), nowMs);
    if (!standing.trusted) return standing.reason;
    if (row?.bound_user !== subject || row.bound_epoch !== epoch) {
      return 'certificate_bound_to_other_user';
    }
  }
  return undefined;
}
