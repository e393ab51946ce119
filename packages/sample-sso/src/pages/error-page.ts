import { html } from 'hono/html';
import { type Html, layout } from './layout.ts';

/** Nothing was decided: the form was not usable, or there was no decision to be had. */
export function errorPage(page: {
  readonly siteTitle: string;
  readonly code: string;
  readonly text: string;
  /** For administrators. */
  readonly detail?: string;
}): Html {
  const { siteTitle, code, text, detail } = page;
  return layout({
    siteTitle,
    pageTitle: 'Not signed in',
    outcome: 'error',
    content: html`<p><span class="badge" data-testid="outcome">error</span></p>
<h1>You are not signed in</h1>
<p class="lead" data-testid="reason-text">${text}</p>
<p><a class="button" href="/">Start again</a></p>
<dl><dt>Code</dt><dd><code data-testid="reason-code">${code}</code></dd></dl>
${
  detail === undefined
    ? ''
    : html`<details><summary>For administrators</summary><p data-testid="reason-admin">${detail}</p></details>`
}`,
  });
}
