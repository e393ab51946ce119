import { decodeBase64url } from '@countersign/protocol';

/** What a private key of the broker is for. */
export type KeyUse = 'sign-p256' | 'derive-p256' | 'mac' | 'seal';

export type ImportKeyResult =
  | { readonly ok: true; readonly key: CryptoKey }
  | { readonly ok: false; readonly detail: string };

const usages = {
  'sign-p256': ['sign'],
  'derive-p256': ['deriveBits'],
  mac: ['sign'],
  seal: ['encrypt', 'decrypt'],
} as const satisfies Record<KeyUse, readonly string[]>;
const algorithmNames = {
  'sign-p256': 'ECDSA',
  'derive-p256': 'ECDH',
  mac: 'HMAC',
  seal: 'AES-GCM',
} as const;
const descriptions = {
  'sign-p256': 'a private ECDSA key on P-256',
  'derive-p256': 'a private ECDH key on P-256',
  mac: 'an HMAC key with SHA-256',
  seal: 'an AES-GCM key of 256 bits',
} as const;

function fits(key: CryptoKey, use: KeyUse): boolean {
  const { algorithm } = key;
  if (algorithm.name !== algorithmNames[use]) return false;
  if (!usages[use].every((usage) => key.usages.includes(usage))) return false;
  if (use === 'seal') return 'length' in algorithm && algorithm.length === 256;
  if (use !== 'mac') return 'namedCurve' in algorithm && algorithm.namedCurve === 'P-256';
  if (!('hash' in algorithm)) return false;
  const { hash } = algorithm;
  return (typeof hash === 'string' ? hash : hash?.name) === 'SHA-256';
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/**
 * Takes a key as the platform hands it over: a `CryptoKey` binding as it is, or a secret's text, which becomes a
 * non-extractable key.
 *
 * @param raw `CryptoKey`; or base64 of PKCS#8 DER (`sign-p256`, `derive-p256`); or base64url of 32 bytes (`mac`, `seal`)
 */
export async function importSecretKey(raw: unknown, use: KeyUse): Promise<ImportKeyResult> {
  if (raw === undefined || raw === '') return { ok: false, detail: 'is missing' };
  if (raw instanceof CryptoKey) {
    if (raw.extractable) return { ok: false, detail: 'must not be extractable' };
    return fits(raw, use)
      ? { ok: true, key: raw }
      : { ok: false, detail: `must be ${descriptions[use]} that may ${usages[use].join(' and ')}` };
  }
  if (typeof raw !== 'string') return { ok: false, detail: 'must be a key or its text' };
  try {
    if (use === 'mac' || use === 'seal') {
      const bytes = decodeBase64url(raw.trim());
      if (bytes?.length !== 32) return { ok: false, detail: 'must be base64url of 32 bytes' };
      const algorithm = { name: algorithmNames[use], hash: 'SHA-256' };
      const key = await crypto.subtle.importKey('raw', bytes, algorithm, false, [...usages[use]]);
      return { ok: true, key };
    }
    const pkcs8 = decodeBase64(raw);
    if (pkcs8 === undefined) return { ok: false, detail: 'must be base64 of PKCS#8 DER' };
    const algorithm = { name: algorithmNames[use], namedCurve: 'P-256' };
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, [...usages[use]]);
    return { ok: true, key };
  } catch {
    return { ok: false, detail: 'must be a PKCS#8 private key on P-256' };
  }
}
