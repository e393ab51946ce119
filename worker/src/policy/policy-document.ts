import type { ApplicationInput } from '@countersign/protocol/admin';
import { enrollmentStrengths } from '@countersign/protocol/enrollment-strength';
import { factor } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';

/**
 * An application's policy: rules in order, the first that matches decides, then `otherwise`. `monitor` turns a denial
 * for want of a trusted device into a recorded allow. Conditions not named in a rule match everything, so rules can
 * gain conditions without a change of older documents.
 */
const conditions = z.strictObject({
  device_trust: z.optional(z.enum(['trusted', 'not_trusted'])),
});
export const policyRule = z.discriminatedUnion('effect', [
  z.strictObject({ id: z.string(), when: conditions, effect: z.enum(['allow', 'deny']) }),
  /** Allow, once the sign-in server asserts the factor. */
  z.strictObject({ id: z.string(), when: conditions, effect: z.literal('step_up'), factor }),
]);
export type PolicyRule = z.infer<typeof policyRule>;

export const policyDocument = z.strictObject({
  version: z.int(),
  enforcement: z.enum(['enforce', 'monitor']),
  /** Devices that were enrolled in another way are not trusted ones here; left out, all are. */
  enrollment_strengths: z.optional(z.array(z.enum(enrollmentStrengths))),
  rules: z.array(policyRule),
  otherwise: z.enum(['allow', 'deny']),
});
export type PolicyDocument = z.infer<typeof policyDocument>;

/** The policy of the choices that an administrator has today: trusted devices, other devices, and a factor. */
export function policyOf(version: number, choices: Omit<ApplicationInput, 'name'>): PolicyDocument {
  const rule = (
    id: string,
    deviceTrust: 'trusted' | 'not_trusted',
    effect: 'allow' | 'step_up',
  ): PolicyRule => {
    const when = { device_trust: deviceTrust };
    return effect === 'allow' ? { id, when, effect } : { id, when, effect, factor: choices.factor };
  };
  return {
    version,
    enforcement: choices.enforcement,
    ...(choices.enrollment_strengths === undefined
      ? {}
      : { enrollment_strengths: choices.enrollment_strengths }),
    rules: [
      rule('trusted-devices', 'trusted', choices.trusted_devices),
      ...(choices.other_devices === 'step_up'
        ? [rule('other-devices', 'not_trusted', choices.other_devices)]
        : []),
    ],
    otherwise: 'deny',
  };
}

/** Trusted devices may sign in, all others may not. */
export function trustedDevicesOnly(
  version: number,
  enforcement: PolicyDocument['enforcement'],
): PolicyDocument {
  return policyOf(version, {
    enforcement,
    trusted_devices: 'allow',
    other_devices: 'deny',
    factor: { acr_values: [], amr_values: [] },
  });
}
