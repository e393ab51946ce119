import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { integrationId } from '@countersign/protocol/integration-id';
import {
  base64urlBetween,
  numericDate,
  parseFields,
  sha256Text,
} from '@countersign/protocol/schemas';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';
import * as z from 'zod/mini';

/**
 * What the broker has to know again in the second step of an attestation. It is kept by the device, encrypted under the
 * key that seals the broker's stored secrets: nothing is stored for whoever does not come back. A compact JWE (RFC 7516)
 * with direct encryption and one possible header, whose `typ` keeps it apart from all else under that key.
 */
const claims = z.strictObject({
  integration_id: integrationId,
  device_id: z.string().check(z.minLength(1), z.maxLength(128)),
  /** Of the SubjectPublicKeyInfo. */
  endorsement_key_sha256: sha256Text,
  /** TPMT_PUBLIC. */
  attestation_public: base64urlBetween(1, 1024),
  /** Of what only the TPM can make of the credential. */
  secret_sha256: sha256Text,
  exp: numericDate,
});
export type AttestationClaims = z.infer<typeof claims>;

export const attestationTtlSeconds = 300;

const encoder = new TextEncoder();
const ivBytes = 12;
const tagBytes = 16;
const encodedHeader = encodeBase64url(
  encoder.encode('{"alg":"dir","enc":"A256GCM","typ":"tpm-attestation+jwt"}'),
);

/** @param key AES-256-GCM */
export async function sealAttestation(key: CryptoKey, value: AttestationClaims): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
  const additionalData = encoder.encode(encodedHeader);
  const sealed = new Uint8Array(
    await crypto.subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData },
      key,
      encoder.encode(JSON.stringify(value)),
    ),
  );
  const split = sealed.length - tagBytes;
  const parts = [iv, sealed.slice(0, split), sealed.slice(split)].map(encodeBase64url);
  return [encodedHeader, '', ...parts].join('.');
}

/** The claims of a token that this broker made, expired or not; `undefined` for anything else. */
export async function openAttestation(
  key: CryptoKey,
  token: string,
): Promise<AttestationClaims | undefined> {
  const [header, encryptedKey, ...rest] = token.split('.');
  const [iv, ciphertext, tag, more] = rest.map(decodeBase64url);
  if (header !== encodedHeader || encryptedKey !== '' || rest.length !== 3) return undefined;
  if (iv?.length !== ivBytes || ciphertext === undefined || more !== undefined) return undefined;
  if (tag?.length !== tagBytes) return undefined;
  const sealed = new Uint8Array(ciphertext.length + tagBytes);
  sealed.set(ciphertext);
  sealed.set(tag, ciphertext.length);
  try {
    const additionalData = encoder.encode(encodedHeader);
    const opened = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv, additionalData },
      key,
      sealed,
    );
    const json = parseStrictJsonBytes(new Uint8Array(opened));
    const parsed = json.ok ? parseFields(claims, json.value) : json;
    return parsed.ok ? parsed.value : undefined;
  } catch {
    return undefined;
  }
}
