import type { Bytes } from './bytes.ts';
import { equalBytes, hexOf } from './bytes.ts';
import { type CertificateExtensions, readExtensions } from './certificate-extensions.ts';
import { DerReader, ownBytes } from './der/reader.ts';
import { contextConstructed, tag } from './der/tag.ts';
import { readTime } from './der/time.ts';
import { type Name, readName } from './name.ts';
import { attempt, fail, X509Error, type X509Result } from './result.ts';
import {
  encodeSignatureAlgorithm,
  fitsKey,
  readSignatureAlgorithm,
} from './signature-algorithm.ts';
import { readSubjectPublicKeyInfo, type SubjectPublicKey } from './subject-public-key.ts';
import { type SignedStatement, verifySignature } from './verify-signature.ts';

/** More than any certificate of ours needs. */
export const maxCertificateBytes = 16_384;

const maxSerialNumberOctets = 20;

/**
 * A certificate as read: well-formed and canonical, and nothing more. Neither signature nor validity
 * nor issuer has been looked at.
 */
export interface ParsedCertificate extends SignedStatement {
  /** The whole certificate: the only encoding of this certificate that the parser accepts. */
  readonly der: Bytes;
  /** Lower-case hexadecimal of the positive number, two digits an octet, no leading `00`. */
  readonly serialNumber: string;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Allowed in kind and size; not tested for weak RSA moduli, which is done before issuance. */
  readonly subjectPublicKey: SubjectPublicKey;
  readonly extensions: CertificateExtensions;
}

/** Parses a Certificate (RFC 5280 §4.1), version 3 with extensions, without verifying anything. */
export function parseCertificate(der: Uint8Array): X509Result<ParsedCertificate> {
  return attempt(() => {
    const own = ownBytes(der, maxCertificateBytes, 'certificate');
    const outer = new DerReader(own);
    const reader = outer.enter(tag.sequence, 'certificate');
    outer.finish('certificate');
    const toBeSigned = reader.element(tag.sequence, 'tbsCertificate');
    const signatureAlgorithm = readSignatureAlgorithm(reader, 'signature algorithm');
    const signature = reader.octetAlignedBits('signature');
    reader.finish('certificate');

    const tbs = new DerReader(toBeSigned).enter(tag.sequence, 'tbsCertificate');
    readVersion(tbs);
    const serialNumber = readSerialNumber(tbs);
    const innerAlgorithm = tbs.element(tag.sequence, 'inner signature algorithm');
    if (!equalBytes(innerAlgorithm, encodeSignatureAlgorithm(signatureAlgorithm))) {
      throw new X509Error(
        'signature_algorithm_mismatch',
        'signature algorithm: inner is not outer',
      );
    }
    const issuer = readName(tbs, 'issuer');
    if (issuer.isEmpty) throw new X509Error('name_not_allowed', 'issuer: empty');
    const { notBeforeMs, notAfterMs } = readValidity(tbs);
    const subject = readName(tbs, 'subject');
    const subjectPublicKey = readSubjectPublicKeyInfo(tbs);
    const wrapper = tbs.enter(contextConstructed(3), 'extensions');
    const extensions = readExtensions(wrapper);
    wrapper.finish('extensions');
    tbs.finish('tbsCertificate');
    if (subject.isEmpty && extensions.subjectAltName?.isCritical !== true) {
      throw new X509Error('name_not_allowed', 'subject: empty without a critical subjectAltName');
    }
    return {
      der: own,
      toBeSigned,
      signatureAlgorithm,
      signature,
      serialNumber,
      issuer,
      subject,
      notBeforeMs,
      notAfterMs,
      subjectPublicKey,
      extensions,
    };
  });
}

function readVersion(tbs: DerReader): void {
  if (tbs.peekTag() !== contextConstructed(0)) {
    throw new X509Error('version_not_allowed', 'version: not 3');
  }
  const wrapper = tbs.enter(contextConstructed(0), 'version');
  if (wrapper.smallInteger('version') !== 2) {
    throw new X509Error('version_not_allowed', 'version: not 3');
  }
  wrapper.finish('version');
}

/** Magnitude of the next INTEGER in lower-case hexadecimal: positive, at most 20 octets. */
export function readSerialNumber(tbs: DerReader): string {
  const content = tbs.integer('serial number');
  const [first = 0, second] = content;
  if (first >= 0x80 || (first === 0 && second === undefined)) {
    throw new X509Error('serial_number_not_allowed', 'serial number: not positive');
  }
  if (content.length > maxSerialNumberOctets) {
    throw new X509Error('serial_number_not_allowed', 'serial number: more than 20 octets');
  }
  return hexOf(first === 0 ? content.subarray(1) : content);
}

function readValidity(tbs: DerReader): { notBeforeMs: number; notAfterMs: number } {
  const validity = tbs.enter(tag.sequence, 'validity');
  const notBeforeMs = readTime(validity, 'notBefore');
  const notAfterMs = readTime(validity, 'notAfter');
  validity.finish('validity');
  if (notAfterMs < notBeforeMs) {
    throw new X509Error('validity_not_allowed', 'validity: ends before it begins');
  }
  return { notBeforeMs, notAfterMs };
}

/** Verifies the signature with the issuer's key. Says nothing about names, times and purposes. */
export async function verifyCertificateSignature(
  certificate: ParsedCertificate,
  issuerKey: SubjectPublicKey,
): Promise<X509Result<SubjectPublicKey>> {
  return fitsKey(certificate.signatureAlgorithm, issuerKey.kind)
    ? verifySignature(certificate, issuerKey)
    : fail('signature_algorithm_mismatch', 'signature algorithm: not of the issuer key');
}
