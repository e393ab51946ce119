import { decodeBase64url, type ProblemCode } from '@countersign/protocol';
import { parseCertificationRequest, verifyProofOfPossession } from '@countersign/x509';

export type ProvenKey = {
  /** The request as it came, DER. */
  readonly csr: Uint8Array;
  readonly spki: Uint8Array<ArrayBuffer>;
  readonly spkiSha256: Uint8Array<ArrayBuffer>;
};

type Refusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly field: string;
  readonly detail?: string;
};

/** The request is well-formed, but its key is of a kind, size or make that is not certified. */
const keyFailures: ReadonlySet<string> = new Set([
  'key_algorithm_not_allowed',
  'curve_not_allowed',
  'rsa_key_too_small',
  'rsa_key_too_large',
  'rsa_exponent_not_allowed',
  'weak_key',
  'point_format_not_allowed',
  'public_key_invalid',
]);

/**
 * The key of a certificate signing request, once possession is proven. Nothing else of the request is looked at.
 *
 * @param text PKCS#10 (RFC 2986), DER, base64url
 * @param field name of the member that it came in, for the refusal
 */
export async function readProvenKey(
  text: string,
  field: string,
): Promise<({ readonly ok: true } & ProvenKey) | Refusal> {
  const csr = decodeBase64url(text);
  if (csr === undefined) return { ok: false, code: 'csr_malformed', field };
  const request = parseCertificationRequest(csr);
  if (!request.ok) {
    const code = keyFailures.has(request.reason) ? 'csr_key_not_allowed' : 'csr_malformed';
    return { ok: false, code, field, detail: request.detail };
  }
  const proven = await verifyProofOfPossession(request.value);
  if (!proven.ok) {
    const code = keyFailures.has(proven.reason) ? 'csr_key_not_allowed' : 'csr_signature_invalid';
    return { ok: false, code, field, detail: proven.detail };
  }
  const { spki } = proven.value;
  return { ok: true, csr, spki, spkiSha256: await sha256(spki) };
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}
