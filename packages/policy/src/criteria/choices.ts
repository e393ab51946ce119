import type { PolicyFacts, RequestFacts } from '../facts.ts';
import type { Conditions } from '../policy-document.ts';
import { type Criterion, notSaid, oneOf, verdictOf } from './criterion.ts';

/** Conditions that are lists of what a fact may be. */
export type ChoiceName =
  | 'client_types'
  | 'platforms'
  | 'channels'
  | 'key_protections'
  | 'enrollment_strengths';

/** What of a device counts only while it is trusted. */
const ofTrusted = (facts: PolicyFacts, fact: string) => (facts.deviceTrust.trusted ? fact : 'none');

/** The fact that each is about, of those that are known before any record is; `undefined` where nobody has said. */
export const requestChoices = {
  client_types: (facts: RequestFacts): string | undefined => facts.clientType,
  platforms: (facts: RequestFacts): string | undefined => facts.platform,
} as const;

export const choiceFacts: Readonly<Record<ChoiceName, (facts: PolicyFacts) => string | undefined>> =
  {
    ...requestChoices,
    channels: (facts) => ofTrusted(facts, facts.channel),
    key_protections: (facts) => ofTrusted(facts, facts.keyProtection),
    enrollment_strengths: (facts) => ofTrusted(facts, facts.enrollmentStrength),
  };

export const choicesIn = (when: Conditions, name: ChoiceName): readonly string[] | undefined =>
  when[name];

export function choice<Name extends ChoiceName>(name: Name): Criterion<Name> {
  const factOf = choiceFacts[name];
  return {
    check: (condition, facts) => {
      const fact = factOf(facts);
      const choices: readonly string[] = condition;
      return fact === undefined ? 'unknown' : verdictOf(choices.includes(fact));
    },
    seen: (facts) => factOf(facts) ?? notSaid,
    wanted: (condition) => oneOf(condition),
  };
}
