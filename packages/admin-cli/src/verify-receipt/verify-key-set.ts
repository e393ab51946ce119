import { createPublicKey } from 'node:crypto';
import { type KeySetClaims, keySetClaims, keySetTyp } from '@countersign/protocol/key-set';
import { parseFields } from '@countersign/protocol/schemas';
import { type ParsedCertificate, parseCertificate, verifyIssuedBy } from '@countersign/x509';
import { calculateJwkThumbprint } from 'jose';
import * as z from 'zod/mini';
import { isSignedBy, openJws } from './open-jws.ts';
import { type Refused, refuse } from './receipt-failure.ts';

/** Exactly these members. The signer's certificate travels along; what makes it trusted is the root. */
const keySetHeader = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(keySetTyp),
  x5c: z.tuple([z.string().check(z.minLength(1), z.maxLength(8192))]),
});

export type VerifiedKeySet = { readonly ok: true; readonly claims: KeySetClaims };

/**
 * Verifies the key set beside a receipt: form, its signer's certificate under the pinned root and for this purpose
 * alone, as of `atMs`, then signature, claims, and that every key is named by its own thumbprint.
 *
 * @param atMs when the receipt says that it was signed: a signer that has ended since was right then
 */
export async function verifyKeySet(
  unverifiedKeySet: string,
  root: ParsedCertificate,
  atMs: number,
): Promise<VerifiedKeySet | Refused> {
  const jws = openJws(unverifiedKeySet);
  if (jws === undefined) return refuse('key_set_malformed', 'it is no compact JWS');
  const header = parseFields(keySetHeader, jws.unverifiedHeader);
  if (!header.ok) return refuse('key_set_malformed', `header.${header.field} ${header.detail}`);
  const [base64] = header.value.x5c;
  const der = Buffer.from(base64, 'base64');
  if (der.toString('base64') !== base64) return refuse('key_set_malformed', 'x5c is not base64');
  const parsed = parseCertificate(new Uint8Array(der));
  if (!parsed.ok) return refuse('key_set_malformed', `its signer: ${parsed.detail}`);
  const signer = await verifyIssuedBy(parsed.value, root, 'key-set-signer', atMs);
  if (!signer.ok) {
    const isLate = signer.reason === 'expired' || signer.reason === 'not_yet_valid';
    const failure = isLate ? 'key_set_signer_not_valid_then' : 'key_set_signer_untrusted';
    return refuse(failure, signer.detail);
  }
  const { spki } = signer.value.subjectPublicKey;
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  if (!(await isSignedBy(jws, key))) {
    return refuse('key_set_signature_invalid', 'it is not signed by its signer');
  }
  const claims = parseFields(keySetClaims, jws.unverifiedPayload);
  if (!claims.ok) return refuse('key_set_malformed', `${claims.field} ${claims.detail}`);
  for (const jwk of claims.value.audit_keys ?? []) {
    if ((await calculateJwkThumbprint(jwk)) !== jwk.kid) {
      return refuse('key_set_malformed', `${jwk.kid} is not the thumbprint of its key`);
    }
  }
  return { ok: true, claims: claims.value };
}
