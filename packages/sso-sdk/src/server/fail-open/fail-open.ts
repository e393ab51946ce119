import { encodeBase64url } from '@countersign/protocol';
import {
  type FailOpenReport,
  failOpenRenewalSeconds,
  failOpenReportsAnswer,
  failOpenStatementAnswer,
  maxFailOpenReports,
} from '@countersign/protocol/fail-open';
import { p256PublicJwk, parseFields } from '@countersign/protocol/schemas';
import { type CryptoKey, exportJWK, importJWK } from 'jose';
import { type BrokerConnection, callBroker } from '../call-broker.ts';
import { CountersignError, type CountersignErrorCode } from '../countersign-error.ts';
import type { FailOpenDecision } from '../decision.ts';
import type { EvaluateInput } from '../decision-request.ts';
import type { FindDecisionKey, NoDecisionKey } from '../published-keys.ts';
import type { FailOpenEvent, FailOpenOptions } from './fail-open-options.ts';
import { isAway } from './is-away.ts';
import { type KeptStatement, StateKeeper } from './kept-state.ts';
import { kidOf, type StatementResult, verifyStatement } from './verify-statement.ts';

export type FailOpenContext = {
  readonly connection: BrokerConnection;
  readonly issuer: string;
  readonly clientId: string;
  readonly findKey: FindDecisionKey;
  readonly timeoutMs: number;
  readonly toleranceSeconds: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
};

/** After that nobody is let in any more: what cannot be told must not happen. */
export const mostUnreported = 10_000;

/** While the broker does not answer or the store cannot be read, and the longest pause that this grows to. */
const firstRetryMs = 5_000;
const longestRetryMs = 60_000;

/** The broker will never take what it says this of; whatever else it says may be otherwise later. */
const neverTaken: readonly (CountersignErrorCode | undefined)[] = [
  'field_invalid',
  'json_malformed',
  'body_too_large',
];

/**
 * With these words the broker takes a statement back. Any other answer may be that of a front or of one that is not well, at
 * the beginning of the very outage that the statement is for.
 */
const takenBack: readonly CountersignErrorCode[] = [
  'fail_open_off',
  'client_authentication_failed',
];

const noKeyDetails: Readonly<Record<NoDecisionKey['reason'], string>> = {
  unknown: 'its key is not among those of the broker',
  wrong_purpose: 'its key is published for another purpose',
  without_purpose:
    'the broker does not say what its key is for, so it is older than this package and must be upgraded first',
  unavailable: 'the keys of the broker cannot be read',
};

type Examined =
  | { readonly ok: true; readonly stored: KeptStatement; readonly expiresAt: Date }
  | { readonly ok: false; readonly detail: string };

const causeOf = (error: CountersignError): FailOpenReport['cause'] | undefined => {
  if (error.code === 'broker_unreachable' || error.code === 'broker_timeout') return error.code;
  return error.status !== undefined && error.status >= 500 ? 'broker_failed' : undefined;
};

/**
 * Statements, asked for in the background and never while somebody signs in; what they allow during an outage; and the
 * reports of that, which are delivered when the broker is back.
 */
export class FailOpen {
  readonly #options: FailOpenOptions;
  readonly #context: FailOpenContext;
  /** Renewals and deliveries come one after another. */
  #round: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = firstRetryMs;
  #isFirstRound = true;
  #isClosed = false;
  /** Applications that the log has been told of. */
  readonly #allowed = new Set<string>();
  /** Likewise, of what it could not ask for. */
  readonly #notRenewed = new Set<string>();
  readonly #kept: StateKeeper;

  constructor(options: FailOpenOptions, context: FailOpenContext) {
    this.#options = options;
    this.#context = context;
    this.#kept = new StateKeeper(options.store, (detail) =>
      this.#tell({ type: 'store_failed', detail }),
    );
    this.#schedule(0);
  }

  /** Ends the background work. What has not been reported stays in the store. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#round;
    await this.#kept.settled();
  }

  /**
   * What may be answered although the broker gave no decision.
   *
   * @param error why it gave none
   * @returns `undefined` where nobody may be let in: no outage, no good statement, or it could not be logged and kept
   */
  async answer(
    input: EvaluateInput,
    error: CountersignError,
  ): Promise<FailOpenDecision | undefined> {
    const cause = causeOf(error);
    // Without a decision the password is all there is: where it was not given, nothing is.
    if (cause === undefined || input.subjectAuthenticated !== true) return undefined;
    const { application, subject } = input;
    // The store may still hold a statement from when the server wanted it for this application.
    if (!this.#options.applications.includes(application)) return undefined;
    // Where the store cannot be read, what happens now could not be kept in it.
    if (!(await this.#kept.loaded)) return undefined;
    if (!Object.hasOwn(this.#kept.state.statements, application)) return undefined;
    // One that answers others fails at this request alone, and so would it for whoever can make it do that. Nor is the
    // request's own timeout a sign of anything: it may be this server that was too busy to read the answer.
    const { connection, timeoutMs } = this.#context;
    if (!(await isAway(connection, timeoutMs))) return undefined;
    const verified = await this.#verifyKept(application);
    if (!verified.ok || this.#kept.state.reports.length >= mostUnreported) return undefined;
    const { jti: statementId, exp } = verified.claims;
    const report: FailOpenReport = {
      report_id: encodeBase64url(crypto.getRandomValues(new Uint8Array(16))),
      application,
      subject,
      occurred_at: new Date(this.#context.now()).toISOString(),
      cause,
      statement_id: statementId,
    };
    const expiresAt = new Date(exp * 1000);
    const { requestId } = error;
    const facts = { subject, application, cause, reportId: report.report_id, statementId };
    this.#kept.change({ reports: [...this.#kept.state.reports, report] });
    if (!(await this.#kept.save())) {
      this.#drop([report]);
      return undefined;
    }
    try {
      this.#options.log({ type: 'let_in', ...facts, expiresAt, requestId });
    } catch {
      this.#drop([report]);
      await this.#kept.save();
      return undefined;
    }
    return {
      decision: true,
      failOpen: { cause, reportId: report.report_id, statementId, expiresAt },
      deviceTrusted: false,
      reasonCode: 'fail_open',
      reasonUser: 'You are signed in. This device could not be checked this time.',
      reasonAdmin:
        'The broker could not be reached, and administrators have chosen that people are let in to this application then. The device was not checked.',
      requestId: requestId ?? '',
    };
  }

  #drop(reports: readonly FailOpenReport[]): void {
    const dropped = new Set(reports.map(({ report_id }) => report_id));
    const left = this.#kept.state.reports.filter(({ report_id }) => !dropped.has(report_id));
    this.#kept.change({ reports: left });
  }

  async #verifyKept(application: string): Promise<StatementResult> {
    const { statements } = this.#kept.state;
    const kept = Object.hasOwn(statements, application) ? statements[application] : undefined;
    if (kept === undefined) return { ok: false, detail: 'there is none' };
    const { purpose, ...jwk } = kept.key;
    if (purpose !== 'decision')
      return { ok: false, detail: 'its key was kept without its purpose' };
    const key = await importPublicKey(jwk);
    return key === undefined
      ? { ok: false, detail: 'its key is none' }
      : await this.#verify(kept.statement, key, application);
  }

  #verify(statement: string, key: CryptoKey, application: string): Promise<StatementResult> {
    const { issuer, clientId, now, toleranceSeconds } = this.#context;
    const expected = { issuer, clientId, application };
    const nowSeconds = Math.floor(now() / 1000);
    return verifyStatement(statement, key, expected, nowSeconds, toleranceSeconds);
  }

  #schedule(inMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      // A defect here must not end the sign-in server: it is tried again, and the statement ends by itself.
      this.#round = this.#runRound().catch(() => this.#schedule(longestRetryMs));
    }, inMs);
    // A server that has nothing else to do may end.
    if (typeof this.#timer === 'object') this.#timer.unref?.();
  }

  async #runRound(): Promise<void> {
    const isLoaded = this.#isFirstRound ? await this.#kept.loaded : await this.#kept.loadAgain();
    this.#isFirstRound = false;
    if (!isLoaded) return this.#tryAgain();
    await this.#forgetUnwanted();
    const pauses = await Promise.all(
      this.#options.applications.map((application) => this.#renew(application)),
    );
    const isAway = pauses.includes(undefined) || !(await this.#deliver());
    const pauseMs = Math.min(...pauses.map((seconds = failOpenRenewalSeconds) => seconds * 1000));
    if (isAway) return this.#tryAgain();
    this.#schedule(pauseMs);
    this.#retryMs = firstRetryMs;
  }

  #tryAgain(): void {
    this.#schedule(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
  }

  /** @returns after how many seconds to ask again; `undefined` where the broker did not answer */
  async #renew(application: string): Promise<number | undefined> {
    const asked = await this.#ask('/v1/fail-open-statements', { application });
    if (!asked.ok) {
      const { code, message } = asked.error;
      if (!takenBack.includes(code)) return this.#keepWhatThereIs(application, message);
      await this.#forget(application, message);
      return failOpenRenewalSeconds;
    }
    const answer = parseFields(failOpenStatementAnswer, asked.json);
    if (!answer.ok) return this.#keepWhatThereIs(application, 'the answer has no statement');
    const kept = await this.#examine(answer.value.statement, application);
    if (!kept.ok) {
      const detail = `the statement does not verify: ${kept.detail}`;
      return this.#keepWhatThereIs(application, detail);
    }
    this.#notRenewed.delete(application);
    const statements = { ...this.#kept.state.statements, [application]: kept.stored };
    this.#kept.change({ statements });
    await this.#kept.save();
    if (!this.#allowed.has(application)) {
      this.#allowed.add(application);
      this.#tell({ type: 'allowed', application, expiresAt: kept.expiresAt });
    }
    return answer.value.renew_after_seconds;
  }

  /** Nothing was heard of the broker, or of somebody else in its place: a statement that is kept ends by itself. */
  #keepWhatThereIs(application: string, detail: string): undefined {
    if (this.#notRenewed.has(application)) return;
    this.#notRenewed.add(application);
    this.#tell({ type: 'not_renewed', application, detail });
  }

  /** What is kept of a statement: beside it the key, since nobody can be asked for that when it is needed. */
  async #examine(statement: string, application: string): Promise<Examined> {
    const kid = kidOf(statement);
    if (kid === undefined) return { ok: false, detail: 'its header is not right' };
    const found = await this.#context.findKey({ alg: 'ES256', kid });
    if (!found.ok) return { ok: false, detail: noKeyDetails[found.reason] };
    const verified = await this.#verify(statement, found.key, application);
    if (!verified.ok) return verified;
    const jwk = parseFields(p256PublicJwk, await exportJWK(found.key));
    if (!jwk.ok) return { ok: false, detail: `${jwk.field} of its key ${jwk.detail}` };
    const expiresAt = new Date(verified.claims.exp * 1000);
    return {
      ok: true,
      stored: { statement, key: { ...jwk.value, purpose: 'decision' } },
      expiresAt,
    };
  }

  async #forget(application: string, detail: string): Promise<void> {
    this.#notRenewed.delete(application);
    if (!Object.hasOwn(this.#kept.state.statements, application)) return;
    this.#allowed.delete(application);
    const { [application]: _, ...statements } = this.#kept.state.statements;
    this.#kept.change({ statements });
    await this.#kept.save();
    this.#tell({ type: 'not_allowed', application, detail });
  }

  /** What the store holds for applications that the options name no more: nobody renews it, or takes it back. */
  async #forgetUnwanted(): Promise<void> {
    const { applications } = this.#options;
    const kept = Object.keys(this.#kept.state.statements);
    for (const application of kept.filter((name) => !applications.includes(name))) {
      await this.#forget(application, 'the option failOpen.applications does not name it');
    }
  }

  /** @returns false where the broker did not take them, and they are to be brought again */
  async #deliver(): Promise<boolean> {
    for (let atOnce = maxFailOpenReports; ; ) {
      const reports = this.#kept.state.reports.slice(0, atOnce);
      if (reports.length === 0) return true;
      const asked = await this.#ask('/v1/fail-open-reports', { reports });
      const refusal = asked.ok ? undefined : asked.error.code;
      const isTaken = asked.ok && parseFields(failOpenReportsAnswer, asked.json).ok;
      if (!isTaken && !neverTaken.includes(refusal)) return false;
      if (!isTaken && reports.length > 1) {
        // It is one of them: the others are taken when they come alone.
        atOnce = 1;
        continue;
      }
      this.#drop(reports);
      await this.#kept.save();
      if (refusal === undefined) this.#tell({ type: 'reported', reports: reports.length });
      else this.#tell({ type: 'report_refused', reports, code: refusal });
    }
  }

  async #ask(
    path: string,
    body: object,
  ): Promise<
    | { readonly ok: true; readonly json: unknown }
    | { readonly ok: false; readonly error: CountersignError }
  > {
    const { connection, timeoutMs } = this.#context;
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const text = JSON.stringify(body);
      const json = await callBroker(connection, path, text, deadline, crypto.randomUUID());
      return { ok: true, json };
    } catch (cause) {
      const error =
        cause instanceof CountersignError
          ? cause
          : new CountersignError('broker_unreachable', { cause });
      return { ok: false, error };
    }
  }

  /** What is only told must not stop the work. */
  #tell(event: FailOpenEvent): void {
    try {
      this.#options.log(event);
    } catch {
      // The log of the sign-in server is its own.
    }
  }
}

async function importPublicKey(jwk: object): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK({ ...jwk }, 'ES256');
    return key instanceof Uint8Array ? undefined : key;
  } catch {
    return undefined;
  }
}
