import type { PendingDecision } from '@countersign/sso-sdk/server';
import { html } from 'hono/html';
import { type Html, layout, learnMore } from './layout.ts';

/** The sign-in waits for a passkey. Without `options` this person has none. */
export function stepUpPage(page: {
  readonly siteTitle: string;
  readonly userName: string;
  readonly decision: PendingDecision;
  /** For `navigator.credentials.get()`. */
  readonly options?: object | undefined;
  readonly hasFailed: boolean;
}): Html {
  const { siteTitle, userName, decision, options, hasFailed } = page;
  return layout({
    siteTitle,
    pageTitle: 'One more step',
    outcome: 'step-up',
    withScript: options === undefined ? undefined : '/passkey.js',
    content: html`<p><span class="badge" data-testid="outcome">step-up</span></p>
<h1>One more step</h1>
<p class="lead" data-testid="reason-text">${decision.reasonUser}</p>
${learnMore(decision.learnMoreUrl)}
${hasFailed ? html`<p class="notice" role="alert" data-testid="step-up-error">That passkey was not accepted. Try again.</p>` : ''}
${
  options === undefined
    ? html`<p data-testid="no-passkey">There is no passkey of <strong>${userName}</strong> for this site yet. Sign in from your managed device and add one there.</p>
<p><a class="button" href="/">Start again</a></p>`
    : html`<p>Use the passkey of <strong data-testid="user">${userName}</strong>.</p>
<form method="post" action="/step-up" data-passkey-options="${JSON.stringify(options)}">
<input type="hidden" name="credential">
<button type="submit">Use a passkey</button>
<p class="status" role="status"></p>
</form>`
}
<dl>
<dt>Code</dt><dd><code data-testid="reason-code">${decision.reasonCode}</code></dd>
<dt>Policy rule</dt><dd><code data-testid="rule">${decision.policy.rule}</code> <span class="small">version ${decision.policy.version}</span></dd>
<dt>Decision</dt><dd><code data-testid="decision-id">${decision.decisionId}</code> <span class="small">pending</span></dd>
</dl>
<details>
<summary>For administrators</summary>
<p data-testid="reason-admin">${decision.reasonAdmin}</p>
</details>`,
  });
}
