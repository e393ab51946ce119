/** Strict base64url without padding (RFC 4648 section 5, RFC 7515 section 2). */

/** ECMAScript 2026; younger than some of the browsers and servers that this runs on. */
type NativeOptions = { readonly alphabet: 'base64url'; readonly omitPadding?: boolean };
declare global {
  interface Uint8ArrayConstructor {
    fromBase64?(
      text: string,
      options: NativeOptions & { readonly lastChunkHandling: 'strict' },
    ): Uint8Array<ArrayBuffer>;
  }
  interface Uint8Array {
    toBase64?(options: NativeOptions): string;
  }
}

const canonicalText = /^[A-Za-z0-9_-]*$/;

/** Encodes bytes as base64url without padding. */
export function encodeBase64url(bytes: Uint8Array): string {
  if (bytes.toBase64 !== undefined) {
    return bytes.toBase64({ alphabet: 'base64url', omitPadding: true });
  }
  let binary = '';
  for (let start = 0; start < bytes.length; start += 8192) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * Decodes base64url. `undefined` for anything but the one canonical spelling: other alphabets, padding, white space
 * and non-zero trailing bits are refused, because a value that has two spellings defeats look-ups made by text.
 */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  const lastChunk = text.length % 4;
  if (lastChunk === 1 || !canonicalText.test(text)) return undefined;
  if (Uint8Array.fromBase64 === undefined) return decodeWithAtob(text);
  try {
    return Uint8Array.fromBase64(lastChunk === 0 ? text : text + '='.repeat(4 - lastChunk), {
      alphabet: 'base64url',
      lastChunkHandling: 'strict',
    });
  } catch {
    return undefined;
  }
}

function decodeWithAtob(text: string): Uint8Array<ArrayBuffer> | undefined {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return encodeBase64url(bytes) === text ? bytes : undefined;
}
