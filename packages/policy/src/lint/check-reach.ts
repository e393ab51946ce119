import { strictness } from '../evaluate.ts';
import type { Conditions, PolicyRule } from '../policy-document.ts';
import { covers } from './covers.ts';
import { finding, type PolicyFinding } from './finding.ts';
import { ofTrusted } from './of-trusted.ts';

/** Where it is not told, a rule may decide although an earlier one covers it: the stricter of the two does. */
const mayBeUntold = ['network', 'client_types', 'platforms', 'posture'] as const;

const untoldOf = ({ when }: PolicyRule): readonly string[] =>
  mayBeUntold.filter((name) => when[name] !== undefined);

/** Of two alike the first decides, with what the second asks for besides. */
const addsNothing = (rule: PolicyRule) =>
  rule.effect === 'deny' ||
  (rule.effect === 'allow' && rule.reauthenticate_after_seconds === undefined);

function decidesBefore(earlier: PolicyRule, rule: PolicyRule): boolean {
  if (untoldOf(earlier).length === 0) return true;
  const difference = strictness[rule.effect] - strictness[earlier.effect];
  return difference < 0 || (difference === 0 && addsNothing(rule));
}

/** What a rule matches of trusted devices, and of others: each sign-in is of one kind, and which is always known. */
function byTrust({ when }: PolicyRule): Conditions[] {
  if (when.device_trust !== undefined) return [when];
  const ofTrustedDevices: Conditions = { ...when, device_trust: 'trusted' };
  return ofTrusted.some((name) => when[name] !== undefined)
    ? [ofTrustedDevices]
    : [ofTrustedDevices, { ...when, device_trust: 'not_trusted' }];
}

/** The rules before it that together leave nothing of a rule; `undefined` where they leave something. */
function coveringRules(
  rule: PolicyRule,
  before: readonly PolicyRule[],
): readonly PolicyRule[] | undefined {
  const found = byTrust(rule).map((part) => before.find((other) => covers(other.when, part)));
  const covering = found.filter((each) => each !== undefined);
  return covering.length === found.length ? [...new Set(covering)] : undefined;
}

const matchBefore = (rules: readonly PolicyRule[]) =>
  `${rules.map(({ id }) => id).join(' and ')} ${rules.length === 1 ? 'matches' : 'match'} before it`;

/** A rule of which others before it leave nothing, or only what nobody has told. */
export function checkReach(rules: readonly PolicyRule[]): PolicyFinding[] {
  return rules.flatMap((rule, place) => {
    const before = rules.slice(0, place);
    const certain = coveringRules(
      rule,
      before.filter((other) => decidesBefore(other, rule)),
    );
    if (certain !== undefined) {
      const detail = `is never reached: whatever it matches, ${matchBefore(certain)}`;
      return [finding('unreachable', detail, rule)];
    }
    const covering = coveringRules(rule, before);
    if (covering === undefined) return [];
    const untold = [...new Set(covering.flatMap(untoldOf))].join(', ');
    const detail = `counts only where nobody has told (${untold}): whatever else it matches, ${matchBefore(covering)}`;
    return [finding('shadowed', detail, rule)];
  });
}
