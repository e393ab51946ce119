import type { DecisionReason } from '@countersign/protocol';
import { isDecisionReason } from '@countersign/protocol/decision-reasons';
import { enrollmentStrengths } from '@countersign/protocol/enrollment-strength';
import { keyProtection } from '@countersign/protocol/key-protection';
import { allowCodes } from '@countersign/protocol/reason-codes';
import { chosenId, factor } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { findMatch } from './evaluate.ts';
import type { PolicyFacts } from './facts.ts';
import { evaluatePolicy, type PolicyOutcome } from './outcome.ts';
import {
  clientTypes,
  evidenceChannels,
  osVersion,
  type PolicyDocument,
  platforms,
} from './policy-document.ts';
import { tracedRule, traceRules } from './trace-rules.ts';
import { underPolicy } from './under-policy.ts';
import { readAddress, type Zones } from './zones.ts';

/** Sign-ins that nobody has made: what a policy would make of them, and why. */

const reported = <Value extends z.ZodMiniType>(value: Value) =>
  z.optional(z.strictObject({ device: z.optional(value), mdm: z.optional(value) }));

/** What a policy comes to, in place of what a device is. */
const ofOutcomes: ReadonlySet<string> = new Set([
  ...allowCodes,
  'policy_denied',
  'step_up_required',
  'authentication_required',
]);
const isUntrustedReason = (text: string): text is DecisionReason =>
  isDecisionReason(text) && !ofOutcomes.has(text);
const untrustedReason = z.string().check(
  z.refine(isUntrustedReason, {
    error: 'must be the code of a reason for which a device is not trusted',
  }),
);

const hypotheticalDevice = z
  .strictObject({
    trusted: z.boolean(),
    /** Why it is not. */
    reason: z.optional(untrustedReason),
    /** What it has signed of itself. */
    platform: z.optional(z.enum(platforms)),
    channel: z.optional(z.enum(evidenceChannels)),
    key_protection: z.optional(keyProtection),
    enrollment_strength: z.optional(z.enum(enrollmentStrengths)),
    certificate_age_days: z.optional(z.number().check(z.minimum(0), z.maximum(3650))),
    posture: z.optional(
      z.strictObject({
        disk_encryption: reported(z.boolean()),
        firewall: reported(z.boolean()),
        screen_lock: reported(z.boolean()),
        /** The device's own is `platform` above. */
        platform: z.optional(z.strictObject({ mdm: z.optional(z.enum(platforms)) })),
        os_version: reported(osVersion),
      }),
    ),
  })
  .check(
    z.refine(({ trusted, reason }) => !(trusted && reason !== undefined), {
      path: ['reason'],
      error: 'is for devices that are not trusted',
    }),
  );

/** Facts of a sign-in that is only thought of. What is left out nobody said; without a device there is no evidence. */
export const hypotheticalSignIn = z.strictObject({
  user: z.string().check(z.minLength(1), z.maxLength(256)),
  groups: z.optional(z.array(chosenId).check(z.maxLength(1000))),
  ip_address: z.optional(
    z.string().check(
      z.refine((text) => readAddress(text) !== undefined, {
        error: 'must be an IPv4 or IPv6 address',
      }),
    ),
  ),
  client_type: z.optional(z.enum(clientTypes)),
  platform: z.optional(z.enum(platforms)),
  device: z.optional(hypotheticalDevice),
  /** RFC 3339. */
  at: z.optional(z.iso.datetime({ offset: true })),
});
export type HypotheticalSignIn = z.infer<typeof hypotheticalSignIn>;

export const whatIfOutcome = z.object({
  effect: z.enum(['allow', 'deny', 'step_up']),
  reason: z.string(),
  /** The one that decides. */
  rule: z.string(),
  factor: z.optional(factor),
  reauthenticate_after_seconds: z.optional(z.int()),
  /** True where something that is not said could have led to a laxer outcome. */
  uncertain: z.boolean(),
  /** Every rule in order, until one surely matches. */
  rules: z.array(tracedRule),
});
export type WhatIfOutcome = z.infer<typeof whatIfOutcome>;

const secondsPerDay = 86_400;

/** As a policy is asked about it. */
function factsOf({ device, ...given }: HypotheticalSignIn, nowMs: number): PolicyFacts {
  const { posture, reason } = device ?? {};
  // Without a device there is none of it; what is not said of one that is there is not known.
  const unsaid = device === undefined ? ('none' as const) : undefined;
  return {
    user: given.user,
    groups: new Set(given.groups),
    ipAddress: given.ip_address,
    clientType: given.client_type,
    platform: given.platform,
    signedPlatform: device?.platform,
    channel: device?.channel ?? (device === undefined ? 'none' : 'extension'),
    keyProtection: device?.key_protection ?? unsaid,
    posture: {
      ...(posture?.disk_encryption === undefined
        ? {}
        : { diskEncryption: posture.disk_encryption }),
      ...(posture?.firewall === undefined ? {} : { firewall: posture.firewall }),
      ...(posture?.screen_lock === undefined ? {} : { screenLock: posture.screen_lock }),
      ...(posture?.platform === undefined ? {} : { platform: posture.platform }),
      ...(posture?.os_version === undefined ? {} : { osVersion: posture.os_version }),
    },
    deviceTrust:
      device?.trusted === true
        ? { trusted: true }
        : {
            trusted: false,
            reason: reason !== undefined && isUntrustedReason(reason) ? reason : 'evidence_missing',
          },
    enrollmentStrength: device?.enrollment_strength ?? unsaid,
    certificateAgeSeconds:
      device?.certificate_age_days === undefined
        ? unsaid
        : device.certificate_age_days * secondsPerDay,
    atMs: given.at === undefined ? nowMs : Date.parse(given.at),
  };
}

/** What the policy would make of this sign-in, with every rule that was looked at. Pure; records nothing. */
export function whatIf(
  policy: PolicyDocument,
  given: HypotheticalSignIn,
  zones: Zones,
  nowMs: number,
): WhatIfOutcome {
  const facts = underPolicy(policy, factsOf(given, nowMs));
  const outcome = evaluatePolicy(policy, (asked) => findMatch(policy, asked, zones), facts);
  // A device of which only the person's authentication is missing is judged as one that is trusted.
  const asked =
    outcome.reason === 'authentication_required'
      ? { ...facts, deviceTrust: { trusted: true } as const }
      : facts;
  const isStrengthUnsaid =
    policy.enrollment_strengths !== undefined &&
    given.device?.trusted === true &&
    given.device.enrollment_strength === undefined;
  return {
    ...outcomeOf(outcome),
    uncertain: isStrengthUnsaid || findMatch(policy, asked, zones).isUncertain,
    rules: traceRules(policy, asked, zones),
  };
}

function outcomeOf(outcome: PolicyOutcome) {
  const { effect, reason, rule } = outcome;
  const wanted = outcome.effect === 'step_up' ? outcome.demand.factor : undefined;
  const seconds =
    'reauthenticateAfterSeconds' in outcome ? outcome.reauthenticateAfterSeconds : undefined;
  return {
    effect,
    reason,
    rule,
    ...(wanted === undefined ? {} : { factor: wanted }),
    ...(seconds === undefined ? {} : { reauthenticate_after_seconds: seconds }),
  };
}
