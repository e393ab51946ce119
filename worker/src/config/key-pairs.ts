import type { P256PublicJwk } from '../token/token-key.ts';

/** A wrong pairing of halves would only show as refused sign-ins; these checks find it at start. */

const signing = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const agreement = { name: 'ECDH', namedCurve: 'P-256' };

/** The public half of a signing key; `undefined` when the coordinates are not those of a point on the curve. */
export async function importSigningHalf(jwk: P256PublicJwk): Promise<CryptoKey | undefined> {
  try {
    return await crypto.subtle.importKey('jwk', jwk, signing, true, ['verify']);
  } catch {
    return undefined;
  }
}

/** Does `publicKey` verify what `privateKey` signs? Both ECDSA on P-256. */
export async function isSigningPair(publicKey: CryptoKey, privateKey: CryptoKey): Promise<boolean> {
  const probe = new TextEncoder().encode('countersign key pair check');
  const signature = await crypto.subtle.sign(signing, privateKey, probe);
  return await crypto.subtle.verify(signing, publicKey, signature, probe);
}

/** Do both halves agree on the same secret with a third key? Both ECDH on P-256. */
export async function isAgreementPair(
  publicJwk: P256PublicJwk,
  privateKey: CryptoKey,
): Promise<boolean> {
  const probe = await crypto.subtle.generateKey(agreement, false, ['deriveBits']);
  if (!('privateKey' in probe)) return false;
  try {
    const publicKey = await crypto.subtle.importKey('jwk', publicJwk, agreement, false, []);
    const ours = new Uint8Array(await deriveSecret(privateKey, probe.publicKey));
    const theirs = new Uint8Array(await deriveSecret(probe.privateKey, publicKey));
    return ours.length === 32 && ours.every((byte, index) => byte === theirs[index]);
  } catch {
    return false;
  }
}

function deriveSecret(privateKey: CryptoKey, publicKey: CryptoKey): Promise<ArrayBuffer> {
  // workers-types spells this member `$public`; the runtime takes WebCrypto's `public`.
  const algorithm = { name: 'ECDH', public: publicKey } as SubtleCryptoDeriveKeyAlgorithm;
  return crypto.subtle.deriveBits(algorithm, privateKey, 256);
}
