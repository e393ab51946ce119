import { concatBytes } from './bytes.ts';
import type { ParsedCertificate } from './certificate.ts';
import {
  authorityConstraints,
  authorityKeyIdentifierExtension,
  endEntityConstraints,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectKeyIdentifierExtension,
} from './encode-extension.ts';
import { encodeName } from './name.ts';
import { keySetSigningOid, oid } from './object-identifiers.ts';
import { attempt, expectValue, type X509Result } from './result.ts';
import {
  algorithmIdentifierOf,
  assertCanIssue,
  type CertificateToBeSigned,
  type CommonFields,
  encodeToBeSigned,
  validityWithin,
} from './to-be-signed.ts';

/**
 * The organisation's root, signed with its own key. Path length 1: an issuing authority under it and
 * nothing deeper. No authority key identifier, which RFC 5280 §4.2.1.1 lets a self-signed one omit.
 */
export function buildRootToBeSigned(fields: CommonFields): X509Result<CertificateToBeSigned> {
  return attempt(() => {
    const validity = validityWithin(fields, undefined);
    const subject = expectValue(encodeName(fields.commonName));
    const { kind, spki, keyIdentifier } = fields.subjectPublicKey;
    const toBeSigned = encodeToBeSigned({
      serialNumber: fields.serialNumber,
      algorithmAndIssuer: concatBytes(algorithmIdentifierOf(kind), subject),
      validity,
      subject,
      spki,
      extensions: [
        authorityConstraints(1),
        keyUsageExtension('keyCertSign', 'crlSign'),
        subjectKeyIdentifierExtension(keyIdentifier),
      ],
    });
    return { toBeSigned, ...validity };
  });
}

/**
 * The authority that issues device certificates. Path length 0, and a fence of purposes: whatever
 * it signs is of no use to a server, for code or for mail.
 */
export function buildIssuingCaToBeSigned(
  fields: CommonFields,
  root: ParsedCertificate,
): X509Result<CertificateToBeSigned> {
  return underAuthority(fields, root, [
    authorityConstraints(0),
    keyUsageExtension('keyCertSign', 'crlSign'),
    extendedKeyUsageExtension(false, oid.clientAuth, oid.ocspSigning),
  ]);
}

/**
 * The certificate whose key signs the broker's key set. Its one purpose is critical and private, so
 * that no TLS stack or browser takes it for anything else.
 */
export function buildKeySetSignerToBeSigned(
  fields: CommonFields,
  root: ParsedCertificate,
): X509Result<CertificateToBeSigned> {
  return underAuthority(fields, root, [
    endEntityConstraints(),
    keyUsageExtension('digitalSignature'),
    extendedKeyUsageExtension(true, keySetSigningOid),
  ]);
}

/** What all certificates under an authority have, and these extensions before. */
export function underAuthority(
  fields: CommonFields,
  authority: ParsedCertificate,
  extensions: readonly Uint8Array[],
): X509Result<CertificateToBeSigned> {
  return attempt(() => {
    const authorityKeyIdentifier = assertCanIssue(authority);
    const validity = validityWithin(fields, authority);
    const { kind } = authority.subjectPublicKey;
    const toBeSigned = encodeToBeSigned({
      serialNumber: fields.serialNumber,
      algorithmAndIssuer: concatBytes(algorithmIdentifierOf(kind), authority.subject.der),
      validity,
      subject: expectValue(encodeName(fields.commonName)),
      spki: fields.subjectPublicKey.spki,
      extensions: [
        ...extensions,
        subjectKeyIdentifierExtension(fields.subjectPublicKey.keyIdentifier),
        authorityKeyIdentifierExtension(authorityKeyIdentifier),
      ],
    });
    return { toBeSigned, ...validity };
  });
}
