import { isSecureWebOrigin } from '@countersign/protocol';
import {
  actionSignIn,
  type EvaluationAnswer,
  evaluationAnswer,
} from '@countersign/protocol/evaluation';
import { httpsLink } from '@countersign/protocol/learn-more';
import { parseFields } from '@countersign/protocol/schemas';
import { callBroker } from './call-broker.ts';
import { authorizeAs, type ClientAuthentication } from './client-authentication.ts';
import { CountersignError } from './countersign-error.ts';
import type { Decision, FailOpenDecision, StepUp } from './decision.ts';
import {
  type CompleteInput,
  completionBody,
  type EvaluateInput,
  evaluationBody,
} from './decision-request.ts';
import { FailOpen } from './fail-open/fail-open.ts';
import type { FailOpenOptions } from './fail-open/fail-open-options.ts';
import { findDecisionKeyAt } from './published-keys.ts';
import {
  type AllowClaims,
  type ExpectedDecision,
  verifyDecisionToken,
} from './verify-decision-token.ts';

export type CountersignClientOptions = {
  /** The broker's public URL, which is the issuer of its tokens: `https://countersign.example.com`. */
  readonly brokerUrl: string;
  /** Where this server reaches the broker, if that is another address. */
  readonly brokerInternalUrl?: string | undefined;
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  /** For all of one call: its retry and the verification of its token included. Default 3,000. */
  readonly timeoutMs?: number | undefined;
  /** How far this server's clock and the broker's may differ, 0 to 60. Default 5. */
  readonly clockToleranceSeconds?: number | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Milliseconds since 1970, for tests. */
  readonly now?: (() => number) | undefined;
};

/** Lets people in while the broker cannot be reached, where its administrators have chosen so. Without it, never. */
type WithFailOpen = { readonly failOpen: FailOpenOptions };

export type VerifyInput = {
  readonly subject: string;
  readonly application: string;
  /** Default `sign_in`. */
  readonly action?: string;
  readonly transaction: string;
};

/** @typeParam Instead what may be answered where nobody decided: `FailOpenDecision` with the option `failOpen` */
export type CountersignClient<Instead = never> = {
  /**
   * Asks for the decision. `decision: true` is returned only with a decision token that was verified for this very
   * client, subject, application and transaction; `stepUp` is there when the sign-in waits for a factor. Throws `CountersignError` when there is no decision; that means "not
   * allowed", like a denial. With the option `failOpen` it may answer a
   * `FailOpenDecision` then, which says so.
   */
  evaluate(input: EvaluateInput): Promise<Decision | Instead>;
  /**
   * Finishes a decision that asked for a step-up, with the same input and what was reached, once and within ten minutes.
   * A completion that is refused leaves the decision pending. Throws like `evaluate()`.
   */
  complete(input: CompleteInput): Promise<Decision>;
  /** For the service that a token was handed on to. Throws `CountersignError` unless the token proves an allow. */
  verifyDecisionToken(token: string, expected: VerifyInput): Promise<AllowClaims>;
  /** Ends what `failOpen` does in the background. */
  close(): Promise<void>;
};

/** Throws `CountersignError` `options_invalid`, naming the option. Opens no connection yet. */
export function createCountersignClient(
  options: CountersignClientOptions & WithFailOpen,
): CountersignClient<FailOpenDecision>;
export function createCountersignClient(options: CountersignClientOptions): CountersignClient;
export function createCountersignClient(
  options: CountersignClientOptions & Partial<WithFailOpen>,
): CountersignClient<FailOpenDecision> {
  const { brokerUrl, clientId, timeoutMs = 3000, clockToleranceSeconds = 5 } = options;
  const { brokerInternalUrl = brokerUrl, now = Date.now } = options;
  checkOrigin('brokerUrl', brokerUrl);
  checkOrigin('brokerInternalUrl', brokerInternalUrl);
  checkClientId(clientId);
  checkRange('timeoutMs', timeoutMs, 1, 60_000);
  checkRange('clockToleranceSeconds', clockToleranceSeconds, 0, 60);
  checkFailOpen(options.failOpen);

  const connection = {
    url: brokerInternalUrl,
    fetch: options.fetch ?? globalThis.fetch,
    authorize: authorizeAs(clientId, brokerUrl, options.authentication, now),
  };
  const findKey = findDecisionKeyAt(connection, timeoutMs);

  const verify = (unverifiedToken: string, input: VerifyInput) => {
    const expected: ExpectedDecision = {
      action: actionSignIn,
      ...input,
      issuer: brokerUrl,
      clientId,
    };
    const nowSeconds = Math.floor(now() / 1000);
    return verifyDecisionToken(
      unverifiedToken,
      expected,
      findKey,
      nowSeconds,
      clockToleranceSeconds,
    );
  };

  const decide = async <Instead>(
    path: string,
    body: ReturnType<typeof evaluationBody> | ReturnType<typeof completionBody>,
    /** The broker gave none: nothing that it said is passed over. */
    withoutAnswer: (error: unknown) => Promise<Instead>,
  ): Promise<Decision | Instead> => {
    const requestId = crypto.randomUUID();
    const deadline = AbortSignal.timeout(timeoutMs);
    let json: unknown;
    try {
      json = await callBroker(connection, path, JSON.stringify(body), deadline, requestId);
    } catch (error) {
      return await withoutAnswer(error);
    }
    const answer = parseFields(evaluationAnswer, json);
    if (!answer.ok) {
      const { field, detail } = answer;
      throw new CountersignError('broker_answer_malformed', { field, detail, requestId });
    }
    const { context } = answer.value;
    const facts = {
      reasonAdmin: context.reason_admin.en,
      reasonUser: context.reason_user.en,
      policy: context.policy,
      requestId,
    };
    if (!answer.value.decision) {
      return {
        decision: false,
        reasonCode: context.reason_code,
        decisionId: context.decision_id,
        deviceTrusted: context.device_trusted,
        ...facts,
        ...linkOf(context.learn_more_url),
        ...(context.step_up === undefined ? {} : { stepUp: stepUpOf(context.step_up) }),
      };
    }
    const decisionToken = context.decision_token;
    if (decisionToken === undefined) {
      throw new CountersignError('decision_token_missing', { requestId });
    }
    const verification = verify(decisionToken, {
      subject: body.subject.id,
      application: body.resource.id,
      transaction: body.context.transaction,
    });
    const claims = await beforeDeadline(verification, deadline, requestId);
    return {
      decision: true,
      // From the token, because it is signed.
      reasonCode: claims.reason_code,
      decisionId: claims.decision_id,
      deviceTrusted: claims.device_trusted,
      decisionToken,
      ...facts,
      ...(context.reauthenticate_after_seconds === undefined
        ? {}
        : { reauthenticateAfterSeconds: context.reauthenticate_after_seconds }),
    };
  };

  const failOpen =
    options.failOpen === undefined
      ? undefined
      : new FailOpen(options.failOpen, {
          connection,
          issuer: brokerUrl,
          clientId,
          findKey,
          timeoutMs,
          toleranceSeconds: clockToleranceSeconds,
          now,
        });
  const letInOrThrow = async (input: EvaluateInput, error: unknown): Promise<FailOpenDecision> => {
    const answer =
      error instanceof CountersignError ? await failOpen?.answer(input, error) : undefined;
    if (answer === undefined) throw error;
    return answer;
  };

  return {
    evaluate: async (input) =>
      decide('/access/v1/evaluation', evaluationBody(input), (error) => letInOrThrow(input, error)),
    // Whoever was asked for a factor is not let in without the broker's word on it.
    complete: async (input) =>
      decide(
        '/v1/completions',
        completionBody(input),
        (error): Promise<never> => Promise.reject(error),
      ),
    verifyDecisionToken: verify,
    close: async () => failOpen?.close(),
  };
}

/** A link ends up in the page's HTML: one that is not plain https is left out, whoever sent it. */
function linkOf(url: string | undefined): { readonly learnMoreUrl?: string } {
  return url !== undefined && parseFields(httpsLink, url).ok ? { learnMoreUrl: url } : {};
}

function stepUpOf(asked: NonNullable<EvaluationAnswer['context']['step_up']>): StepUp {
  return {
    acrValues: asked.acr_values,
    amrValues: asked.amr_values,
    subjectAuthenticated: asked.subject_authenticated,
    expiresAt: new Date(asked.expires_at),
  };
}

function beforeDeadline<Value>(
  promise: Promise<Value>,
  deadline: AbortSignal,
  requestId: string,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new CountersignError('broker_timeout', { requestId }));
    if (deadline.aborted) late();
    deadline.addEventListener('abort', late);
    promise.then(resolve, reject).finally(() => deadline.removeEventListener('abort', late));
  });
}

function checkOrigin(field: string, url: string): void {
  if (isSecureWebOrigin(url)) return;
  invalidOption(field, 'must be https (http only for loopback), without path or trailing slash');
}

function checkClientId(clientId: string): void {
  if (/^[a-z0-9][a-z0-9._-]{0,62}$/.test(clientId)) return;
  invalidOption('clientId', 'must be the id that the client is registered under');
}

function checkFailOpen(failOpen: FailOpenOptions | undefined): void {
  if (failOpen === undefined) return;
  const { applications, log } = failOpen;
  if (!Array.isArray(applications) || applications.length === 0) {
    invalidOption('failOpen.applications', 'must name at least one application');
  }
  if (typeof log !== 'function') {
    invalidOption('failOpen.log', 'must be a function: what happens without a decision is logged');
  }
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return;
  invalidOption(field, `must be between ${min} and ${max}`);
}

function invalidOption(field: string, detail: string): never {
  throw new CountersignError('options_invalid', { field, detail });
}
