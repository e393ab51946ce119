import * as z from 'zod/mini';

/**
 * An application's policy: rules in order, the first that matches decides, then `otherwise`. `monitor` turns a denial
 * for want of a trusted device into a recorded allow. Conditions not named in a rule match everything, so rules can
 * gain conditions without a change of older documents.
 */
export const policyRule = z.strictObject({
  id: z.string(),
  when: z.strictObject({ device_trust: z.optional(z.enum(['trusted', 'not_trusted'])) }),
  effect: z.enum(['allow', 'deny']),
});
export type PolicyRule = z.infer<typeof policyRule>;

export const policyDocument = z.strictObject({
  version: z.int(),
  enforcement: z.enum(['enforce', 'monitor']),
  rules: z.array(policyRule),
  otherwise: z.enum(['allow', 'deny']),
});
export type PolicyDocument = z.infer<typeof policyDocument>;

/** Trusted devices may sign in, all others may not. */
export function trustedDevicesOnly(
  version: number,
  enforcement: PolicyDocument['enforcement'],
): PolicyDocument {
  return {
    version,
    enforcement,
    rules: [{ id: 'trusted-devices', when: { device_trust: 'trusted' }, effect: 'allow' }],
    otherwise: 'deny',
  };
}
