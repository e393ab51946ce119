import { effectivePolicy, isGlobalRuleId } from '../global-policy.ts';
import type { ApplicationPolicy, PolicyDocument, PolicyRule } from '../policy-document.ts';
import { checkReach } from './check-reach.ts';
import { checkUntrusted } from './check-untrusted.ts';
import { finding, type PolicyFinding } from './finding.ts';
import { ofTrusted } from './of-trusted.ts';

type Linted = Pick<ApplicationPolicy, 'rules' | 'otherwise' | 'enforcement'>;

/** Not of the policy, and stronger than all of it while the broker is away: told whenever somebody looks at the policy. */
export const failOpenFinding = (maxAgeSeconds: number): PolicyFinding =>
  finding(
    'fail_open',
    `none of this holds while the broker cannot be reached: sign-in servers then let in everybody with a password, for up to ${maxAgeSeconds} s`,
  );

const allExcepted = (named: readonly string[] | undefined, excepted: readonly string[] = []) =>
  named?.every((name) => excepted.includes(name)) === true;

/** Nobody who signs in by a password alone, and no telephone that nobody manages, shows a device. */
function checkTrustIsPossible(rule: PolicyRule): PolicyFinding[] {
  const { device_trust, client_types, platforms } = rule.when;
  if (device_trust === undefined) return [];
  return [
    ...(client_types?.includes('legacy') === true ? ['the client type legacy'] : []),
    ...(platforms?.includes('other_mobile') === true ? ['the platform other_mobile'] : []),
  ].map((what) =>
    finding(
      'trust_not_possible',
      `asks for device trust, which ${what} cannot have. Make a rule of its own for that`,
      rule,
    ),
  );
}

function checkCanMatch(rule: PolicyRule): PolicyFinding[] {
  const { device_trust, people, network } = rule.when;
  const contradictions = [
    ...(device_trust === 'not_trusted'
      ? ofTrusted
          .filter((name) => rule.when[name] !== undefined)
          .map((name) => `is for devices that are not trusted, and ${name} only trusted ones meet`)
      : []),
    ...(people?.groups === undefined && allExcepted(people?.users, people?.except_users)
      ? ['excepts everybody whom it names']
      : []),
    ...(allExcepted(network?.zones, network?.except_zones)
      ? ['excepts every zone that it names']
      : []),
  ];
  return contradictions.map((detail) => finding('never_matches', detail, rule));
}

function checkFactor(rule: PolicyRule): PolicyFinding[] {
  if (rule.effect !== 'step_up') return [];
  const { acr_values, amr_values } = rule.factor;
  return acr_values.length + amr_values.length > 0
    ? []
    : [finding('factor_missing', 'wants a factor and names none, so nobody could show it', rule)];
}

const ofPosture = ['disk_encryption', 'firewall', 'screen_lock', 'minimum_os_version'] as const;

/** A condition on posture that somebody reports of devices. */
export type ReportedPosture = (typeof ofPosture)[number];

/** What the surroundings of a policy are; where they are not known, nothing is found that they would tell. */
export type Surroundings = {
  /** What some management of the organization reports. */
  readonly reportedByManagement?: ReadonlySet<ReportedPosture>;
};

/** Devices report of all that they know; managements of each kind report some of it. */
function checkPosture(
  rule: PolicyRule,
  { reportedByManagement: reported }: Surroundings,
): PolicyFinding[] {
  const { posture } = rule.when;
  if (posture?.reported_by !== 'mdm' || reported === undefined) return [];
  const unreported = ofPosture.filter((name) => posture[name] !== undefined && !reported.has(name));
  return unreported.length === 0
    ? []
    : [
        finding(
          'posture_not_reported',
          `wants ${unreported.join(', ')} reported by mdm, which no integration in use reports: it is unknown of everybody`,
          rule,
        ),
      ];
}

/** People and places are to be the same in all rules of a set, or somebody falls through between them. */
function checkSameness(rules: readonly PolicyRule[]): PolicyFinding[] {
  const differ = (name: 'people' | 'network') =>
    new Set(rules.map(({ when }) => JSON.stringify(when[name]))).size > 1;
  const others = 'so some people fall through to later rules. See that this is meant';
  return [
    ...(differ('people')
      ? [finding('people_differ', `rules are for different people, ${others}`)]
      : []),
    ...(differ('network')
      ? [finding('network_differs', `rules are for different networks, ${others}`)]
      : []),
  ];
}

/**
 * What is wrong with a policy, and what may not be meant. Rules that are switched off say nothing. Of an application's
 * own policy only what can be seen without the global one: `lintBoth` sees both.
 */
export function lintPolicy(
  { rules: all, otherwise }: Linted,
  surroundings: Surroundings = {},
): PolicyFinding[] {
  const rules = all.filter(({ enabled }) => enabled !== false);
  const deniesAll = rules.some(
    ({ when, effect }) => effect === 'deny' && Object.keys(when).length === 0,
  );
  return [
    ...rules.flatMap((rule) => [
      ...checkTrustIsPossible(rule),
      ...checkCanMatch(rule),
      ...checkFactor(rule),
      ...checkPosture(rule, surroundings),
    ]),
    ...checkReach(rules),
    ...checkUntrusted(rules),
    ...checkSameness(rules),
    ...(otherwise === 'allow' && !deniesAll
      ? [
          finding(
            'no_catch_all_deny',
            'whoever no rule matches is let in. Deny them, or say so in a rule',
          ),
        ]
      : []),
  ];
}

/**
 * An application's policy with the global one behind it: what its own rules say alone, and what only both together do. Its
 * own rules come first to be exceptions from global ones, so nothing is found in that.
 */
export function lintBoth(
  own: ApplicationPolicy,
  global: PolicyDocument,
  surroundings: Surroundings = {},
): PolicyFinding[] {
  const alone = lintPolicy(own, surroundings);
  const rules = effectivePolicy(own, global).rules.filter(({ enabled }) => enabled !== false);
  const knownOfGlobal = new Set(
    checkUntrusted(rules.filter(({ id }) => isGlobalRuleId(id))).map(({ rule }) => rule),
  );
  const onlyTogether = checkUntrusted(rules).filter(
    ({ rule = '' }) => isGlobalRuleId(rule) && !knownOfGlobal.has(rule),
  );
  return [...alone, ...(own.otherwise === 'global' ? onlyTogether : [])];
}

/** Of the people who sign in. Whoever has no trusted device by then is somebody to ask, one by one. */
const trustedPercentToEnforce = 95;

/** What is said of a policy that asks for trusted devices, by those who have signed in lately; `undefined`: nothing. */
export function earlyTrustFinding({
  people,
  trusted,
  days,
}: {
  readonly people: number;
  readonly trusted: number;
  readonly days: number;
}): PolicyFinding | undefined {
  if (people > 0 && trusted * 100 >= people * trustedPercentToEnforce) return undefined;
  const percent = Math.floor((trusted * 100) / Math.max(people, 1));
  const known =
    people === 0
      ? `among the newest sign-ins of the last ${days} days there is none here, so it is not known who has one`
      : `of ${people} people who signed in in the last ${days} days ${trusted} (${percent} %) had one`;
  return finding(
    'trusted_too_early',
    `asks for trusted devices, and ${known}. Set "enforcement" to "monitor" until ${trustedPercentToEnforce} % have, and see with simulate who is missing`,
  );
}
