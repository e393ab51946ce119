import { decodeBase64url, encodeBase64url } from '@countersign/protocol';

const transactionBytes = 32;
const defaultMaxAgeSeconds = 600;

/**
 * Makes the value that ties the page, its evidence and the decision to one sign-in attempt. Make a new one for every
 * attempt, put it into the page and into the cookie below, and forget it when the form comes back: take it from the
 * cookie alone, never from the form or the URL, or an attacker could have another person's browser answer for a sign-in
 * that the attacker began.
 */
export function createTransaction(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(transactionBytes)));
}

/**
 * `__Host-` (RFC 6265bis) keeps other hosts of the same domain from planting the cookie. Browsers accept that prefix
 * over https only; `secure` is false for plain http on localhost and nothing else.
 */
export function transactionCookieName(secure: boolean): string {
  return secure ? '__Host-countersign-transaction' : 'countersign-transaction';
}

/** Value of the `Set-Cookie` header that goes out with the sign-in page. */
export function serializeTransactionCookie(
  transaction: string,
  options: { readonly secure: boolean; readonly maxAgeSeconds?: number },
): string {
  const { secure, maxAgeSeconds = defaultMaxAgeSeconds } = options;
  return [
    `${transactionCookieName(secure)}=${transaction}`,
    'Path=/',
    `Max-Age=${maxAgeSeconds}`,
    'HttpOnly',
    'SameSite=Lax',
    ...(secure ? ['Secure'] : []),
  ].join('; ');
}

/** Value of the `Set-Cookie` header that removes the cookie, for the answer to the form. */
export function clearTransactionCookie(options: { readonly secure: boolean }): string {
  return serializeTransactionCookie('', { ...options, maxAgeSeconds: 0 });
}

/**
 * The transaction from a request's `Cookie` header; `undefined` when it is missing, not of the form that
 * `createTransaction()` gives, or there twice, which a browser does only when somebody planted the second.
 */
export function readTransactionCookie(
  cookieHeader: string | null | undefined,
  options: { readonly secure: boolean },
): string | undefined {
  const prefix = `${transactionCookieName(options.secure)}=`;
  const values = (cookieHeader ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(prefix))
    .map((pair) => pair.slice(prefix.length));
  const [value] = values;
  if (value === undefined || values.length > 1) return undefined;
  return decodeBase64url(value)?.length === transactionBytes ? value : undefined;
}
