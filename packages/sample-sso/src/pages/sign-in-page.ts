import { html } from 'hono/html';
import { demoPassword, demoUserNames } from '../demo-accounts.ts';
import { type Html, layout } from './layout.ts';

/** The sign-in form. `wrongPasswordOf` is set when the person has just tried that name. */
export function signInPage(page: {
  readonly siteTitle: string;
  readonly brokerUrl: string;
  readonly clientId: string;
  readonly transaction: string;
  readonly wrongPasswordOf?: string;
}): Html {
  const { siteTitle, brokerUrl, clientId, transaction, wrongPasswordOf } = page;
  const isWrong = wrongPasswordOf !== undefined;
  return layout({
    siteTitle,
    pageTitle: 'Sign in',
    withScript: '/sign-in.js',
    outcome: isWrong ? 'error' : undefined,
    content: html`<h1>Sign in</h1>
${
  isWrong
    ? html`<div class="notice" role="alert">
<p data-testid="reason-text">The user name or the password is wrong.</p>
<p class="small"><span class="badge" data-testid="outcome">error</span> <code data-testid="reason-code">password_wrong</code></p>
</div>`
    : ''
}
<form method="post" action="/sign-in" data-broker-url="${brokerUrl}" data-client-id="${clientId}" data-transaction="${transaction}">
<label for="username">User name</label>
<input id="username" name="username" value="${wrongPasswordOf ?? ''}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required ${isWrong ? '' : 'autofocus'}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required ${isWrong ? 'autofocus' : ''}>
<input type="hidden" name="evidence">
<input type="hidden" name="attest_error">
<button type="submit">Sign in</button>
<p class="status" role="status"></p>
</form>
<aside>
<h2>Demo accounts</h2>
<p>User ${demoUserNames.map((name, index) => html`${index === 0 ? '' : ' or '}<code>${name}</code>`)}, password <code>${demoPassword}</code>. The first person who signs in from a device owns its certificate.</p>
</aside>`,
  });
}
