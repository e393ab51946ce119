import type { BrowserFacts } from './browser-facts.ts';
import { certificateFinding } from './certificate-finding.ts';
import { type Detail, detailsOf } from './details.ts';
import type { Finding } from './finding.ts';
import { hostFailureFinding } from './host-failure-finding.ts';
import { lastAnswerFinding } from './last-answer-finding.ts';
import { originsFinding } from './origins-finding.ts';
import { summaryOf } from './summary.ts';

/**
 * What the popup says. It knows what this device can prove, never what the broker decides: that depends on the record,
 * the person and the policy, at each sign-in.
 */
export type Diagnosis = Omit<Finding, 'problem'> & {
  /** For the person: one fact a row, where there is nothing to mend. */
  readonly summary: readonly Detail[];
  /** For IT support: one fact a row. */
  readonly details: readonly Detail[];
};

/** Says whether this browser can prove the device, and if not, what is missing and who mends it. */
export function diagnose(facts: BrowserFacts): Diagnosis {
  const { problem, ...finding } = findingOf(facts);
  return { ...finding, summary: summaryOf(facts), details: detailsOf(facts, problem) };
}

/** What the popup says when the facts themselves could not be had. */
export function diagnosisOfFailure(detail: string): Diagnosis {
  const { problem, ...finding } = hostFailureFinding('extension_error');
  return {
    ...finding,
    summary: [],
    details: [
      { label: 'Code', value: problem?.code ?? '' },
      { label: 'Reported', value: detail },
    ],
  };
}

/** The first thing in the way, in the order in which one would mend them; then what merely wants attention. */
function findingOf(facts: BrowserFacts): Finding {
  const { host } = facts;
  if (!host.ok) return hostFailureFinding(host.code);
  const certificate = certificateFinding(host.status, facts.now);
  if (certificate?.state === 'not_ready') return certificate;
  const origins = originsFinding(facts, host.status);
  if (origins?.state === 'not_ready') return origins;
  return (
    lastAnswerFinding(facts) ??
    origins ??
    certificate ??
    (host.status.development ? developmentReady : ready)
  );
}

const ready: Finding = {
  state: 'ready',
  headline: 'This computer can prove itself',
  explanation:
    'When you sign in, it shows your company that it is one of its own. Your company decides at each sign-in.',
  whoFixesIt: 'nobody',
  nextStep: '',
};

const developmentReady: Finding = {
  state: 'development',
  headline: 'Works, on a test configuration',
  explanation:
    'The user of this computer could change it, so it proves less. Every sign-in says so to your company.',
  whoFixesIt: 'it_support',
  nextStep: 'Nothing, if this is a test. Otherwise ask them to install the real configuration.',
  problem: {
    code: 'development',
    administrator:
      'The host configuration is not owned by root and says "development": true. Install host.json as root on computers that people work with.',
  },
};
