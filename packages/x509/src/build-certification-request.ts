import type { Bytes } from './bytes.ts';
import { contextConstructed } from './der/tag.ts';
import {
  encodeElement,
  encodeOctetAlignedBits,
  encodeSequence,
  encodeSmallInteger,
} from './der/writer.ts';
import { encodeName } from './name.ts';
import { attempt, expectValue, type X509Result } from './result.ts';
import { encodeSignatureAlgorithm, signatureAlgorithmOf } from './signature-algorithm.ts';
import type { SubjectPublicKey } from './subject-public-key.ts';
import { encodeSignatureValue } from './verify-signature.ts';

/** CertificationRequestInfo (RFC 2986 §4.1) without attributes: the bytes that the key signs. */
export function buildCertificationRequestInfo(
  subjectPublicKey: SubjectPublicKey,
  commonName: string,
): X509Result<Bytes> {
  return attempt(() =>
    encodeSequence(
      encodeSmallInteger(0),
      expectValue(encodeName(commonName)),
      subjectPublicKey.spki,
      encodeElement(contextConstructed(0)),
    ),
  );
}

/**
 * Puts the signature to the request. `rawSignature` is what WebCrypto and PKCS#11 give for the key's
 * JWS algorithm: ECDSA r and s side by side, or the RSA signature.
 */
export function assembleCertificationRequest(
  requestInfo: Uint8Array,
  rawSignature: Uint8Array,
  key: SubjectPublicKey,
): X509Result<Bytes> {
  return attempt(() =>
    encodeSequence(
      requestInfo,
      encodeSignatureAlgorithm(signatureAlgorithmOf(key.kind)),
      encodeOctetAlignedBits(encodeSignatureValue(rawSignature, key)),
    ),
  );
}
