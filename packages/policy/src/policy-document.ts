import { enrollmentStrengths } from '@countersign/protocol/enrollment-strength';
import { keyProtection } from '@countersign/protocol/key-protection';
import { type Platform, platforms } from '@countersign/protocol/posture';
import { chosenId, factor } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';

/**
 * A policy: rules in order, the first that matches decides, then `otherwise`. `monitor` turns a denial, and
 * a demand, into a recorded allow. A condition that a rule does not name matches everything, so rules can gain
 * conditions without a change of older documents.
 */

export const clientTypes = ['web_or_modern', 'legacy'] as const;
export type ClientType = (typeof clientTypes)[number];

export { type Platform, platforms };

export const evidenceChannels = ['extension', 'mtls', 'both'] as const;
export type EvidenceChannel = (typeof evidenceChannels)[number];

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof weekdays)[number];

const mostNames = 1000;
const userId = z.string().check(z.minLength(1), z.maxLength(256));
/** At least one: a list that is there and empty would match nobody, and look as if it matched everybody. */
const listOf = <Item extends z.ZodMiniType>(item: Item) =>
  z.array(item).check(z.minLength(1), z.maxLength(mostNames));

/** Named users and members of groups; with neither of the two, everybody. Less those who are excepted. */
export const peopleCondition = z.strictObject({
  users: z.optional(listOf(userId)),
  groups: z.optional(listOf(chosenId)),
  except_users: z.optional(listOf(userId)),
  except_groups: z.optional(listOf(chosenId)),
});

/** Where the person is: on or off the network (the zones that are said to be of it), or in named zones, or in none of some. */
export const networkCondition = z
  .strictObject({
    location: z.optional(z.enum(['on_network', 'off_network'])),
    zones: z.optional(listOf(chosenId)),
    except_zones: z.optional(listOf(chosenId)),
  })
  .check(
    z.refine((network) => Object.keys(network).length > 0, {
      error: 'must name a location or zones',
    }),
  );

/** Numbers with dots: `14.5`, `10.0.19045`. */
export const osVersion = z.string().check(z.regex(/^\d{1,9}(\.\d{1,9}){0,3}$/));

/** What must be so, and who must say it. */
export const postureCondition = z
  .strictObject({
    disk_encryption: z.optional(z.literal(true)),
    firewall: z.optional(z.literal(true)),
    screen_lock: z.optional(z.literal(true)),
    /** Of the platforms that are named, a version no older; others do not match. */
    minimum_os_version: z.optional(
      z.partialRecord(z.enum(platforms), osVersion).check(
        z.refine((versions) => Object.keys(versions).length > 0, {
          error: 'must name a platform',
        }),
      ),
    ),
    reported_by: z._default(z.enum(['any', 'device', 'mdm']), 'any'),
  })
  .check(
    z.refine(({ reported_by: _, ...wanted }) => Object.keys(wanted).length > 0, {
      error: 'must want something',
    }),
  );

const days = z.int().check(z.minimum(1), z.maximum(3650));
export const certificateAgeCondition = z
  .strictObject({ at_least_days: z.optional(days), at_most_days: z.optional(days) })
  .check(
    z.refine((age) => Object.keys(age).length > 0, { error: 'must name a limit' }),
    z.refine(
      ({ at_least_days, at_most_days }) =>
        at_least_days === undefined || at_most_days === undefined || at_least_days < at_most_days,
      { error: 'at_least_days must be below at_most_days' },
    ),
  );

const timeOfDay = z
  .string()
  .check(z.regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: 'must be a time like 08:00' }));

/** Those that were asked about: making a format to find out is slow, and there are some six hundred. */
const timeZones = new Set<string>();

function isTimeZone(name: string): boolean {
  if (timeZones.has(name)) return true;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    if (timeZones.size < 1000) timeZones.add(name);
    return true;
  } catch {
    // RangeError: the database has none of that name (ECMA-402).
    return false;
  }
}

/** From `from` until `to`, in a time zone of the IANA database; where `to` is not after `from`, past midnight, counted to the day of `from`. */
export const timeCondition = z.strictObject({
  time_zone: z
    .string()
    .check(z.refine(isTimeZone, { error: 'must be a time zone like Europe/Berlin' })),
  days: z._default(listOf(z.enum(weekdays)), [...weekdays]),
  from: z._default(timeOfDay, '00:00'),
  to: z._default(timeOfDay, '00:00'),
});

export const conditions = z.strictObject({
  people: z.optional(peopleCondition),
  network: z.optional(networkCondition),
  client_types: z.optional(listOf(z.enum(clientTypes))),
  platforms: z.optional(listOf(z.enum(platforms))),
  device_trust: z.optional(z.enum(['trusted', 'not_trusted'])),
  channels: z.optional(listOf(z.enum(evidenceChannels))),
  key_protections: z.optional(listOf(keyProtection)),
  enrollment_strengths: z.optional(listOf(z.enum(enrollmentStrengths))),
  posture: z.optional(postureCondition),
  certificate_age: z.optional(certificateAgeCondition),
  time: z.optional(timeCondition),
});
export type Conditions = z.infer<typeof conditions>;
export type ConditionName = keyof Conditions;

/** What decisions say in place of a rule: when none matched, and when no policy was asked. */
export const defaultRuleId = 'default';
export const noRuleId = 'none';

/** What every rule has, of whatever kind. */
export const ruleFields = {
  id: chosenId.check(
    z.refine((id) => id !== defaultRuleId && id !== noRuleId, {
      error: `must not be ${defaultRuleId} or ${noRuleId}, which decisions without a rule have`,
    }),
  ),
  /** What it is for, for administrators. */
  name: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
  /** False: as if it were not there. */
  enabled: z.optional(z.boolean()),
} as const;

/** Of an allow: after so many seconds the sign-in server asks the person anew. */
const reauthenticate = {
  reauthenticate_after_seconds: z.optional(z.int().check(z.minimum(60), z.maximum(366 * 86_400))),
};

const ruleWith = <Id extends z.ZodMiniType<string, string>>(id: Id) => {
  const common = { ...ruleFields, id, when: conditions };
  return z.discriminatedUnion('effect', [
    z.strictObject({ ...common, effect: z.literal('deny') }),
    z.strictObject({ ...common, ...reauthenticate, effect: z.literal('allow') }),
    /** Allow, once the sign-in server asserts the factor. */
    z.strictObject({ ...common, ...reauthenticate, effect: z.literal('step_up'), factor }),
  ]);
};

export const policyRule = ruleWith(ruleFields.id);
export type PolicyRule = z.infer<typeof policyRule>;
export type Effect = PolicyRule['effect'];

export const maxRules = 1000;

/** What an administrator writes. */
export const policyFields = {
  enforcement: z.enum(['enforce', 'monitor']),
  /** Devices that were enrolled in another way are not trusted ones here; left out, all are. */
  enrollment_strengths: z.optional(z.array(z.enum(enrollmentStrengths))),
  rules: z.array(policyRule).check(
    z.maxLength(maxRules),
    z.refine((rules) => new Set(rules.map(({ id }) => id)).size === rules.length, {
      error: 'must have different ids',
    }),
  ),
  otherwise: z.enum(['allow', 'deny']),
} as const;

/** `version`: of the organization that brought it. */
export const policyDocument = z.strictObject({ version: z.int(), ...policyFields });
export type PolicyDocument = z.infer<typeof policyDocument>;

/** One that was put together of two: with the rules of both, under names that tell them apart. */
export const effectivePolicyDocument = z.strictObject({
  version: z.int(),
  ...policyFields,
  rules: z.array(ruleWith(z.string())),
});

/** What an administrator writes for one application. `global`: what the global policy says. */
export const applicationPolicyFields = {
  ...policyFields,
  enforcement: z.enum(['enforce', 'monitor', 'global']),
  otherwise: z.enum(['allow', 'deny', 'global']),
} as const;

export const applicationPolicy = z.strictObject({ version: z.int(), ...applicationPolicyFields });
export type ApplicationPolicy = z.infer<typeof applicationPolicy>;
