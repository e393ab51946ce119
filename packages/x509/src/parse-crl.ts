import { maxCrlBytes } from './build-crl.ts';
import { type Bytes, equalBytes } from './bytes.ts';
import { readSerialNumber } from './certificate.ts';
import { readAuthorityKeyIdentifier } from './certificate-extensions.ts';
import { DerReader, ownBytes } from './der/reader.ts';
import { contextConstructed, contextPrimitive, tag } from './der/tag.ts';
import { readTime } from './der/time.ts';
import { decodeString } from './der/well-formed.ts';
import { type Name, readName } from './name.ts';
import { oid } from './object-identifiers.ts';
import { readExtensionList } from './read-extension-list.ts';
import { attempt, fail, X509Error, type X509Result } from './result.ts';
import { type RevocationReason, revocationReasonOf } from './revocation-reason.ts';
import {
  encodeSignatureAlgorithm,
  fitsKey,
  readSignatureAlgorithm,
} from './signature-algorithm.ts';
import type { SubjectPublicKey } from './subject-public-key.ts';
import { type SignedStatement, verifySignature } from './verify-signature.ts';

export interface RevokedCertificate {
  /** Lower-case hexadecimal, as in `ParsedCertificate`. */
  readonly serialNumber: string;
  readonly revokedAtMs: number;
  readonly reason: RevocationReason;
}

/** A certificate revocation list as read: its signature and its times have not been looked at. */
export interface ParsedCrl extends SignedStatement {
  readonly der: Bytes;
  readonly issuer: Name;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly number: bigint;
  readonly authorityKeyIdentifier: Bytes;
  /** Full name of the issuing distribution point; empty for a list about all certificates. */
  readonly distributionPoints: readonly string[];
  readonly entries: readonly RevokedCertificate[];
}

/**
 * Parses a CertificateList (RFC 5280 §5.1) of the one profile that is issued here: version 2, with
 * nextUpdate, number and authority key identifier, complete, direct, an issuing distribution point
 * with URIs alone. Anything else, above all any other critical extension, is refused.
 */
export function parseCrl(der: Uint8Array): X509Result<ParsedCrl> {
  return attempt(() => {
    const own = ownBytes(der, maxCrlBytes, 'CRL');
    const outer = new DerReader(own);
    const reader = outer.enter(tag.sequence, 'CRL');
    outer.finish('CRL');
    const toBeSigned = reader.element(tag.sequence, 'tbsCertList');
    const signatureAlgorithm = readSignatureAlgorithm(reader, 'signature algorithm');
    const signature = reader.octetAlignedBits('signature');
    reader.finish('CRL');

    const tbs = new DerReader(toBeSigned).enter(tag.sequence, 'tbsCertList');
    if (tbs.peekTag() !== tag.integer || tbs.smallInteger('version') !== 1) {
      throw new X509Error('version_not_allowed', 'version: not 2');
    }
    const innerAlgorithm = tbs.element(tag.sequence, 'inner signature algorithm');
    if (!equalBytes(innerAlgorithm, encodeSignatureAlgorithm(signatureAlgorithm))) {
      throw new X509Error(
        'signature_algorithm_mismatch',
        'signature algorithm: inner is not outer',
      );
    }
    const issuer = readName(tbs, 'issuer');
    if (issuer.isEmpty) throw new X509Error('name_not_allowed', 'issuer: empty');
    const thisUpdateMs = readTime(tbs, 'thisUpdate');
    const nextUpdateMs = readTime(tbs, 'nextUpdate');
    if (nextUpdateMs <= thisUpdateMs) {
      throw new X509Error('validity_not_allowed', 'nextUpdate: not after thisUpdate');
    }
    const entries = tbs.peekTag() === tag.sequence ? readEntries(tbs, thisUpdateMs) : [];
    const wrapper = tbs.enter(contextConstructed(0), 'extensions');
    const extensions = readCrlExtensions(wrapper);
    wrapper.finish('extensions');
    tbs.finish('tbsCertList');
    return {
      der: own,
      toBeSigned,
      signatureAlgorithm,
      signature,
      issuer,
      thisUpdateMs,
      nextUpdateMs,
      entries,
      ...extensions,
    };
  });
}

/** Verifies the signature with the issuer's key. Says nothing about names, times and scope. */
export async function verifyCrlSignature(
  crl: ParsedCrl,
  issuerKey: SubjectPublicKey,
): Promise<X509Result<SubjectPublicKey>> {
  return fitsKey(crl.signatureAlgorithm, issuerKey.kind)
    ? verifySignature(crl, issuerKey)
    : fail('signature_algorithm_mismatch', 'signature algorithm: not of the issuer key');
}

function readEntries(tbs: DerReader, thisUpdateMs: number): RevokedCertificate[] {
  const list = tbs.enter(tag.sequence, 'revoked certificates');
  if (list.atEnd) throw new X509Error('malformed_structure', 'revoked certificates: empty list');
  const entries: RevokedCertificate[] = [];
  const seen = new Set<string>();
  while (!list.atEnd) {
    const entry = list.enter(tag.sequence, 'entry');
    const serialNumber = readSerialNumber(entry);
    const revokedAtMs = readTime(entry, 'revocation date');
    const reason = entry.atEnd ? 'unspecified' : readReason(entry);
    entry.finish('entry');
    if (seen.has(serialNumber)) throw new X509Error('malformed_structure', 'entry: one twice');
    if (revokedAtMs > thisUpdateMs) {
      throw new X509Error('validity_not_allowed', 'revocation date: after thisUpdate');
    }
    seen.add(serialNumber);
    entries.push({ serialNumber, revokedAtMs, reason });
  }
  return entries;
}

function readReason(entry: DerReader): RevocationReason {
  let reason: RevocationReason | undefined;
  readExtensionList(entry, (id, value, isCritical) => {
    if (id !== oid.reasonCode) return false;
    const [code = 0, more] = value.integer('reason', tag.enumerated);
    reason = revocationReasonOf(code);
    // RFC 5280 §5.3.1: not critical, and no code for "unspecified".
    if (isCritical || more !== undefined || reason === undefined || reason === 'unspecified') {
      throw new X509Error('malformed_extension', 'reason: critical, or not one to be written');
    }
    return true;
  });
  return reason ?? 'unspecified';
}

type CrlExtensions = Pick<ParsedCrl, 'number' | 'authorityKeyIdentifier' | 'distributionPoints'>;

function readCrlExtensions(outer: DerReader): CrlExtensions {
  let number: bigint | undefined;
  let authorityKeyIdentifier: Bytes | undefined;
  let distributionPoints: readonly string[] = [];
  readExtensionList(outer, (id, value, isCritical) => {
    switch (id) {
      case oid.crlNumber:
        assertCritical(isCritical, false, 'CRL number');
        number = readNumber(value);
        return true;
      case oid.authorityKeyIdentifier:
        assertCritical(isCritical, false, 'authorityKeyIdentifier');
        authorityKeyIdentifier = readAuthorityKeyIdentifier(value);
        return true;
      case oid.issuingDistributionPoint:
        assertCritical(isCritical, true, 'issuingDistributionPoint');
        distributionPoints = readIssuingDistributionPoint(value);
        return true;
      default:
        return false;
    }
  });
  if (number === undefined || authorityKeyIdentifier === undefined) {
    throw new X509Error('malformed_extension', 'CRL number or authorityKeyIdentifier: missing');
  }
  return { number, authorityKeyIdentifier, distributionPoints };
}

function assertCritical(isCritical: boolean, expected: boolean, what: string): void {
  if (isCritical !== expected) {
    throw new X509Error('malformed_extension', `${what}: critical or not, the wrong way`);
  }
}

const maxNumberOctets = 20;

function readNumber(value: DerReader): bigint {
  const magnitude = value.unsignedInteger('CRL number');
  if (magnitude.length > maxNumberOctets) {
    throw new X509Error('malformed_extension', 'CRL number: more than 20 octets');
  }
  let number = 0n;
  for (const octet of magnitude) number = (number << 8n) | BigInt(octet);
  return number;
}

/** A full name of URIs, and onlyContainsUserCerts: what is left out is FALSE by default. */
function readIssuingDistributionPoint(value: DerReader): string[] {
  const what = 'issuingDistributionPoint';
  const point = value.enter(tag.sequence, what);
  const uris: string[] = [];
  if (point.peekTag() === contextConstructed(0)) {
    const name = point.enter(contextConstructed(0), what);
    const fullName = name.enter(contextConstructed(0), what);
    name.finish(what);
    while (!fullName.atEnd) {
      uris.push(decodeString(tag.ia5String, fullName.content(contextPrimitive(6), what), what));
    }
    if (uris.length === 0) throw new X509Error('malformed_extension', `${what}: no name`);
  }
  if (point.peekTag() === contextPrimitive(1)) {
    const [octet, more] = point.content(contextPrimitive(1), what);
    if (octet !== 0xff || more !== undefined) {
      throw new X509Error('malformed_extension', `${what}: FALSE is not written`);
    }
  }
  point.finish(what);
  return uris;
}
