/**
 * Origins as browsers write them (RFC 6454 section 6.2). `https` anywhere; `http` on loopback only, which browsers
 * treat as a secure context too (W3C Secure Contexts, "potentially trustworthy").
 */
const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]']);

/** True when `text` is exactly the serialization of a secure web origin: no path, no default port, lower case. */
export function isSecureWebOrigin(text: string): boolean {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return false;
  }
  if (url.origin !== text) return false;
  // A host name may hold an asterisk, and what is written as an origin here ends up in browsers' match patterns.
  if (url.hostname.includes('*')) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopbackHosts.has(url.hostname));
}
