import type { PolicyFacts } from '../facts.ts';
import type { ConditionName, Conditions } from '../policy-document.ts';
import type { Zones } from '../zones.ts';
import { certificateAge } from './certificate-age.ts';
import { choice } from './choices.ts';
import type { Criterion, Verdict } from './criterion.ts';
import { deviceTrust } from './device-trust.ts';
import { network } from './network.ts';
import { people } from './people.ts';
import { posture } from './posture.ts';
import { time } from './time.ts';

/** One condition of a rule with what was wanted and what was seen, both for people to read. */
export type CheckedCriterion = {
  readonly criterion: ConditionName;
  readonly verdict: Verdict;
  readonly wanted: string;
  readonly seen: string;
};

type Check = {
  readonly verdict: (when: Conditions, facts: PolicyFacts, zones: Zones) => Verdict;
  readonly explain: (
    when: Conditions,
    facts: PolicyFacts,
    zones: Zones,
  ) => CheckedCriterion | undefined;
};

/** A criterion as it is asked about a whole rule: what the rule does not name is met. */
function ofRule<Name extends ConditionName>(name: Name, criterion: Criterion<Name>): Check {
  return {
    verdict: (when, facts, zones) => {
      const condition = when[name];
      return condition === undefined ? 'met' : criterion.check(condition, facts, zones);
    },
    explain: (when, facts, zones) => {
      const condition = when[name];
      if (condition === undefined) return undefined;
      return {
        criterion: name,
        verdict: criterion.check(condition, facts, zones),
        wanted: criterion.wanted(condition),
        seen: criterion.seen(facts, zones, condition),
      };
    },
  };
}

/** Every kind of condition; a new one does not compile until it is here. In the order in which they are told. */
const checksByName: Readonly<Record<ConditionName, Check>> = {
  people: ofRule('people', people),
  network: ofRule('network', network),
  client_types: ofRule('client_types', choice('client_types')),
  platforms: ofRule('platforms', choice('platforms')),
  device_trust: ofRule('device_trust', deviceTrust),
  channels: ofRule('channels', choice('channels')),
  key_protections: ofRule('key_protections', choice('key_protections')),
  enrollment_strengths: ofRule('enrollment_strengths', choice('enrollment_strengths')),
  posture: ofRule('posture', posture),
  certificate_age: ofRule('certificate_age', certificateAge),
  time: ofRule('time', time),
};
const checks = Object.values(checksByName);

/** All conditions must be met: one that is not settles it, whatever is unknown besides. */
export function checkConditions(when: Conditions, facts: PolicyFacts, zones: Zones): Verdict {
  let verdict: Verdict = 'met';
  for (const check of checks) {
    const one = check.verdict(when, facts, zones);
    if (one === 'not_met') return one;
    if (one === 'unknown') verdict = one;
  }
  return verdict;
}

export const explainConditions = (
  when: Conditions,
  facts: PolicyFacts,
  zones: Zones,
): CheckedCriterion[] => checks.flatMap(({ explain }) => explain(when, facts, zones) ?? []);
