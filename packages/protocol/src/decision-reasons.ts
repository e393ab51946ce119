import {
  allowCodes,
  type DecisionReason,
  policyDenialCodes,
  unavailableCodes,
  verificationCodes,
} from './reason-codes.ts';

const decisionReasons: ReadonlySet<string> = new Set([
  ...unavailableCodes,
  ...verificationCodes,
  ...policyDenialCodes,
  ...allowCodes,
]);

/** A record of a newer version may have a reason that is not known here. */
export const isDecisionReason = (text: string): text is DecisionReason => decisionReasons.has(text);
