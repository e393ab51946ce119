import { isSecureWebOrigin } from '@countersign/protocol';
import { fail, type Result, succeed } from '../result.ts';

/**
 * A broker's URL in the one spelling that is compared and stored: scheme, host and port, no trailing slash. `https`
 * anywhere, `http` on loopback only.
 */
export function parseBrokerUrl(text: string): Result<string, 'broker_url_invalid'> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail('broker_url_invalid', 'is not a URL');
  }
  if (url.username !== '' || url.password !== '') {
    return fail('broker_url_invalid', 'must not hold a user or a password');
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || /[?#]/.test(text)) {
    return fail('broker_url_invalid', 'must not hold a path, a query or a fragment');
  }
  return isSecureWebOrigin(url.origin)
    ? succeed(url.origin)
    : fail('broker_url_invalid', 'must be https (http only for 127.0.0.1, [::1] and localhost)');
}
