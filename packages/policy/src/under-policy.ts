import type { PolicyFacts } from './facts.ts';
import type { PolicyDocument } from './policy-document.ts';

/** Facts as they are for a policy that takes some enrollments only: a device enrolled in another way is no trusted one. */
export function underPolicy(
  { enrollment_strengths }: Pick<PolicyDocument, 'enrollment_strengths'>,
  facts: PolicyFacts,
): PolicyFacts {
  const isTooWeak =
    facts.deviceTrust.trusted &&
    enrollment_strengths?.some((strength) => strength === facts.enrollmentStrength) === false;
  return isTooWeak
    ? {
        ...facts,
        deviceTrust: { trusted: false, reason: 'enrollment_strength_insufficient' },
      }
    : facts;
}
