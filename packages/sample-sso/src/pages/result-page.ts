import type { Decision, FailOpenDecision } from '@countersign/sso-sdk/server';
import { html } from 'hono/html';
import { type Html, layout, learnMore } from './layout.ts';

/** What the person sees of a decision: straight after the sign-in, and again as long as the session lives. */
export function resultPage(page: {
  readonly siteTitle: string;
  readonly userName: string;
  readonly decision: Decision | FailOpenDecision;
  /** Why the page could not even get a challenge, in its own words. */
  readonly attestError?: string | undefined;
  /** Whether this person may add a passkey here. */
  readonly offersPasskey?: boolean;
}): Html {
  const { siteTitle, userName, decision, attestError, offersPasskey = false } = page;
  const outcome = decision.deviceTrusted ? 'trusted' : 'not-trusted';
  return layout({
    siteTitle,
    pageTitle: decision.decision ? 'Signed in' : 'Not signed in',
    outcome,
    content: html`<p><span class="badge" data-testid="outcome">${outcome}</span></p>
<h1>${headline(decision)}</h1>
<p class="lead" data-testid="reason-text">${decision.reasonUser}</p>
${
  decision.decision
    ? html`<p>You are signed in as <strong data-testid="user">${userName}</strong>.</p>
${offersPasskey ? html`<p><a href="/passkey" data-testid="add-passkey">Add a passkey</a></p>` : ''}
<form method="post" action="/sign-out"><button type="submit" class="quiet">Sign out</button></form>`
    : html`<p>Your password is right, but you are not signed in.</p>
${learnMore(decision.learnMoreUrl)}
<p><a class="button" href="/">Try again</a></p>`
}
<dl>
<dt>Code</dt><dd><code data-testid="reason-code">${decision.reasonCode}</code></dd>
${
  decision.policy === undefined
    ? html`<dt>Reported as</dt><dd><code data-testid="report-id">${decision.failOpen.reportId}</code></dd>`
    : html`<dt>Policy rule</dt><dd><code data-testid="rule">${decision.policy.rule}</code> <span class="small">version ${decision.policy.version}</span></dd>
<dt>Decision</dt><dd><code data-testid="decision-id">${decision.decisionId}</code></dd>`
}
${attestError === undefined ? '' : html`<dt>Reported by the page</dt><dd><code data-testid="attest-error">${attestError}</code></dd>`}
</dl>
<details>
<summary>For administrators</summary>
<p data-testid="reason-admin">${decision.reasonAdmin}</p>
<p class="small">Shown here because this is a sample. A real site writes it to its log, with the request id <code>${decision.requestId}</code>.</p>
</details>`,
  });
}

function headline(decision: Decision | FailOpenDecision): string {
  if (decision.failOpen !== undefined) return 'This device could not be checked';
  if (decision.deviceTrusted) {
    return decision.decision
      ? 'This device is trusted'
      : 'This device is known, but may not sign in';
  }
  return decision.decision
    ? 'This device is not trusted, but may sign in for now'
    : 'This device is not trusted';
}
