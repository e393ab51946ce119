import { encodeBase64url } from '@countersign/protocol';
import { type FailOpenReport, failOpenRenewalSeconds } from '@countersign/protocol/fail-open';
import type { BrokerConnection } from '../call-broker.ts';
import type { CountersignError } from '../countersign-error.ts';
import type { FailOpenDecision } from '../decision.ts';
import type { EvaluateInput } from '../decision-request.ts';
import { askInBackground } from './ask-in-background.ts';
import type { FailOpenEvent, FailOpenOptions } from './fail-open-options.ts';
import { isAway } from './is-away.ts';
import { StateKeeper } from './kept-state.ts';
import { ReportKeeper } from './report-keeper.ts';
import { type StatementContext, StatementKeeper } from './statement-keeper.ts';

export type FailOpenContext = Omit<StatementContext, 'applications' | 'ask' | 'tell'> & {
  readonly connection: BrokerConnection;
  readonly timeoutMs: number;
};

/** After that nobody is let in any more: what cannot be told must not happen. */
export const mostUnreported = 10_000;

/** While the broker does not answer or the store cannot be read, and the longest pause that this grows to. */
const firstRetryMs = 5_000;
const longestRetryMs = 60_000;

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
  readonly #kept: StateKeeper;
  readonly #statements: StatementKeeper;
  readonly #reports: ReportKeeper;
  /** Renewals and deliveries come one after another. */
  #round: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = firstRetryMs;
  #isFirstRound = true;
  #isClosed = false;

  constructor(options: FailOpenOptions, context: FailOpenContext) {
    const { applications, store } = options;
    const { connection, timeoutMs } = context;
    const tell = (event: FailOpenEvent) => this.#tell(event);
    const ask = (path: string, body: object) => askInBackground(connection, timeoutMs, path, body);
    this.#options = options;
    this.#context = context;
    this.#kept = new StateKeeper(store, (detail) => tell({ type: 'store_failed', detail }));
    this.#statements = new StatementKeeper({ ...context, applications, ask, tell }, this.#kept);
    this.#reports = new ReportKeeper({ ask, tell }, this.#kept);
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
    const verified = await this.#statements.find(application);
    if (!verified.ok || this.#reports.count >= mostUnreported) return undefined;
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
    if (!(await this.#reports.add(report))) return undefined;
    try {
      this.#options.log({ type: 'let_in', ...facts, expiresAt, requestId });
    } catch {
      // Whoever is let in must be in the log: this person is not, and so is not.
      await this.#reports.remove([report]);
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
    await this.#statements.forgetUnwanted();
    const pauses = await Promise.all(
      this.#options.applications.map((application) => this.#statements.renew(application)),
    );
    const isUnheard = pauses.includes(undefined) || !(await this.#reports.deliver());
    const pauseMs = Math.min(...pauses.map((seconds = failOpenRenewalSeconds) => seconds * 1000));
    if (isUnheard) return this.#tryAgain();
    this.#schedule(pauseMs);
    this.#retryMs = firstRetryMs;
  }

  #tryAgain(): void {
    this.#schedule(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
  }

  /** What is only told must not stop the work. */
  #tell(event: FailOpenEvent): void {
    try {
      this.#options.log(event);
    } catch {
      // There is nowhere else to say so: the log is the sign-in server's own.
    }
  }
}
