import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** The organization's own page about it, where it has one. Nothing of this sign-in goes along. */
export const learnMore = (url: string | undefined) =>
  url === undefined
    ? ''
    : html`<p><a href="${url}" rel="noopener noreferrer" target="_blank" data-testid="learn-more">Learn more</a></p>`;

/** The frame that every page shares. `outcome` colours it. */
export function layout(page: {
  readonly siteTitle: string;
  readonly pageTitle: string;
  readonly outcome?: 'trusted' | 'not-trusted' | 'step-up' | 'error' | undefined;
  /** Address of the page's script. */
  readonly withScript?: '/sign-in.js' | '/passkey.js' | undefined;
  readonly content: Html;
}): Html {
  const { siteTitle, pageTitle, outcome = 'none', withScript, content } = page;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${pageTitle} · ${siteTitle}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/styles.css">
${withScript === undefined ? '' : html`<script src="${withScript}" defer></script>`}
</head>
<body data-outcome="${outcome}">
<header><img src="/icon.svg" alt="" width="28" height="28"><span>${siteTitle}</span></header>
<main>
${content}
</main>
<footer>A sample site. It lets people in from managed devices only.</footer>
</body>
</html>`;
}
