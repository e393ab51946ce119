import {
  type CertificationRequest,
  maxCertificationRequestBytes,
  parseCertificationRequest,
  verifyProofOfPossession,
} from '@countersign/x509';
import {
  type ContentEncryption,
  parseEnvelopedData,
  type RequestClaims,
  readRequestClaims,
} from '@countersign/x509/cms';
import { sha256 } from '../enrollment/proven-key.ts';
import { maxPkiMessageBytes, type PkiMessage } from './pki-message.ts';
import type { RegistrationAuthority } from './registration-authority.ts';

/** A request whose key is proven, and what it claims. */
export type ScepRequest = {
  /** PKCS#10, DER. */
  readonly csr: Uint8Array<ArrayBuffer>;
  readonly spki: Uint8Array<ArrayBuffer>;
  readonly spkiSha256: Uint8Array<ArrayBuffer>;
  readonly claims: RequestClaims;
  /** The client can open what is encrypted like its request. */
  readonly contentEncryption: ContentEncryption;
};

export type ScepRequestResult =
  | { readonly ok: true; readonly request: ScepRequest }
  | {
      readonly ok: false;
      /** `scep_request_invalid` is everything that only the opened envelope shows, whatever it was. */
      readonly code: 'scep_algorithm_not_allowed' | 'scep_request_invalid';
      /** For the log alone. */
      readonly detail: string;
    };

/** Opens the envelope and reads the PKCS#10 request in it, whose signature must be of its own key. */
export async function readScepRequest(
  authority: RegistrationAuthority,
  { envelope }: PkiMessage,
): Promise<ScepRequestResult> {
  const invalid = (detail: string) =>
    ({ ok: false, code: 'scep_request_invalid', detail }) as const;
  const enveloped = parseEnvelopedData(envelope, authority.certificates, maxPkiMessageBytes);
  if (!enveloped.ok) {
    return enveloped.reason === 'encryption_algorithm_not_allowed'
      ? { ok: false, code: 'scep_algorithm_not_allowed', detail: enveloped.detail }
      : invalid(enveloped.detail);
  }
  const { contentEncryption, encryptedContent } = enveloped.value;
  if (encryptedContent.length > maxCertificationRequestBytes) return invalid('envelope: too large');
  const csr = await authority.open(enveloped.value);
  const parsed = parseCertificationRequest(csr);
  if (!parsed.ok) return invalid(`request: ${parsed.detail}`);
  const read = await readProven(parsed.value);
  return typeof read === 'string'
    ? invalid(read)
    : { ok: true, request: { ...read, csr, contentEncryption } };
}

async function readProven(request: CertificationRequest) {
  const proven = await verifyProofOfPossession(request);
  if (!proven.ok) return `request: ${proven.detail}`;
  const claims = readRequestClaims(request);
  if (!claims.ok) return `request: ${claims.detail}`;
  const { spki } = proven.value;
  return { spki, spkiSha256: await sha256(spki), claims: claims.value };
}
