import type { PolicyDocument, PolicyRule } from '@countersign/policy';
import type { ApplicationInput } from '@countersign/protocol/admin';

/** The policy of the choices that an administrator has today: trusted devices, other devices, and a factor. */
export function policyOf(
  version: number,
  choices: Omit<ApplicationInput, 'name' | 'replace_policy'>,
): PolicyDocument {
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
