import { type Bytes, concatBytes } from './bytes.ts';
import type { ParsedCertificate } from './certificate.ts';
import type { CrlEntries } from './crl-entries.ts';
import { contextConstructed } from './der/tag.ts';
import { encodeTime, isEncodableTime } from './der/time.ts';
import {
  encodeElement,
  encodeOctetAlignedBits,
  encodeSequence,
  encodeSmallInteger,
} from './der/writer.ts';
import {
  authorityKeyIdentifierExtension,
  crlNumberExtension,
  issuingDistributionPointExtension,
} from './encode-extension.ts';
import { attempt, X509Error, type X509Result } from './result.ts';
import { algorithmIdentifierOf } from './to-be-signed.ts';
import { encodeSignatureValue } from './verify-signature.ts';

/** What readers of this package take, too: lengths of three octets. */
export const maxCrlBytes = 16_000_000;

export interface CrlFields {
  /** Rises with each list that the issuer signs for these distribution points; up to 2^53. */
  readonly number: number;
  /** Fractions of a second are dropped. */
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** The URIs that certificates of the list may name, byte for byte. At least one. */
  readonly distributionPoints: readonly string[];
  readonly entries: CrlEntries;
}

/**
 * TBSCertList (RFC 5280 §5.1), version 2, for one shard of an issuer's certificates: critical issuing
 * distribution point, CRL number, authority key identifier; no list of entries where there is none.
 */
export function buildCrlToBeSigned(
  fields: CrlFields,
  issuer: ParsedCertificate,
): X509Result<Bytes> {
  return attempt(() => {
    const { thisUpdateMs, nextUpdateMs, entries } = fields;
    const keyIdentifier = assertCanSignCrl(issuer);
    if (!isEncodableTime(thisUpdateMs) || !isEncodableTime(nextUpdateMs)) {
      throw new X509Error('field_not_allowed', 'update: not between 1950 and 9999');
    }
    if (wholeSecond(nextUpdateMs) <= wholeSecond(thisUpdateMs)) {
      throw new X509Error('field_not_allowed', 'nextUpdateMs: not after thisUpdateMs');
    }
    if (wholeSecond(entries.newestMs) > wholeSecond(thisUpdateMs)) {
      throw new X509Error('field_not_allowed', 'entries: one after thisUpdateMs');
    }
    const head = concatBytes(
      encodeSmallInteger(1),
      algorithmIdentifierOf(issuer.subjectPublicKey.kind),
      issuer.subject.der,
      encodeTime(thisUpdateMs),
      encodeTime(nextUpdateMs),
    );
    const extensions = encodeSequence(
      authorityKeyIdentifierExtension(keyIdentifier),
      crlNumberExtension(fields.number),
      issuingDistributionPointExtension(fields.distributionPoints),
    );
    const tail = encodeElement(contextConstructed(0), extensions);
    if (entries.der.length + head.length + tail.length > maxCrlBytes - 1024) {
      throw new X509Error('too_large', 'entries: more than a list may hold');
    }
    return entries.count === 0
      ? encodeSequence(head, tail)
      : encodeSequence(head, encodeSequence(entries.der), tail);
  });
}

/** Puts the issuer's signature to a list; `rawSignature` as for `assembleCertificate`. */
export function assembleCrl(
  toBeSigned: Uint8Array,
  rawSignature: Uint8Array,
  issuer: ParsedCertificate,
): X509Result<Bytes> {
  return attempt(() => {
    const key = issuer.subjectPublicKey;
    const value = encodeSignatureValue(rawSignature, key);
    return encodeSequence(
      toBeSigned,
      algorithmIdentifierOf(key.kind),
      encodeOctetAlignedBits(value),
    );
  });
}

function assertCanSignCrl(issuer: ParsedCertificate): Bytes {
  const { keyUsage, subjectKeyIdentifier } = issuer.extensions;
  if (keyUsage?.includes('crlSign') !== true) {
    throw new X509Error('issuer_not_allowed', 'issuer: may not sign lists');
  }
  if (subjectKeyIdentifier === undefined || issuer.subject.isEmpty) {
    throw new X509Error('issuer_not_allowed', 'issuer: no subject or no key identifier');
  }
  return subjectKeyIdentifier;
}

function wholeSecond(epochMs: number): number {
  return Math.floor(epochMs / 1000);
}
