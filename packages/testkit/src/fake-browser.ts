/** A browser without scripts: keeps cookies, sends `Origin` with forms. */
export function openFakeBrowser(site: { readonly url: string }) {
  const cookies = new Map<string, string>();

  const send = async (path: string, init: RequestInit = {}) => {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const headers = { ...(cookie === '' ? {} : { Cookie: cookie }), ...init.headers };
    const response = await fetch(site.url + path, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const [name = '', value = ''] = pair.split('=');
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return {
      status: response.status,
      headers: response.headers,
      ...readPage(await response.text()),
    };
  };

  return {
    cookies,
    get: (path: string) => send(path),
    post: (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
      send(path, {
        method: 'POST',
        headers: { Origin: site.url, ...headers },
        body: new URLSearchParams(fields),
      }),
  };
}
export type FakeBrowser = ReturnType<typeof openFakeBrowser>;

/** What the page says to tests, and the transaction that it hands to its script. */
function readPage(text: string) {
  const shown = new Map(
    [...text.matchAll(/data-testid="([^"]+)">([^<]*)</g)].map(([, name = '', value]) => [
      name,
      value,
    ]),
  );
  const read = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(text)?.[1] ?? '';
  return {
    text,
    outcome: shown.get('outcome'),
    reasonCode: shown.get('reason-code'),
    reasonText: shown.get('reason-text'),
    rule: shown.get('rule'),
    decisionId: shown.get('decision-id'),
    attestError: shown.get('attest-error'),
    transaction: read('data-transaction'),
  };
}
