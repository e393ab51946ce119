import type { UnavailableCode } from '@countersign/protocol';
import type { HostStatus } from '@countersign/protocol/native-messages';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { matchPatternsFor } from '../managed-config/bridge-registration.ts';
import type { BrowserFacts } from './browser-facts.ts';
import { type Detail, detailsOf } from './details.ts';

/** What the popup says. */
export type Diagnosis = {
  readonly state: 'ready' | 'development' | 'attention' | 'not_ready';
  readonly headline: string;
  readonly explanation: string;
  readonly whoFixesIt: 'nobody' | 'you' | 'it_support';
  /** For IT support: one fact a row. */
  readonly details: readonly Detail[];
};

type Finding = Omit<Diagnosis, 'details'> & {
  /** A code or a word to search for, and what an administrator does about it. */
  readonly problem?: { readonly code: string; readonly administrator: string };
};

/** Says whether this browser can prove the device, and if not, what is missing and who mends it. */
export function diagnose(facts: BrowserFacts): Diagnosis {
  const { problem, ...finding } = findProblem(facts);
  return { ...finding, details: detailsOf(facts, problem) };
}

/** What the popup says when the facts themselves could not be had. */
export function diagnosisOfFailure(detail: string): Diagnosis {
  return {
    state: 'not_ready',
    headline: 'The extension does not work',
    explanation: reasonTexts.extension_error.person,
    whoFixesIt: 'you',
    details: [
      { label: 'Code', value: 'extension_error' },
      { label: 'Reported', value: detail },
    ],
  };
}

/** The first thing in the way, in the order in which one would mend them. */
function findProblem(facts: BrowserFacts): Finding {
  const { host } = facts;
  if (!host.ok) return hostFailed(host.code);
  if (!host.status.enrolled) return notEnrolled;
  return (
    certificateProblem(host.status, facts.now) ??
    originsProblem(facts, host.status) ??
    (host.status.development ? developmentReady : ready)
  );
}

const ready: Finding = {
  state: 'ready',
  headline: 'This browser can prove your device',
  explanation:
    'When you sign in, this computer can show your company that it is one of its own. There is nothing to do.',
  whoFixesIt: 'nobody',
};

const developmentReady: Finding = {
  state: 'development',
  headline: 'Ready, on a development configuration',
  explanation:
    'Signing in works, but this computer uses a test configuration that its user could change. Every sign-in says so to your company.',
  whoFixesIt: 'nobody',
  problem: {
    code: 'development',
    administrator:
      'The host configuration is not owned by root and says "development": true. Install host.json as root on computers that people work with.',
  },
};

const notEnrolled: Finding = {
  state: 'not_ready',
  headline: 'This computer is not enrolled yet',
  explanation:
    'The Countersign program is installed, but your company has not given this computer a certificate.',
  whoFixesIt: 'it_support',
  problem: { code: 'not_enrolled', administrator: reasonTexts.not_enrolled.administrator },
};

const hostHeadlines: Partial<Record<UnavailableCode, string>> = {
  host_not_installed: 'The Countersign program is missing',
  host_blocked_by_policy: 'The browser blocks the Countersign program',
  host_forbidden: 'The Countersign program does not accept this extension',
  host_exited: 'The Countersign program stopped unexpectedly',
  host_timeout: 'The Countersign program does not answer',
  host_answer_malformed: 'The Countersign program gave an answer that makes no sense',
  host_version_unsupported: 'A part of Countersign is out of date',
  host_configuration_invalid: 'The Countersign program is not set up correctly',
  host_configuration_untrusted: 'The Countersign program is not set up safely',
};

/** Failures that go away by themselves often enough to be tried again by the person first. */
const personTriesFirst: ReadonlySet<UnavailableCode> = new Set([
  'host_exited',
  'host_timeout',
  'extension_error',
]);

function hostFailed(code: UnavailableCode): Finding {
  const texts = reasonTexts[code];
  return {
    state: 'not_ready',
    headline: hostHeadlines[code] ?? 'The Countersign program cannot be used',
    explanation: texts.person,
    whoFixesIt: personTriesFirst.has(code) ? 'you' : 'it_support',
    problem: { code, administrator: texts.administrator },
  };
}

function certificateProblem(status: HostStatus, now: Date): Finding | undefined {
  if (status.certificate === undefined) return undefined;
  const notBefore = Date.parse(status.certificate.not_before);
  const notAfter = Date.parse(status.certificate.not_after);
  if (notAfter < now.getTime()) {
    return {
      state: 'not_ready',
      headline: "This computer's certificate has expired",
      explanation: 'It was not renewed in time. Ask your IT support to enroll this computer again.',
      whoFixesIt: 'it_support',
      problem: {
        code: 'certificate_expired',
        administrator: reasonTexts.certificate_expired.administrator,
      },
    };
  }
  if (notBefore > now.getTime()) {
    return {
      state: 'not_ready',
      headline: "This computer's clock seems to be wrong",
      explanation: reasonTexts.clock_skew.person,
      whoFixesIt: 'you',
      problem: {
        code: 'certificate_not_yet_valid',
        administrator: reasonTexts.certificate_not_yet_valid.administrator,
      },
    };
  }
  return undefined;
}

function originsProblem(facts: BrowserFacts, status: HostStatus): Finding | undefined {
  const { applied } = facts;
  const policyProblem = managedStorageProblem(facts);
  if (applied === undefined || applied.origins.length === 0) {
    return (
      policyProblem ??
      misconfigured(
        'No sign-in pages are set up',
        'Your company has not told this browser which pages are its sign-in pages.',
        {
          code: 'no_origins',
          administrator:
            'Neither the managed storage of the extension ("origins") nor the host configuration names an origin.',
        },
      )
    );
  }
  const missing = matchPatternsFor(applied.origins).filter(
    (pattern) => !facts.registeredPatterns.includes(pattern),
  );
  if (missing.length > 0) {
    return {
      state: 'not_ready',
      headline: 'The extension is not active on your sign-in pages',
      explanation: 'Choose "Check again". If this stays, restart the browser.',
      whoFixesIt: 'you',
      problem: {
        code: 'not_registered',
        administrator: `The browser does not inject the content script on ${missing.join(' ')}.`,
      },
    };
  }
  if (policyProblem !== undefined) return policyProblem;
  const refused = applied.origins.filter((origin) => !status.origins.includes(origin));
  if (refused.length > 0) {
    return misconfigured(
      refused.length === applied.origins.length
        ? 'Your sign-in pages are not set up on this computer'
        : 'Some sign-in pages are not set up on this computer',
      'Browser and Countersign program have different lists of sign-in pages. Only pages on both lists work.',
      {
        code: 'origin_not_allowed',
        administrator: `Add to "origins" in the host configuration: ${refused.join(' ')}`,
      },
      refused.length === applied.origins.length ? 'not_ready' : 'attention',
    );
  }
  return undefined;
}

/** A policy that cannot be followed. The pages of the policy before it, if there are any, go on working. */
function managedStorageProblem({ managedStorage, applied }: BrowserFacts): Finding | undefined {
  const stillWorks = applied !== undefined && applied.origins.length > 0;
  const explanation = stillWorks
    ? 'Sign-in pages that were set up earlier still work. New ones do not, until your company corrects the policy.'
    : 'No sign-in page works until your company corrects it.';
  const state = stillWorks ? 'attention' : 'not_ready';
  if (managedStorage.state === 'malformed') {
    const { field, detail } = managedStorage;
    const administrator = `Managed storage, field ${field}: ${detail}. Until it is corrected the extension keeps the origins that it had.`;
    const problem = { code: 'managed_storage_malformed', administrator };
    const headline = 'The browser policy for Countersign has a mistake';
    return misconfigured(headline, explanation, problem, state);
  }
  if (managedStorage.state === 'unreadable') {
    const administrator = `Reading managed storage failed: ${managedStorage.detail}`;
    const problem = { code: 'managed_storage_unreadable', administrator };
    const headline = 'The browser policy for Countersign cannot be read';
    return misconfigured(headline, explanation, problem, state);
  }
  return undefined;
}

function misconfigured(
  headline: string,
  explanation: string,
  problem: NonNullable<Finding['problem']>,
  state: 'not_ready' | 'attention' = 'not_ready',
): Finding {
  return { state, headline, explanation, whoFixesIt: 'it_support', problem };
}
