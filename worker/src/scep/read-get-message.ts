/**
 * The message of a `PKIOperation` by GET (RFC 8894 section 4.1): base64 in the parameter `message`. Some clients escape
 * all of it, others `=` alone, so that a plus sign is one and not a space.
 *
 * @param search the address from its question mark on
 */
export function readGetMessage(
  search: string,
  maxBytes: number,
):
  | { readonly ok: true; readonly bytes: Uint8Array }
  | {
      readonly ok: false;
      readonly code: 'scep_operation_unknown' | 'scep_message_malformed' | 'body_too_large';
    } {
  const raw = /[?&]message=([^&#]*)/.exec(search)?.[1];
  if (raw === undefined) return { ok: false, code: 'scep_operation_unknown' };
  // Escaped, each character of base64 is three.
  if (raw.length > 4 * maxBytes + 12) return { ok: false, code: 'body_too_large' };
  const text = raw
    .replace(/%([0-9A-Fa-f]{2})/g, (_, octet: string) =>
      String.fromCharCode(Number.parseInt(octet, 16)),
    )
    .replace(/[\r\n]/g, '')
    .replaceAll(' ', '+');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return { ok: false, code: 'scep_message_malformed' };
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return bytes.length > maxBytes ? { ok: false, code: 'body_too_large' } : { ok: true, bytes };
  } catch {
    return { ok: false, code: 'scep_message_malformed' };
  }
}
