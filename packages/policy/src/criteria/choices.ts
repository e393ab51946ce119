import type { PolicyFacts, RequestFacts } from '../facts.ts';
import type { Conditions } from '../policy-document.ts';
import { type Criterion, notSaid, oneOf, verdictOf } from './criterion.ts';

/** Conditions that are lists of what a fact may be. */
export const choiceNames = [
  'client_types',
  'platforms',
  'channels',
  'key_protections',
  'enrollment_strengths',
] as const;
export type ChoiceName = (typeof choiceNames)[number];

/** What of a device counts only while it is trusted. */
const ofTrusted = (facts: PolicyFacts, fact: string | undefined) =>
  facts.deviceTrust.trusted ? fact : 'none';

/** The fact that each is about, of those that are known before any record is; `undefined` where nobody has said. */
export const requestChoices = {
  client_types: (facts: RequestFacts): string | undefined => facts.clientType,
  // Where the two differ, it takes the record to know which counts.
  platforms: ({ platform, signedPlatform }: RequestFacts): string | undefined =>
    signedPlatform === undefined || signedPlatform === platform ? platform : undefined,
} as const;

export const choiceFacts: Readonly<Record<ChoiceName, (facts: PolicyFacts) => string | undefined>> =
  {
    client_types: requestChoices.client_types,
    platforms: platformOf,
    channels: (facts) => ofTrusted(facts, facts.channel),
    key_protections: (facts) => ofTrusted(facts, facts.keyProtection),
    enrollment_strengths: (facts) => ofTrusted(facts, facts.enrollmentStrength),
  };

/** Of a trusted device its own word, of others that of the sign-in server. */
export function platformOf({ deviceTrust, platform, signedPlatform }: PolicyFacts) {
  return deviceTrust.trusted ? (signedPlatform ?? platform) : platform;
}

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
