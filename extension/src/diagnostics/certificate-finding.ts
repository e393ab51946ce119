import type { HostStatus } from '@countersign/protocol/native-messages';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { type Finding, longDate } from './finding.ts';

const dayMs = 86_400_000;

/** Two weeks before the end, and of a short-lived certificate the last quarter. */
function warnsFromMs(notBeforeMs: number, notAfterMs: number): number {
  return notAfterMs - Math.min(14 * dayMs, (notAfterMs - notBeforeMs) / 4);
}

const anew = 'Run `countersign enroll --replace` with a new enrollment token on the device.';

/** What the certificate's dates say, by this computer's clock; `undefined` while all is well. */
export function certificateFinding(status: HostStatus, now: Date): Finding | undefined {
  if (!status.enrolled) return notEnrolled;
  if (status.certificate === undefined) return undefined;
  const notBeforeMs = Date.parse(status.certificate.not_before);
  const notAfterMs = Date.parse(status.certificate.not_after);
  const lastDay = longDate(new Date(notAfterMs));
  if (notAfterMs < now.getTime()) {
    return {
      state: 'not_ready',
      headline: "This computer's certificate has expired",
      explanation: `It was valid until ${lastDay}. Since then this computer can prove nothing.`,
      whoFixesIt: 'it_support',
      nextStep: 'Ask them to enroll this computer again.',
      problem: {
        code: 'certificate_expired',
        administrator: `${reasonTexts.certificate_expired.administrator} ${anew}`,
      },
    };
  }
  if (notBeforeMs > now.getTime()) {
    return {
      state: 'not_ready',
      headline: "This computer's clock is wrong",
      explanation: `It says ${longDate(now)}, when the certificate of this computer was not valid yet.`,
      whoFixesIt: 'you',
      nextStep: 'Turn on automatic date and time, then check again.',
      problem: {
        code: 'certificate_not_yet_valid',
        administrator: reasonTexts.certificate_not_yet_valid.administrator,
      },
    };
  }
  if (warnsFromMs(notBeforeMs, notAfterMs) <= now.getTime()) {
    return {
      state: 'attention',
      headline: `The certificate expires on ${lastDay}`,
      explanation:
        'Until then signing in works as before. It is not renewed by itself; afterwards this computer can prove nothing.',
      whoFixesIt: 'it_support',
      nextStep: `Ask them to enroll this computer again before ${lastDay}.`,
      problem: {
        code: 'certificate_expires_soon',
        administrator: `The certificate ends at ${status.certificate.not_after}, and this version does not renew. ${anew}`,
      },
    };
  }
  return undefined;
}

const notEnrolled: Finding = {
  state: 'not_ready',
  headline: 'This computer is not enrolled yet',
  explanation:
    'The Countersign program is installed, but your company has not given this computer a certificate.',
  whoFixesIt: 'it_support',
  nextStep: 'Ask them to enroll this computer.',
  problem: { code: 'not_enrolled', administrator: reasonTexts.not_enrolled.administrator },
};
