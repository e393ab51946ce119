import { html } from 'hono/html';
import { type Html, layout } from './layout.ts';

/** Adds a passkey to the account of the person who is signed in. */
export function addPasskeyPage(page: {
  readonly siteTitle: string;
  readonly userName: string;
  /** For `navigator.credentials.create()`. */
  readonly options: object;
}): Html {
  const { siteTitle, userName, options } = page;
  return layout({
    siteTitle,
    pageTitle: 'Add a passkey',
    withScript: '/passkey.js',
    content: html`<h1>Add a passkey</h1>
<p>It lets <strong data-testid="user">${userName}</strong> take the extra step where the policy asks for one.</p>
<form method="post" action="/passkey" data-passkey-action="register" data-passkey-options="${JSON.stringify(options)}">
<input type="hidden" name="credential">
<button type="submit">Add a passkey</button>
<p class="status" role="status"></p>
</form>
<p><a href="/">Not now</a></p>`,
  });
}
