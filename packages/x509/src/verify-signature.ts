import type { Bytes } from './bytes.ts';
import { type EcCurve, ecdsaSignatureFromRaw, ecdsaSignatureToRaw } from './ecdsa-signature.ts';
import { expectValue, fail, succeed, X509Error, type X509Result } from './result.ts';
import { hashOf, type SignatureAlgorithm } from './signature-algorithm.ts';
import { importVerifyKey, type KeyKind, type SubjectPublicKey } from './subject-public-key.ts';

/** A statement that is signed in the way of X.509: certificate and request alike. */
export interface SignedStatement {
  readonly toBeSigned: Bytes;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** Content of the BIT STRING: ECDSA-Sig-Value in DER, or the RSA signature. */
  readonly signature: Bytes;
}

/** Verifies with the key; succeeds with the same key, now known to have signed the statement. */
export async function verifySignature(
  statement: SignedStatement,
  key: SubjectPublicKey,
): Promise<X509Result<SubjectPublicKey>> {
  const { signatureAlgorithm, signature, toBeSigned } = statement;
  const verifyKey = await importVerifyKey(key, signatureAlgorithm);
  if (!verifyKey.ok) return verifyKey;
  const raw = rawSignature(signature, key);
  if (!raw.ok) return raw;
  const parameters =
    key.kind === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5' }
      : { name: 'ECDSA', hash: hashOf(signatureAlgorithm) };
  const valid = await crypto.subtle.verify(parameters, verifyKey.value, raw.value, toBeSigned);
  return valid ? succeed(key) : fail('signature_invalid', 'signature is not of this key');
}

function rawSignature(signature: Bytes, key: SubjectPublicKey): X509Result<Bytes> {
  if (key.kind !== 'rsa') return ecdsaSignatureToRaw(signature, curveOf(key.kind));
  return signature.length === key.signatureBytes
    ? succeed(signature)
    : fail('malformed_signature', 'RSA signature: length is not that of the modulus');
}

/**
 * What goes into the BIT STRING for a signature of this key as WebCrypto and PKCS#11 give it: ECDSA
 * r and s side by side become ECDSA-Sig-Value, RSA stays. Throws `X509Error`.
 */
export function encodeSignatureValue(raw: Uint8Array, key: SubjectPublicKey): Uint8Array {
  if (key.kind !== 'rsa') return expectValue(ecdsaSignatureFromRaw(raw, curveOf(key.kind)));
  if (raw.length !== key.signatureBytes) {
    throw new X509Error('malformed_signature', 'RSA signature: length is not that of the modulus');
  }
  return raw;
}

function curveOf(kind: Exclude<KeyKind, 'rsa'>): EcCurve {
  return kind === 'ec-p256' ? 'P-256' : 'P-384';
}
