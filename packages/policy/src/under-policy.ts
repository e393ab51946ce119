import type { PolicyFacts } from './facts.ts';
import type { PolicyDocument } from './policy-document.ts';

/** Of a device that lacks nothing else, or only the person's authentication, which is asked about last. */
const isOtherwiseTrusted = ({ deviceTrust }: PolicyFacts) =>
  deviceTrust.trusted || deviceTrust.reason === 'subject_not_authenticated';

/**
 * Facts as they are for a policy that takes some enrollments only: a device enrolled in another way, or in a way that
 * nobody has said, is no trusted one.
 */
export function underPolicy(
  { enrollment_strengths }: Pick<PolicyDocument, 'enrollment_strengths'>,
  facts: PolicyFacts,
): PolicyFacts {
  const isTooWeak =
    isOtherwiseTrusted(facts) &&
    enrollment_strengths?.some((strength) => strength === facts.enrollmentStrength) === false;
  return isTooWeak
    ? {
        ...facts,
        deviceTrust: { trusted: false, reason: 'enrollment_strength_insufficient' },
      }
    : facts;
}
