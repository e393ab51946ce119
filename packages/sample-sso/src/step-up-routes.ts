import {
  type CountersignClient,
  CountersignError,
  type Decision,
  type EvaluateInput,
  type PendingDecision,
} from '@countersign/sso-sdk/server';
import type { Context, Hono } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { ExpiringMap } from './expiring-map.ts';
import { stepUpPage } from './pages/step-up-page.ts';
import { canUsePasskeys, type Passkeys, type Site } from './passkeys.ts';
import { randomId } from './random-id.ts';

const minutes = 60_000;
const maxAttempts = 5;

/** What a passkey with user verification amounts to (OpenID Connect EAP ACR Values 1.0; RFC 8176). */
const passkeyAssertion = { acr: 'phr', amr: ['pop', 'user'] } as const;

/** A sign-in whose decision is pending: kept in this server, found by a cookie, never in the page. */
type WaitingSignIn = {
  readonly input: EvaluateInput;
  readonly decision: PendingDecision;
  /** The challenge of the passkey ceremony, good for one answer. */
  readonly challenge: string | undefined;
  readonly attemptsLeft: number;
};

type Answer = Response | Promise<Response>;

export type StepUpParts = {
  readonly siteTitle: string;
  readonly secure: boolean;
  readonly passkeys: Passkeys;
  readonly countersign: Pick<CountersignClient, 'complete'>;
  readonly now: () => number;
  readonly log: (line: string) => void;
  readonly siteOf: (context: Context) => Site;
  readonly isOwnForm: (context: Context) => boolean;
  readonly refuse: (context: Context, status: 400 | 403, code: string, text: string) => Answer;
  readonly refuseWithError: (context: Context, error: CountersignError) => Answer;
  readonly showDecision: (context: Context, userName: string, decision: Decision) => Answer;
};

/** Asks for a passkey where the decision is pending, and completes it. */
export class StepUps {
  readonly #parts: StepUpParts;
  readonly #waiting = new ExpiringMap<WaitingSignIn>({ ttlMs: 10 * minutes, maxEntries: 10_000 });
  readonly #cookie: string;

  constructor(parts: StepUpParts) {
    this.#parts = parts;
    this.#cookie = parts.secure ? '__Host-sample-step-up' : 'sample-step-up';
  }

  /** Remembers the sign-in for this browser and shows what is missing. */
  async begin(context: Context, input: EvaluateInput, decision: PendingDecision) {
    return await this.#ask(context, { input, decision, attemptsLeft: maxAttempts }, false);
  }

  addRoutes(app: Hono): void {
    app.post('/step-up', (context) => this.#complete(context));
  }

  async #ask(
    context: Context,
    signIn: Omit<WaitingSignIn, 'challenge'>,
    hasFailed: boolean,
  ): Promise<Response> {
    const { siteTitle, passkeys, secure, siteOf, now } = this.#parts;
    const { input, decision } = signIn;
    const site = siteOf(context);
    const canAsk = canUsePasskeys(site) && passkeys.has(input.subject);
    const options = canAsk ? await passkeys.authenticationOptions(input.subject, site) : undefined;
    if (options !== undefined) {
      const id = randomId();
      this.#waiting.set(id, { ...signIn, challenge: options.challenge }, now());
      setCookie(context, this.#cookie, id, { path: '/', httpOnly: true, sameSite: 'Lax', secure });
    }
    const page = { siteTitle, userName: input.subject, decision, options, hasFailed };
    return context.html(stepUpPage(page), hasFailed ? 401 : 200);
  }

  async #complete(context: Context): Promise<Response> {
    const { isOwnForm, refuse, refuseWithError, passkeys, countersign, siteOf, now } = this.#parts;
    if (!isOwnForm(context)) {
      return await refuse(context, 403, 'origin_wrong', 'This form was sent by another site.');
    }
    // Taken, not read: an answer counts once, and so does its challenge.
    const signIn = this.#waiting.take(getCookie(context, this.#cookie) ?? '', now());
    const { secure } = this.#parts;
    setCookie(context, this.#cookie, '', { path: '/', httpOnly: true, secure, maxAge: 0 });
    if (signIn?.challenge === undefined) {
      const text = 'This sign-in is too old or was completed already. Start again.';
      return await refuse(context, 400, 'step_up_missing', text);
    }
    const form = new URLSearchParams(await context.req.text());
    const { input, challenge, attemptsLeft } = signIn;
    const credential = form.get('credential') ?? '';
    if (!(await passkeys.verify(input.subject, credential, challenge, siteOf(context)))) {
      this.#parts.log('refused passkey_wrong');
      if (attemptsLeft > 1) {
        return await this.#ask(context, { ...signIn, attemptsLeft: attemptsLeft - 1 }, true);
      }
      const text = 'That passkey was not accepted, several times. Start again.';
      return await refuse(context, 403, 'passkey_wrong', text);
    }
    try {
      const decision = await countersign.complete({ ...input, ...passkeyAssertion });
      return await this.#parts.showDecision(context, input.subject, decision);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      return await refuseWithError(context, error);
    }
  }
}
