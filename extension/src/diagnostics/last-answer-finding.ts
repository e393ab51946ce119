import type { UnavailableCode } from '@countersign/protocol';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import type { BrowserFacts } from './browser-facts.ts';
import type { Finding } from './finding.ts';

/** Afterwards the person has long signed in elsewhere, or given up. */
const recentMs = 24 * 3_600_000;

type Texts = Pick<Finding, 'whoFixesIt' | 'nextStep'> & { readonly cause: string };

const foreignPage: Texts = {
  whoFixesIt: 'it_support',
  cause: 'It did not ask in the name of your company. Do not enter your password there.',
  nextStep: 'If it was the right page, send them the details.',
};

/** Failures that only a challenge shows. All others are gone when the program says that all is well. */
const texts: Partial<Record<UnavailableCode, Texts>> = {
  clock_skew: {
    whoFixesIt: 'you',
    cause: 'The clock of this computer is wrong.',
    nextStep: 'Turn on automatic date and time, then sign in again.',
  },
  broker_unreachable: {
    whoFixesIt: 'you',
    cause: 'The sign-in service of your company could not be reached.',
    nextStep: 'Check your connection, then sign in again.',
  },
  key_unavailable: {
    whoFixesIt: 'it_support',
    cause: 'Its key could not be used.',
    nextStep: 'Ask them to enroll this computer again.',
  },
  origin_not_allowed: foreignPage,
  challenge_key_unknown: foreignPage,
  challenge_wrong_audience: foreignPage,
  challenge_signature_invalid: foreignPage,
  key_set_invalid: foreignPage,
};

/** Says that the last page that asked got no proof, which nothing else that can be looked at would show. */
export function lastAnswerFinding({ lastAnswer, now }: BrowserFacts): Finding | undefined {
  if (lastAnswer?.code === undefined) return undefined;
  if (now.getTime() - lastAnswer.at.getTime() > recentMs) return undefined;
  const known = texts[lastAnswer.code];
  if (known === undefined) return undefined;
  const { cause, ...rest } = known;
  const { code } = lastAnswer;
  return {
    state: 'attention',
    headline: 'The last sign-in got no proof',
    explanation: `${new URL(lastAnswer.origin).host} asked for one. ${cause}`,
    ...rest,
    problem: { code, administrator: reasonTexts[code].administrator },
  };
}
