import type { UnavailableCode } from '@countersign/protocol';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import type { Finding } from './finding.ts';

type Texts = Pick<Finding, 'headline' | 'explanation' | 'nextStep'> & {
  /** Goes away by itself often enough for the person to try first. */
  readonly personFirst?: true;
};

const restartFirst = 'Restart the browser, then check again. If it stays, tell your IT support.';

/** In the person's words. What an administrator does is in the protocol's texts, under the same code. */
const texts: Partial<Record<UnavailableCode, Texts>> = {
  host_not_installed: {
    headline: 'The Countersign program is missing',
    explanation:
      'The extension is here, but the program that holds the key of this computer is not installed.',
    nextStep: 'Ask them to install it on this computer.',
  },
  host_blocked_by_policy: {
    headline: 'The browser blocks Countersign',
    explanation:
      'The Countersign program may be installed, but a rule of your company keeps the browser from using it.',
    nextStep: 'Ask them to allow it in the browser policy.',
  },
  host_forbidden: {
    headline: 'Program and extension do not match',
    explanation:
      'The Countersign program on this computer was installed for another extension than this one.',
    nextStep: 'Ask them to install the program again.',
  },
  host_exited: {
    headline: 'The Countersign program stopped',
    explanation: 'It started, and ended before it gave an answer.',
    nextStep: restartFirst,
    personFirst: true,
  },
  host_timeout: {
    headline: 'The Countersign program is silent',
    explanation: 'It started, and gave no answer in time. The computer may be very busy.',
    nextStep: 'Wait a moment, then check again. If it stays, tell your IT support.',
    personFirst: true,
  },
  host_answer_malformed: {
    headline: 'Countersign got an answer that makes no sense',
    explanation: 'What answered is no Countersign program of this version, or it is damaged.',
    nextStep: 'Ask them to update the program and the extension.',
  },
  host_internal_error: {
    headline: 'The Countersign program failed',
    explanation: 'It met an error that it has no name for.',
    nextStep: 'Ask them to look into it; the details help.',
  },
  host_version_unsupported: {
    headline: 'A part of Countersign is out of date',
    explanation: 'Extension and program are of versions that do not understand each other.',
    nextStep: 'Ask them to update the older one.',
  },
  host_configuration_invalid: {
    headline: 'Countersign is not set up correctly',
    explanation: 'The configuration on this computer is missing, or has a mistake in it.',
    nextStep: 'Ask them to correct it; the details say where.',
  },
  host_configuration_untrusted: {
    headline: 'Countersign is not set up safely',
    explanation:
      'Others than an administrator could change its configuration, so that the program refuses to use it.',
    nextStep: 'Ask them to install the configuration again.',
  },
  key_unavailable: {
    headline: "This computer's key cannot be used",
    explanation: 'The key that proves this computer, or what belongs to it, is missing or damaged.',
    nextStep: 'Ask them to enroll this computer again.',
  },
  extension_error: {
    headline: 'The extension met an error',
    explanation: 'The browser failed in a way that Countersign does not know.',
    nextStep: restartFirst,
    personFirst: true,
  },
};

/** The program on the device could not say how it is. */
export function hostFailureFinding(code: UnavailableCode): Finding {
  const { administrator, person } = reasonTexts[code];
  const { personFirst, ...words } = texts[code] ?? {
    headline: 'The Countersign program cannot be used',
    explanation: person,
    nextStep: 'Tell them the code in the details.',
  };
  return {
    state: 'not_ready',
    ...words,
    whoFixesIt: personFirst ? 'you' : 'it_support',
    problem: { code, administrator },
  };
}
