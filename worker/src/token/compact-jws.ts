import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';

/**
 * Compact JWS (RFC 7515 section 7.1) for the few forms that the broker makes and takes. Which algorithm and which key
 * may verify a token follows from where it is used, never from the token: a header is compared, not obeyed.
 */

export type JwsAlgorithm = 'ES256' | 'ES384' | 'RS256';

/** A token taken apart. Nothing in it has been verified. */
export type UnverifiedJws = {
  readonly unverifiedHeader: Readonly<Record<string, unknown>>;
  readonly unverifiedPayload: Readonly<Record<string, unknown>>;
  readonly signingInput: Uint8Array;
  readonly signature: Uint8Array<ArrayBuffer>;
};

const encoder = new TextEncoder();

/** WebCrypto's parameters for a JWS algorithm (RFC 7518 section 3.1). */
export function signatureParameters(algorithm: JwsAlgorithm): {
  readonly name: string;
  readonly hash: string;
} {
  if (algorithm === 'ES384') return { name: 'ECDSA', hash: 'SHA-384' };
  if (algorithm === 'RS256') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  return { name: 'ECDSA', hash: 'SHA-256' };
}

/** The protected header of every ES256 token of one kind, encoded once. */
export function encodeHeader(typ: string, kid: string): string {
  return encodeBase64url(encoder.encode(JSON.stringify({ alg: 'ES256', typ, kid })));
}

/** Signs `claims` with ES256 under a header from `encodeHeader`. */
export async function signCompactJws(
  encodedHeader: string,
  claims: Readonly<Record<string, unknown>>,
  key: CryptoKey,
): Promise<string> {
  const payload = encodeBase64url(encoder.encode(JSON.stringify(claims)));
  const signingInput = `${encodedHeader}.${payload}`;
  const signature = await crypto.subtle.sign(
    signatureParameters('ES256'),
    key,
    encoder.encode(signingInput),
  );
  return `${signingInput}.${encodeBase64url(new Uint8Array(signature))}`;
}

/** Repeated members are refused (RFC 7515 section 4 and RFC 7519 section 4 leave a choice; the other one is unsafe). */
function parseJsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  const parsed = parseStrictJsonBytes(bytes);
  if (!parsed.ok) return undefined;
  const { value } = parsed;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return { ...value };
}

/** Takes a compact JWS apart; `undefined` for anything but three canonical base64url parts around JSON objects. */
export function parseCompactJws(token: string): UnverifiedJws | undefined {
  const [header, payload, signature, ...rest] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) {
    return undefined;
  }
  const headerBytes = decodeBase64url(header);
  const payloadBytes = decodeBase64url(payload);
  const signatureBytes = decodeBase64url(signature);
  if (headerBytes === undefined || payloadBytes === undefined || signatureBytes === undefined) {
    return undefined;
  }
  const unverifiedHeader = parseJsonObject(headerBytes);
  const unverifiedPayload = parseJsonObject(payloadBytes);
  if (unverifiedHeader === undefined || unverifiedPayload === undefined) return undefined;
  return {
    unverifiedHeader,
    unverifiedPayload,
    signingInput: encoder.encode(`${header}.${payload}`),
    signature: signatureBytes,
  };
}

/**
 * True when the header holds exactly `expected` and, beyond it, only the names in `alsoAllowed`. Unknown members are
 * refused, so `crit`, `b64`, `jwk`, `jku`, `x5u` and whatever comes after them never need a rule of their own.
 */
export function headerMatches(
  header: Readonly<Record<string, unknown>>,
  expected: Readonly<Record<string, string>>,
  alsoAllowed: readonly string[] = [],
): boolean {
  for (const [name, value] of Object.entries(expected)) if (header[name] !== value) return false;
  return Object.keys(header).every(
    (name) => Object.hasOwn(expected, name) || alsoAllowed.includes(name),
  );
}

/** Verifies the signature with a key that the caller chose. */
export function verifyCompactJws(
  jws: UnverifiedJws,
  key: CryptoKey,
  algorithm: JwsAlgorithm,
): Promise<boolean> {
  return crypto.subtle.verify(signatureParameters(algorithm), key, jws.signature, jws.signingInput);
}
