import {
  platforms as allPlatforms,
  type Conditions,
  type Platform,
  type PolicyRule,
} from '../policy-document.ts';
import { covers } from './covers.ts';
import { finding, type PolicyFinding } from './finding.ts';
import { isForTrusted } from './of-trusted.ts';

const letsIn = ({ effect }: PolicyRule) => effect !== 'deny';

/** Platforms that another rule wants trusted, where this one lets devices in as they are. */
function platformsWantedTrusted(
  rule: PolicyRule,
  before: readonly PolicyRule[],
  after: readonly PolicyRule[],
) {
  const wantsTrust = (other: PolicyRule) => letsIn(other) && other.when.device_trust === 'trusted';
  const { platforms: _, device_trust: __, ...otherwise } = rule.when;
  return [
    ...before
      .filter(wantsTrust)
      // Who wants every device trusted may ask the others for a factor; to let them in as they are is another matter.
      .flatMap(({ when }) => when.platforms ?? (rule.effect === 'allow' ? allPlatforms : [])),
    // For fewer people, or fewer places, it is an exception from what comes after it.
    ...after
      .filter((other) => wantsTrust(other) && covers(otherwise, other.when))
      .flatMap(({ when }) => when.platforms ?? []),
  ];
}

/** A platform that one rule wants trusted, and that another lets in as it is. */
export function checkUntrusted(rules: readonly PolicyRule[]): PolicyFinding[] {
  return rules.flatMap((rule, place) => {
    if (!letsIn(rule) || isForTrusted(rule.when)) return [];
    const wanted = platformsWantedTrusted(rule, rules.slice(0, place), rules.slice(place + 1));
    const { platforms } = rule.when;
    const isDenied = (platform: Platform) => {
      const untrusted: Conditions = {
        ...rule.when,
        device_trust: 'not_trusted',
        platforms: [platform],
      };
      const before = rules.slice(0, place);
      return before.some((other) => !letsIn(other) && covers(other.when, untrusted));
    };
    const both = [...new Set(wanted)].filter(
      (each) => (platforms?.includes(each) ?? true) && !isDenied(each),
    );
    return both.length === 0
      ? []
      : [
          finding(
            'untrusted_let_in',
            `lets devices of ${both.join(', ')} in that are not trusted, which another rule asks to be. Leave these platforms out`,
            rule,
          ),
        ];
  });
}
