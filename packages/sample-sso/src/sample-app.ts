import {
  type CountersignClient,
  CountersignError,
  clearTransactionCookie,
  createTransaction,
  type Decision,
  type FailOpenDecision,
  readTransactionCookie,
  serializeTransactionCookie,
} from '@countersign/sso-sdk/server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { getCookie, setCookie } from 'hono/cookie';
import * as z from 'zod/mini';
import type { DemoAccounts } from './demo-accounts.ts';
import { ExpiringMap } from './expiring-map.ts';
import { errorPage } from './pages/error-page.ts';
import { resultPage } from './pages/result-page.ts';
import { signInPage } from './pages/sign-in-page.ts';
import { addPasskeyRoutes } from './passkey-routes.ts';
import { canUsePasskeys, Passkeys } from './passkeys.ts';
import { randomId } from './random-id.ts';
import { StepUps } from './step-up-routes.ts';

export type SampleAppParts = {
  readonly siteTitle: string;
  /** True when the site is served over https. */
  readonly secure: boolean;
  /** The broker's address for the browser. */
  readonly brokerUrl: string;
  /** Where the broker takes client certificates, if it does: the page must be allowed to ask there. */
  readonly mtlsUrl?: string | undefined;
  readonly clientId: string;
  readonly application: string;
  readonly countersign: Pick<CountersignClient<FailOpenDecision>, 'evaluate' | 'complete'>;
  readonly accounts: DemoAccounts;
  readonly assets: Readonly<Record<`/${string}`, { readonly type: string; readonly text: string }>>;
  readonly log: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
};

const minutes = 60_000;
const maxFormBytes = 64 * 1024;

const signInForm = z.object({
  username: z.string().check(z.minLength(1), z.maxLength(64)),
  password: z.string().check(z.minLength(1), z.maxLength(256)),
  evidence: z.optional(z.string().check(z.maxLength(32 * 1024))),
  attest_error: z.optional(z.string().check(z.regex(/^[a-z_]{0,64}$/))),
});

type Session = { readonly userName: string; readonly decision: Decision | FailOpenDecision };

/** Everything of the site but its server. */
export function createSampleApp(parts: SampleAppParts): Hono {
  const { siteTitle, secure, brokerUrl, mtlsUrl, clientId, application, accounts, now } = parts;
  const sessionCookie = secure ? '__Host-sample-session' : 'sample-session';
  // Transactions that were given out and have not come back yet; a value is their being known.
  const transactions = new ExpiringMap<true>({ ttlMs: 10 * minutes, maxEntries: 10_000 });
  const sessions = new ExpiringMap<Session>({ ttlMs: 60 * minutes, maxEntries: 10_000 });
  const headers = securityHeaders([brokerUrl, ...(mtlsUrl === undefined ? [] : [mtlsUrl])]);
  const app = new Hono();

  app.use(async (context, next) => {
    await next();
    for (const [name, value] of headers) context.header(name, value);
  });

  /** Another site can post a form here too; its origin gives it away (and SameSite keeps the cookies from it). */
  const isOwnForm = (context: Context) => context.req.header('Origin') === siteOf(context).origin;

  const siteOf = (context: Context) => {
    const url = new URL(
      `${secure ? 'https' : 'http'}://${context.req.header('Host') ?? 'unknown'}`,
    );
    return { origin: url.origin, hostname: url.hostname };
  };

  const refuse = (context: Context, status: 400 | 403 | 413 | 502, code: string, text: string) => {
    parts.log(`refused ${code}`);
    return context.html(errorPage({ siteTitle, code, text }), status);
  };

  const showForm = (context: Context, wrongPasswordOf?: string) => {
    const transaction = createTransaction();
    transactions.set(transaction, true, now());
    context.header('Set-Cookie', serializeTransactionCookie(transaction, { secure }));
    const page = { siteTitle, brokerUrl, clientId, transaction };
    return wrongPasswordOf === undefined
      ? context.html(signInPage(page))
      : context.html(signInPage({ ...page, wrongPasswordOf }), 401);
  };

  /** The transaction of this browser's cookie, once. What the form or the URL say does not count. */
  const redeemTransaction = (context: Context) => {
    const transaction = readTransactionCookie(context.req.header('Cookie'), { secure });
    if (transaction === undefined || !transactions.take(transaction, now())) return undefined;
    return transaction;
  };

  const openSession = (context: Context, session: Session) => {
    const id = randomId();
    sessions.set(id, session, now());
    setCookie(context, sessionCookie, id, {
      path: '/',
      httpOnly: true,
      sameSite: 'Lax',
      secure,
    });
  };

  const sessionOf = (context: Context) =>
    sessions.get(getCookie(context, sessionCookie) ?? '', now());

  /** Only a trusted device vouches enough for the person in front of it, where a rule lets it in: who monitors asks for nothing. */
  const vouchesFor = ({ deviceTrusted, reasonCode }: Session['decision']) =>
    deviceTrusted && reasonCode !== 'monitor_only';

  /** For whom a passkey may be added. */
  const trustedSession = (context: Context) => {
    const id = getCookie(context, sessionCookie) ?? '';
    const session = sessions.get(id, now());
    return session !== undefined && vouchesFor(session.decision)
      ? { id, userName: session.userName }
      : undefined;
  };
  const offersPasskey = (context: Context) =>
    trustedSession(context) !== undefined && canUsePasskeys(siteOf(context));

  const refuseWithError = (context: Context, error: CountersignError) => {
    parts.log(`refused ${error.message}`);
    const { code, userText: text, message: detail } = error;
    return context.html(errorPage({ siteTitle, code, text, detail }), 502);
  };

  const showDecision = (
    context: Context,
    userName: string,
    decision: Decision | FailOpenDecision,
    attestError?: string,
  ) => {
    const { decisionId = 'undecided', reasonCode } = decision;
    parts.log(`${decision.decision ? 'allowed' : 'denied'} ${reasonCode} ${decisionId}`);
    if (decision.decision) openSession(context, { userName, decision });
    const mayAdd = decision.decision && vouchesFor(decision) && canUsePasskeys(siteOf(context));
    const page = { siteTitle, userName, decision, attestError, offersPasskey: mayAdd };
    return context.html(resultPage(page), decision.decision ? 200 : 403);
  };

  const passkeys = new Passkeys(siteTitle);
  const common = { siteTitle, passkeys, now, log: parts.log, siteOf, isOwnForm, refuse };
  const stepUps = new StepUps({
    ...common,
    secure,
    countersign: parts.countersign,
    refuseWithError,
    showDecision,
  });

  app.use(
    bodyLimit({
      maxSize: maxFormBytes,
      onError: (context) => refuse(context, 413, 'form_too_large', 'The form is too large.'),
    }),
  );

  app.get('/', (context) => {
    const session = sessionOf(context);
    return session === undefined
      ? showForm(context)
      : context.html(resultPage({ siteTitle, ...session, offersPasskey: offersPasskey(context) }));
  });

  app.get('/sign-in', (context) => context.redirect('/', 303));

  app.post('/sign-in', async (context) => {
    if (!isOwnForm(context)) {
      return refuse(context, 403, 'origin_wrong', 'This form was sent by another site.');
    }
    const transaction = redeemTransaction(context);
    context.header('Set-Cookie', clearTransactionCookie({ secure }), { append: true });
    if (transaction === undefined) {
      // Somebody who is signed in has only reloaded the page that said so.
      if (sessionOf(context) !== undefined) return context.redirect('/', 303);
      const text = 'This sign-in page is too old or was used already. Start again.';
      return refuse(context, 400, 'transaction_missing', text);
    }
    const fields = Object.fromEntries(new URLSearchParams(await context.req.text()));
    const form = z.safeParse(signInForm, fields);
    if (!form.success) {
      return refuse(context, 400, 'form_malformed', 'The form is incomplete. Start again.');
    }
    const { username, password, evidence, attest_error: attestError } = form.data;
    const userName = await accounts.verifyPassword(username, password);
    if (userName === undefined) {
      parts.log('refused password_wrong');
      return showForm(context, username);
    }
    const input = {
      subject: userName,
      application,
      transaction,
      evidence,
      subjectAuthenticated: true,
    };
    try {
      const decision = await parts.countersign.evaluate(input);
      if (decision.decision || decision.stepUp === undefined) {
        return showDecision(context, userName, decision, attestError || undefined);
      }
      parts.log(`pending ${decision.reasonCode} ${decision.decisionId}`);
      return await stepUps.begin(context, input, decision);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      return refuseWithError(context, error);
    }
  });

  stepUps.addRoutes(app);
  addPasskeyRoutes(app, { ...common, trustedSession });

  app.post('/sign-out', (context) => {
    if (!isOwnForm(context)) {
      return refuse(context, 403, 'origin_wrong', 'This form was sent by another site.');
    }
    sessions.take(getCookie(context, sessionCookie) ?? '', now());
    setCookie(context, sessionCookie, '', { path: '/', httpOnly: true, secure, maxAge: 0 });
    return context.redirect('/', 303);
  });

  for (const [path, { type, text }] of Object.entries(parts.assets)) {
    app.get(path, (context) => context.body(text, 200, { 'Content-Type': type }));
  }

  app.notFound((context) => {
    const text = 'There is nothing at this address.';
    return context.html(errorPage({ siteTitle, code: 'not_found', text }), 404);
  });
  app.onError((error, context) => {
    parts.log(`failed ${error.stack ?? error.message}`);
    const text = 'This site has a problem. Try again in a minute.';
    return context.html(errorPage({ siteTitle, code: 'internal_error', text }), 500);
  });
  return app;
}

/** @param brokerUrls where the page's script asks for evidence */
function securityHeaders(brokerUrls: readonly string[]): [string, string][] {
  const contentSecurityPolicy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${brokerUrls.join(' ')}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');
  return [
    ['Content-Security-Policy', contentSecurityPolicy],
    ['Cache-Control', 'no-store'],
    ['Cross-Origin-Opener-Policy', 'same-origin'],
    // Tells other sites nothing. Not `no-referrer`: with that, browsers send `Origin: null` with this site's own forms.
    ['Referrer-Policy', 'same-origin'],
    ['X-Content-Type-Options', 'nosniff'],
  ];
}
