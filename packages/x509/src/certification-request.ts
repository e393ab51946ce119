import { type Bytes, compareBytes } from './bytes.ts';
import { DerReader, ownBytes } from './der/reader.ts';
import { contextConstructed, tag } from './der/tag.ts';
import { assertWellFormedElement } from './der/well-formed.ts';
import { type Name, readName } from './name.ts';
import { attempt, X509Error, type X509Result } from './result.ts';
import { fitsKey, readSignatureAlgorithm } from './signature-algorithm.ts';
import {
  assertNotWeak,
  readSubjectPublicKeyInfo,
  type SubjectPublicKey,
} from './subject-public-key.ts';
import { type SignedStatement, verifySignature } from './verify-signature.ts';

/** More than any request with an allowed key needs. */
export const maxCertificationRequestBytes = 16_384;

/**
 * A PKCS#10 request as read. Only the key is ever used: names, extensions and other attributes that
 * it asks for are checked to be well-formed and then forgotten, so that no issuer can copy them.
 */
export interface CertificationRequest extends SignedStatement {
  /** The whole request: the only encoding of this request that the parser accepts. */
  readonly der: Bytes;
  /** For display only. */
  readonly subject: Name;
  /** Proven to be the sender's only once `verifyProofOfPossession` has succeeded. */
  readonly subjectPublicKey: SubjectPublicKey;
}

/** Parses a CertificationRequest (RFC 2986 §4.2), without verifying its signature. */
export function parseCertificationRequest(der: Uint8Array): X509Result<CertificationRequest> {
  return attempt(() => {
    const own = ownBytes(der, maxCertificationRequestBytes, 'request');
    const outer = new DerReader(own);
    const reader = outer.enter(tag.sequence, 'request');
    outer.finish('request');
    const toBeSigned = reader.element(tag.sequence, 'request info');
    const { subject, subjectPublicKey } = readRequestInfo(toBeSigned);
    const signatureAlgorithm = readSignatureAlgorithm(reader, 'signature algorithm');
    const signature = reader.octetAlignedBits('signature');
    reader.finish('request');
    if (!fitsKey(signatureAlgorithm, subjectPublicKey.kind)) {
      throw new X509Error('signature_algorithm_mismatch', 'signature algorithm: not of this key');
    }
    assertNotWeak(subjectPublicKey);
    return { der: own, toBeSigned, subject, subjectPublicKey, signatureAlgorithm, signature };
  });
}

function readRequestInfo(der: Bytes): { subject: Name; subjectPublicKey: SubjectPublicKey } {
  const info = new DerReader(der).enter(tag.sequence, 'request info');
  if (info.smallInteger('version') !== 0) {
    throw new X509Error('version_not_allowed', 'version: not 0');
  }
  const subject = readName(info, 'subject');
  const subjectPublicKey = readSubjectPublicKeyInfo(info);
  assertAttributesWellFormed(info.enter(contextConstructed(0), 'attributes'));
  info.finish('request info');
  return { subject, subjectPublicKey };
}

function assertAttributesWellFormed(attributes: DerReader): void {
  const types = new Set<string>();
  let previous: Bytes | undefined;
  while (!attributes.atEnd) {
    const der = attributes.element(tag.sequence, 'attribute');
    if (previous !== undefined && compareBytes(previous, der) > 0) {
      throw new X509Error('malformed_der', 'attributes: set not in order');
    }
    previous = der;
    const attribute = new DerReader(der).enter(tag.sequence, 'attribute');
    const type = attribute.objectIdentifier('attribute type');
    if (types.has(type)) throw new X509Error('duplicate_attribute', 'attributes: one type twice');
    types.add(type);
    const values = attribute.element(tag.set, 'attribute values');
    attribute.finish('attribute');
    assertWellFormedElement(values, 'attribute values');
    if (new DerReader(values).enter(tag.set, 'attribute values').atEnd) {
      throw new X509Error('malformed_structure', 'attribute values: none');
    }
  }
}

/** Verifies that the sender holds the private key. Succeeds with the key that is now proven. */
export function verifyProofOfPossession(
  request: CertificationRequest,
): Promise<X509Result<SubjectPublicKey>> {
  return verifySignature(request, request.subjectPublicKey);
}
