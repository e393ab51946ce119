import { type KeyObject, verify } from 'node:crypto';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { parseFields } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';
import { fail, type Result, succeed } from '../result.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

/** A JWS in compact form (RFC 7515 section 7.1), taken apart. Its signature has not been looked at. */
export type UnverifiedJws<Header> = {
  readonly header: Header;
  /** What the signature is over: the first two parts as they were sent. */
  readonly signingInput: Uint8Array;
  readonly unverifiedPayload: Uint8Array;
  readonly signature: Uint8Array;
};

/** r and s of 32 bytes each (RFC 7518 section 3.4). */
const es256SignatureBytes = 64;

/**
 * Takes a compact JWS apart. Only canonical base64url passes, and only a header that `headerSchema`, a strict object,
 * allows: a header is what the other side may use to talk a verifier into another algorithm or another key.
 */
export function parseCompactJws<Schema extends z.core.$ZodType>(
  unverifiedText: string,
  headerSchema: Schema,
): Result<UnverifiedJws<z.core.output<Schema>>, 'jws_malformed'> {
  const parts = unverifiedText.split('.');
  const [headerBytes, payload, signature] = parts.map(decodeBase64url);
  if (parts.length !== 3 || !headerBytes || !payload || !signature) {
    return fail('jws_malformed', 'is not three parts of canonical base64url');
  }
  const headerJson = parseStrictJsonBytes(headerBytes);
  if (!headerJson.ok) return fail('jws_malformed', `header ${headerJson.detail}`);
  const header = parseFields(headerSchema, headerJson.value);
  if (!header.ok) return fail('jws_malformed', `header.${header.field} ${header.detail}`);
  if (signature.length !== es256SignatureBytes) {
    return fail('jws_malformed', `signature must be ${es256SignatureBytes} bytes`);
  }
  return succeed({
    header: header.value,
    signingInput: Buffer.from(unverifiedText.slice(0, unverifiedText.lastIndexOf('.'))),
    unverifiedPayload: payload,
    signature,
  });
}

/** ES256 (RFC 7518 section 3.4). The caller chose the key; nothing in the header did. */
export function verifyEs256(jws: UnverifiedJws<unknown>, publicKey: KeyObject): boolean {
  return verify(
    'sha256',
    jws.signingInput,
    { key: publicKey, dsaEncoding: 'ieee-p1363' },
    jws.signature,
  );
}

/** The bytes to sign for a header and claims: `base64url(header).base64url(claims)`. */
export function encodeSigningInput(header: object, claims: object): string {
  return `${encodeJson(header)}.${encodeJson(claims)}`;
}

function encodeJson(value: object): string {
  return encodeBase64url(Buffer.from(JSON.stringify(value)));
}
