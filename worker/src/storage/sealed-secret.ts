import { decodeBase64url, encodeBase64url } from '@countersign/protocol';

/**
 * Secrets that the broker must be able to read again, such as the password of a management's API, encrypted by a key
 * that is not in its storage (AES-256-GCM, NIST SP 800-38D): who has the database alone has none of them.
 */

const ivBytes = 12;
const version = 'v1';

/**
 * @param context what the secret is and of whom, e.g. `integration-credentials/int_…`; a text that was sealed for one
 *   context opens in no other
 * @returns `v1.` and base64url of a random IV and the ciphertext with its tag
 */
export async function sealSecret(key: CryptoKey, context: string, secret: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(context) },
    key,
    new TextEncoder().encode(secret),
  );
  const bytes = new Uint8Array(ivBytes + sealed.byteLength);
  bytes.set(iv);
  bytes.set(new Uint8Array(sealed), ivBytes);
  return `${version}.${encodeBase64url(bytes)}`;
}

/** @returns `undefined` for what was not sealed for this context with this key */
export async function openSecret(
  key: CryptoKey,
  context: string,
  sealed: string,
): Promise<string | undefined> {
  const [form, text = '', ...rest] = sealed.split('.');
  const bytes = form === version && rest.length === 0 ? decodeBase64url(text) : undefined;
  if (bytes === undefined || bytes.length < ivBytes) return undefined;
  try {
    const secret = await crypto.subtle.decrypt(
      {
        name: 'AES-GCM',
        iv: bytes.slice(0, ivBytes),
        additionalData: new TextEncoder().encode(context),
      },
      key,
      bytes.slice(ivBytes),
    );
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(secret);
  } catch {
    return undefined;
  }
}

/** The context of an integration's `integrationCredentials`, as JSON text. */
export const credentialsContext = (integrationId: string) =>
  `integration-credentials/${integrationId}`;
