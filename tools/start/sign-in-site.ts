import { StepError } from './report.ts';

/** The sample site as a browser without scripts sees it: pages, a cookie, a form. */

export type SignInPage = {
  readonly transaction: string;
  readonly clientId: string;
  /** Of this browser, as it sends them back. */
  readonly cookies: string;
};

export type SignInOutcome = {
  readonly status: number;
  /** `trusted`, `not-trusted` or `error`. */
  readonly outcome: string;
  readonly reasonCode: string;
  readonly reasonText: string;
  readonly rule: string;
  readonly decisionId: string;
};

const entities: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

function unescapeHtml(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? entity);
}

/** `GET /`: the form with the transaction, and the cookie that ties it to this browser. */
export async function openSignInPage(siteUrl: string): Promise<SignInPage> {
  const response = await fetch(`${siteUrl}/`);
  const html = await response.text();
  const attribute = (name: string) => new RegExp(` ${name}="([^"]*)"`).exec(html)?.[1] ?? '';
  const cookies = response.headers.getSetCookie().map((line) => line.split(';')[0] ?? '');
  const page = {
    transaction: unescapeHtml(attribute('data-transaction')),
    clientId: unescapeHtml(attribute('data-client-id')),
    cookies: cookies.join('; '),
  };
  if (response.ok && page.transaction !== '' && page.clientId !== '' && page.cookies !== '') {
    return page;
  }
  throw new StepError(
    `sign-in page: ${siteUrl}/ answered ${response.status} without a form`,
    'Is another program answering on this port? Choose another with --sample-port.',
  );
}

/** Posts the form as the page's script would, and reads what the site says about it. */
export async function submitSignIn(
  siteUrl: string,
  page: SignInPage,
  fields: Readonly<Record<'username' | 'password' | 'evidence', string>>,
): Promise<SignInOutcome> {
  const response = await fetch(`${siteUrl}/sign-in`, {
    method: 'POST',
    headers: { Cookie: page.cookies, Origin: siteUrl },
    body: new URLSearchParams(fields),
    redirect: 'manual',
  });
  const html = await response.text();
  const shown = (name: string) =>
    unescapeHtml(new RegExp(`data-testid="${name}">([^<]*)<`).exec(html)?.[1] ?? '');
  return {
    status: response.status,
    outcome: shown('outcome'),
    reasonCode: shown('reason-code'),
    reasonText: shown('reason-text'),
    rule: shown('rule'),
    decisionId: shown('decision-id'),
  };
}
