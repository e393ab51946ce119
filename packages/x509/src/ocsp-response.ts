import type { Bytes } from './bytes.ts';
import type { ParsedCertificate } from './certificate.ts';
import { contextConstructed, contextPrimitive, tag } from './der/tag.ts';
import { encodeGeneralizedTime, isEncodableTime } from './der/time.ts';
import {
  encodeElement,
  encodeOctetAlignedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
} from './der/writer.ts';
import { ocspNonceExtension } from './encode-extension.ts';
import { oid } from './object-identifiers.ts';
import { maxOcspNonceOctets, type OcspCertificateId } from './ocsp-request.ts';
import { attempt, X509Error, type X509Result } from './result.ts';
import { type RevocationReason, revocationReasonCode } from './revocation-reason.ts';
import { algorithmIdentifierOf } from './to-be-signed.ts';
import { encodeSignatureValue } from './verify-signature.ts';

/** RFC 6960 §2.2. `good` says that the certificate was issued and is not revoked. */
export type OcspStatus =
  | { readonly status: 'good' | 'unknown' }
  | {
      readonly status: 'revoked';
      readonly revokedAtMs: number;
      readonly reason: RevocationReason;
    };

export interface OcspAnswer {
  readonly certificateId: OcspCertificateId;
  readonly status: OcspStatus;
}

export interface OcspResponseFields {
  /** SHA-1 of the responder's public key bits: 20 octets. */
  readonly responderKeyHash: Uint8Array;
  /** Fractions of a second are dropped. Also the moment at which the statuses are known to be right. */
  readonly producedAtMs: number;
  readonly nextUpdateMs: number;
  /** At least one. */
  readonly answers: readonly OcspAnswer[];
  /** The request's, octet for octet. */
  readonly nonce: Uint8Array | undefined;
}

/** ResponseData (RFC 6960 §4.2.1), which the responder signs; named by its key. */
export function buildOcspResponseData(
  fields: OcspResponseFields,
  responder: ParsedCertificate,
): X509Result<Bytes> {
  return attempt(() => {
    const { producedAtMs, nextUpdateMs, answers, nonce, responderKeyHash } = fields;
    if (answers.length === 0) throw new X509Error('field_not_allowed', 'answers: none');
    if (responderKeyHash.length !== 20) {
      throw new X509Error('field_not_allowed', 'responderKeyHash: not 20 octets');
    }
    if (!isEncodableTime(producedAtMs) || !isEncodableTime(nextUpdateMs)) {
      throw new X509Error('field_not_allowed', 'update: not between 1950 and 9999');
    }
    const endMs = Math.min(nextUpdateMs, responder.notAfterMs);
    if (Math.floor(endMs / 1000) <= Math.floor(producedAtMs / 1000)) {
      throw new X509Error('field_not_allowed', 'nextUpdateMs: not after producedAtMs');
    }
    if (nonce !== undefined && (nonce.length === 0 || nonce.length > maxOcspNonceOctets)) {
      throw new X509Error('field_not_allowed', 'nonce: not 1 to 128 octets');
    }
    const producedAt = encodeGeneralizedTime(producedAtMs);
    const nextUpdate = encodeElement(contextConstructed(0), encodeGeneralizedTime(endMs));
    const singles = answers.map(({ certificateId, status }) =>
      encodeSequence(certificateId.der, encodeStatus(status, producedAtMs), producedAt, nextUpdate),
    );
    const extensions =
      nonce === undefined
        ? []
        : [encodeElement(contextConstructed(1), encodeSequence(ocspNonceExtension(nonce)))];
    return encodeSequence(
      encodeElement(contextConstructed(2), encodeOctetString(responderKeyHash)),
      producedAt,
      encodeSequence(...singles),
      ...extensions,
    );
  });
}

function encodeStatus(status: OcspStatus, producedAtMs: number): Bytes {
  if (status.status !== 'revoked') {
    return encodeElement(contextPrimitive(status.status === 'good' ? 0 : 2));
  }
  const { revokedAtMs, reason } = status;
  if (!isEncodableTime(revokedAtMs)) {
    throw new X509Error('field_not_allowed', 'revokedAtMs: not between 1950 and 9999');
  }
  const time = encodeGeneralizedTime(Math.min(revokedAtMs, producedAtMs));
  if (reason === 'unspecified') return encodeElement(contextConstructed(1), time);
  const code = encodeElement(tag.enumerated, new Uint8Array([revocationReasonCode[reason]]));
  return encodeElement(contextConstructed(1), time, encodeElement(contextConstructed(0), code));
}

/**
 * OCSPResponse `successful` with a basic response: the data, its signature as WebCrypto gives it, and
 * the responder's certificate.
 */
export function assembleOcspResponse(
  responseData: Uint8Array,
  rawSignature: Uint8Array,
  responder: ParsedCertificate,
): X509Result<Bytes> {
  return attempt(() => {
    const key = responder.subjectPublicKey;
    const basic = encodeSequence(
      responseData,
      algorithmIdentifierOf(key.kind),
      encodeOctetAlignedBits(encodeSignatureValue(rawSignature, key)),
      encodeElement(contextConstructed(0), encodeSequence(responder.der)),
    );
    const bytes = encodeSequence(encodeOid(oid.ocspBasicResponse), encodeOctetString(basic));
    return encodeSequence(
      encodeElement(tag.enumerated, new Uint8Array(1)),
      encodeElement(contextConstructed(0), bytes),
    );
  });
}

/** RFC 6960 §4.2.1; `unauthorized`: not an issuer that is answered for here (RFC 5019 §2.2.3). */
export type OcspErrorStatus = 'malformedRequest' | 'internalError' | 'tryLater' | 'unauthorized';

const errorCodes: Readonly<Record<OcspErrorStatus, number>> = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  unauthorized: 6,
};

/** OCSPResponse without a response: nobody signs it, and nobody may conclude anything from it. */
export function encodeOcspError(status: OcspErrorStatus): Bytes {
  return encodeSequence(encodeElement(tag.enumerated, new Uint8Array([errorCodes[status]])));
}
