import type { UnavailableCode } from '@countersign/protocol';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import type { BrowserFacts } from './browser-facts.ts';
import type { Finding } from './finding.ts';

/** Afterwards the person has long signed in elsewhere, or given up. */
const recentMs = 24 * 3_600_000;

/** Failures that only a challenge shows. All others are gone when the program says that all is well. */
const whoFixesIt: Partial<Record<UnavailableCode, 'you' | 'it_support'>> = {
  clock_skew: 'you',
  broker_unreachable: 'you',
  challenge_key_unknown: 'it_support',
  challenge_wrong_audience: 'it_support',
  challenge_signature_invalid: 'it_support',
  key_set_invalid: 'it_support',
  key_unavailable: 'it_support',
  origin_not_allowed: 'it_support',
};

const nextSteps: Partial<Record<UnavailableCode, string>> = {
  clock_skew: 'Turn on automatic date and time, then sign in again.',
  broker_unreachable: 'Check your connection, then sign in again.',
  key_unavailable: 'Ask them to enroll this computer again.',
};

/** Says that the last page that asked got no proof, which nothing else that can be looked at would show. */
export function lastAnswerFinding({ lastAnswer, now }: BrowserFacts): Finding | undefined {
  if (lastAnswer?.code === undefined) return undefined;
  if (now.getTime() - lastAnswer.at.getTime() > recentMs) return undefined;
  const who = whoFixesIt[lastAnswer.code];
  if (who === undefined) return undefined;
  const { administrator, person } = reasonTexts[lastAnswer.code];
  return {
    state: 'attention',
    headline: 'The last sign-in got no proof',
    explanation: `${new URL(lastAnswer.origin).host} asked, and this computer could not answer. ${person}`,
    whoFixesIt: who,
    nextStep:
      nextSteps[lastAnswer.code] ?? 'Was it the right page? Then send them the details below.',
    problem: { code: lastAnswer.code, administrator },
  };
}
