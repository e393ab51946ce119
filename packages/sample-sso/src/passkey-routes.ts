import type { Context, Hono } from 'hono';
import { ExpiringMap } from './expiring-map.ts';
import { addPasskeyPage } from './pages/add-passkey-page.ts';
import { canUsePasskeys, type Passkeys, type Site } from './passkeys.ts';

const minutes = 60_000;

export type PasskeyParts = {
  readonly siteTitle: string;
  readonly passkeys: Passkeys;
  readonly now: () => number;
  readonly log: (line: string) => void;
  readonly siteOf: (context: Context) => Site;
  readonly isOwnForm: (context: Context) => boolean;
  readonly refuse: (
    context: Context,
    status: 400 | 403,
    code: string,
    text: string,
  ) => Response | Promise<Response>;
  /** The session of a person whose device was trusted when they signed in. */
  readonly trustedSession: (context: Context) => { id: string; userName: string } | undefined;
};

/**
 * Lets people who signed in from a trusted device add a passkey. Nobody else: a passkey that a stranger may add in a
 * stolen session is no second factor.
 */
export function addPasskeyRoutes(app: Hono, parts: PasskeyParts): void {
  const { siteTitle, passkeys, now, siteOf } = parts;
  const challenges = new ExpiringMap<string>({ ttlMs: 10 * minutes, maxEntries: 10_000 });

  app.get('/passkey', async (context) => {
    const session = parts.trustedSession(context);
    if (session === undefined) return context.redirect('/', 303);
    const site = siteOf(context);
    if (!canUsePasskeys(site)) {
      const text = 'Passkeys need a host name. Open this site as localhost, not by its number.';
      return await parts.refuse(context, 400, 'host_name_needed', text);
    }
    const options = await passkeys.registrationOptions(session.userName, site);
    challenges.set(session.id, options.challenge, now());
    return context.html(addPasskeyPage({ siteTitle, userName: session.userName, options }));
  });

  app.post('/passkey', async (context) => {
    if (!parts.isOwnForm(context)) {
      const text = 'This form was sent by another site.';
      return await parts.refuse(context, 403, 'origin_wrong', text);
    }
    const session = parts.trustedSession(context);
    const challenge = session && challenges.take(session.id, now());
    if (session === undefined || challenge === undefined) return context.redirect('/', 303);
    const form = new URLSearchParams(await context.req.text());
    const credential = form.get('credential') ?? '';
    const site = siteOf(context);
    if (!(await passkeys.register(session.userName, credential, challenge, site))) {
      parts.log('refused passkey_malformed');
      const text = 'That passkey could not be added. Try again.';
      return await parts.refuse(context, 400, 'passkey_malformed', text);
    }
    parts.log('passkey added');
    return context.redirect('/', 303);
  });
}
