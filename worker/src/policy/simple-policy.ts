import {
  type ApplicationPolicy,
  followsGlobal,
  type PolicyDocument,
  type PolicyRule,
} from '@countersign/policy';
import type { ApplicationInput } from '@countersign/protocol/admin';

type Choices = Omit<ApplicationInput, 'name' | 'replace_policy'>;

const phishingResistant = { acr_values: ['phr', 'phrh'], amr_values: [] };

/** The policy of what an administrator chooses: for trusted devices, for other devices, and a factor. */
export function policyOf(version: number, choices: Choices): ApplicationPolicy {
  const { enforcement } = choices;
  return enforcement === 'global'
    ? { version, ...followsGlobal, rules: [] }
    : policyOfChoices(version, { ...choices, enforcement });
}

/** The same of one that is not left to the global policy. */
export function policyOfChoices(
  version: number,
  choices: Choices & Pick<PolicyDocument, 'enforcement'>,
): PolicyDocument {
  const { factor = phishingResistant } = choices;
  const rule = (
    id: string,
    deviceTrust: 'trusted' | 'not_trusted',
    effect: 'allow' | 'step_up',
  ): PolicyRule => {
    const when = { device_trust: deviceTrust };
    return effect === 'allow' ? { id, when, effect } : { id, when, effect, factor };
  };
  return {
    version,
    enforcement: choices.enforcement,
    ...(choices.enrollment_strengths === undefined
      ? {}
      : { enrollment_strengths: choices.enrollment_strengths }),
    rules: [
      rule('trusted-devices', 'trusted', choices.trusted_devices ?? 'allow'),
      ...(choices.other_devices === 'step_up'
        ? [rule('other-devices', 'not_trusted', choices.other_devices)]
        : []),
    ],
    otherwise: 'deny',
  };
}

/** Trusted devices may sign in, all others may not. */
export const trustedDevicesOnly = (
  version: number,
  enforcement: PolicyDocument['enforcement'],
): PolicyDocument => policyOfChoices(version, { enforcement });

/** The global policy until somebody writes one. */
export const builtInGlobalPolicy = trustedDevicesOnly(1, 'enforce');
