/**
 * The part that runs in the sign-in server.
 *
 * @example
 * const countersign = createCountersignClient({ brokerUrl, clientId, authentication: { clientSecret } });
 * const transaction = readTransactionCookie(request.headers.get('cookie'), { secure: true });
 * const decision = await countersign.evaluate({
 *   subject, application, transaction, evidence, subjectAuthenticated: true,
 * });
 * if (!decision.decision) showRefusal(decision.reasonUser, decision.reasonCode);
 */
export type { ClientAuthentication } from './server/client-authentication.ts';
export {
  type CountersignClient,
  type CountersignClientOptions,
  createCountersignClient,
  type VerifyInput,
} from './server/countersign-client.ts';
export { CountersignError, type CountersignErrorCode } from './server/countersign-error.ts';
export type {
  AllowedDecision,
  Decision,
  DecisionFacts,
  DeniedDecision,
  FailOpenDecision,
  PendingDecision,
  StepUp,
} from './server/decision.ts';
export type { CompleteInput, EvaluateInput } from './server/decision-request.ts';
export type {
  FailOpenEvent,
  FailOpenOptions,
  FailOpenStore,
} from './server/fail-open/fail-open-options.ts';
export {
  clearTransactionCookie,
  createTransaction,
  readTransactionCookie,
  serializeTransactionCookie,
  transactionCookieName,
} from './server/transaction.ts';
export type { AllowClaims } from './server/verify-decision-token.ts';
