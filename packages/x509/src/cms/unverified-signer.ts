import { type Bytes, hexOf } from '../bytes.ts';
import { DerReader } from '../der/reader.ts';
import { contextConstructed, tag } from '../der/tag.ts';
import { encodeElement, encodeSequence } from '../der/writer.ts';
import { X509Error } from '../result.ts';
import { readSubjectPublicKeyInfo, type SubjectPublicKey } from '../subject-public-key.ts';

/** IssuerAndSerialNumber (RFC 5652 §10.2.4). */
export interface IssuerAndSerial {
  /** Name in DER. */
  readonly issuer: Bytes;
  /** Content octets of the INTEGER, in hexadecimal. */
  readonly serialNumber: string;
}

/** How a certificate is named in CMS. Throws `X509Error`. */
export function readCertificateName(der: Bytes): IssuerAndSerial {
  return readAsFarAsIssuer(der).name;
}

/**
 * What a message needs of the certificate that it came with. Clients make these certificates
 * themselves, in many forms, and nothing in them but the key is believed: neither the signature on
 * the certificate nor its validity nor its extensions are looked at.
 */
export interface UnverifiedSigner {
  /** The whole certificate. */
  readonly der: Bytes;
  readonly name: IssuerAndSerial;
  readonly subjectPublicKey: SubjectPublicKey;
}

/** Throws `X509Error`, also when the key is of a kind that is not certified here. */
export function readUnverifiedSigner(der: Bytes): UnverifiedSigner {
  const { name, tbs } = readAsFarAsIssuer(der);
  tbs.element(tag.sequence, 'certificate validity');
  tbs.element(tag.sequence, 'certificate subject');
  return { der, name, subjectPublicKey: readSubjectPublicKeyInfo(tbs) };
}

function readAsFarAsIssuer(der: Bytes): { name: IssuerAndSerial; tbs: DerReader } {
  const what = 'certificate';
  const tbs = new DerReader(der).enter(tag.sequence, what).enter(tag.sequence, what);
  if (tbs.peekTag() === contextConstructed(0)) tbs.content(contextConstructed(0), what);
  const serialNumber = hexOf(tbs.integer('certificate serial number'));
  tbs.element(tag.sequence, 'certificate algorithm');
  return { name: { serialNumber, issuer: tbs.element(tag.sequence, 'certificate issuer') }, tbs };
}

export function readIssuerAndSerial(outer: DerReader, what: string): IssuerAndSerial {
  if (outer.peekTag() !== tag.sequence) {
    throw new X509Error('malformed_structure', `${what}: not by issuer and serial number`);
  }
  const reader = outer.enter(tag.sequence, what);
  const issuer = reader.element(tag.sequence, what);
  const serialNumber = hexOf(reader.integer(what));
  reader.finish(what);
  return { issuer, serialNumber };
}

export function encodeIssuerAndSerial({ issuer, serialNumber }: IssuerAndSerial): Bytes {
  const octets = serialNumber.match(/../g) ?? [];
  return encodeSequence(
    issuer,
    encodeElement(
      tag.integer,
      Uint8Array.from(octets, (octet) => Number.parseInt(octet, 16)),
    ),
  );
}
