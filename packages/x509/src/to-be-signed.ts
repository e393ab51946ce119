import type { Bytes } from './bytes.ts';
import { equalBytes } from './bytes.ts';
import type { ParsedCertificate } from './certificate.ts';
import { DerReader } from './der/reader.ts';
import { contextConstructed, tag } from './der/tag.ts';
import { encodeTime, isEncodableTime } from './der/time.ts';
import {
  encodeElement,
  encodeOctetAlignedBits,
  encodeSequence,
  encodeSmallInteger,
} from './der/writer.ts';
import { attempt, X509Error, type X509Result } from './result.ts';
import { encodeSerialNumber } from './serial-number.ts';
import { encodeSignatureAlgorithm, signatureAlgorithmOf } from './signature-algorithm.ts';
import type { IdentifiedPublicKey, KeyKind, SubjectPublicKey } from './subject-public-key.ts';
import { encodeSignatureValue } from './verify-signature.ts';

/** What a caller chooses for every kind of certificate. */
export interface CommonFields {
  /** From `serialNumberFromRandom`. */
  readonly serialNumber: Uint8Array;
  /** Subject's common name: 1 to 64 characters. */
  readonly commonName: string;
  /** Fractions of a second are dropped. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subjectPublicKey: IdentifiedPublicKey;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The bytes to sign, and the validity that they say after clamping to the issuer's. */
export interface CertificateToBeSigned extends Validity {
  readonly toBeSigned: Bytes;
}

/** `[0] EXPLICIT INTEGER 2`: version 3 (RFC 5280 §4.1.2.1). */
const version3 = /* @__PURE__ */ encodeElement(
  /* @__PURE__ */ contextConstructed(0),
  /* @__PURE__ */ encodeSmallInteger(2),
);

/**
 * Whole seconds, inside the issuer's validity when there is an issuer: no certificate begins before
 * or outlives the one that it hangs on. Throws `X509Error` when nothing is left between the two.
 */
export function validityWithin(wanted: Validity, issuer: Validity | undefined): Validity {
  const notBeforeMs = wholeSecond(Math.max(wanted.notBeforeMs, issuer?.notBeforeMs ?? -Infinity));
  const notAfterMs = wholeSecond(Math.min(wanted.notAfterMs, issuer?.notAfterMs ?? Infinity));
  if (!isEncodableTime(notBeforeMs) || !isEncodableTime(notAfterMs)) {
    throw new X509Error('field_not_allowed', 'validity: not between 1950 and 9999');
  }
  if (notAfterMs < notBeforeMs) {
    throw new X509Error('field_not_allowed', 'validity: empty, or outside of the issuer validity');
  }
  return { notBeforeMs, notAfterMs };
}

function wholeSecond(epochMs: number): number {
  return Math.floor(epochMs / 1000) * 1000;
}

export interface ToBeSignedParts {
  readonly serialNumber: Uint8Array;
  /** From `fixedMiddle`. */
  readonly algorithmAndIssuer: Uint8Array;
  readonly validity: Validity;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  /** Each an Extension in DER. */
  readonly extensions: readonly Uint8Array[];
}

/** TBSCertificate (RFC 5280 §4.1). */
export function encodeToBeSigned(parts: ToBeSignedParts): Bytes {
  return encodeSequence(
    version3,
    encodeSerialNumber(parts.serialNumber),
    parts.algorithmAndIssuer,
    encodeSequence(encodeTime(parts.validity.notBeforeMs), encodeTime(parts.validity.notAfterMs)),
    parts.subject,
    parts.spki,
    encodeElement(contextConstructed(3), encodeSequence(...parts.extensions)),
  );
}

/** What an issuer needs to be and to have before anything is made under it. Throws `X509Error`. */
export function assertCanIssue(issuer: ParsedCertificate): Bytes {
  const { basicConstraints, keyUsage, subjectKeyIdentifier } = issuer.extensions;
  if (basicConstraints?.isCa !== true || keyUsage?.includes('keyCertSign') !== true) {
    throw new X509Error('issuer_not_allowed', 'issuer: not a certificate authority');
  }
  if (subjectKeyIdentifier === undefined || issuer.subject.isEmpty) {
    throw new X509Error('issuer_not_allowed', 'issuer: no subject or no key identifier');
  }
  return subjectKeyIdentifier;
}

/**
 * Puts the issuer's signature to a certificate. `rawSignature` is what WebCrypto gives for the
 * issuer key's JWS algorithm: ECDSA r and s side by side, or the RSA signature. The bytes must name
 * that algorithm (RFC 5280 §4.1.1.2: inner and outer are the same).
 */
export function assembleCertificate(
  toBeSigned: Uint8Array,
  rawSignature: Uint8Array,
  issuerKey: SubjectPublicKey,
): X509Result<Bytes> {
  return attempt(() => {
    const algorithm = algorithmIdentifierOf(issuerKey.kind);
    if (!equalBytes(innerAlgorithmOf(toBeSigned), algorithm)) {
      throw new X509Error('signature_algorithm_mismatch', 'signature algorithm: not of the issuer');
    }
    return encodeSequence(
      toBeSigned,
      algorithm,
      encodeOctetAlignedBits(encodeSignatureValue(rawSignature, issuerKey)),
    );
  });
}

/** AlgorithmIdentifier of signatures by a key of this kind. */
export function algorithmIdentifierOf(kind: KeyKind): Bytes {
  return encodeSignatureAlgorithm(signatureAlgorithmOf(kind));
}

function innerAlgorithmOf(toBeSigned: Uint8Array): Bytes {
  const outer = new DerReader(new Uint8Array(toBeSigned));
  const tbs = outer.enter(tag.sequence, 'tbsCertificate');
  outer.finish('tbsCertificate');
  tbs.content(contextConstructed(0), 'version');
  tbs.content(tag.integer, 'serial number');
  return tbs.element(tag.sequence, 'inner signature algorithm');
}
