import { type Bytes, concatBytes, textBytes } from './bytes.ts';
import { type KeyUsage, keyUsageBit } from './certificate-extensions.ts';
import { contextConstructed, contextPrimitive } from './der/tag.ts';
import {
  encodeBoolean,
  encodeElement,
  encodeNamedBits,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeUnsignedInteger,
} from './der/writer.ts';
import { oid } from './object-identifiers.ts';
import { X509Error } from './result.ts';

/** Extension (RFC 5280 §4.1): `critical` is written only when true. */
function encodeExtension(id: string, isCritical: boolean, value: Uint8Array): Bytes {
  return isCritical
    ? encodeSequence(encodeOid(id), encodeBoolean(true), encodeOctetString(value))
    : encodeSequence(encodeOid(id), encodeOctetString(value));
}

/** Critical. CA:FALSE is the empty SEQUENCE, because FALSE is the default (RFC 5280 §4.2.1.9). */
export function endEntityConstraints(): Bytes {
  return encodeExtension(oid.basicConstraints, true, encodeSequence());
}

/** Critical, CA:TRUE. */
export function authorityConstraints(pathLength: number): Bytes {
  const value = encodeSequence(encodeBoolean(true), encodeSmallInteger(pathLength));
  return encodeExtension(oid.basicConstraints, true, value);
}

/** Critical. */
export function keyUsageExtension(...usages: readonly KeyUsage[]): Bytes {
  const bits = usages.map((usage) => keyUsageBit[usage]);
  return encodeExtension(oid.keyUsage, true, encodeNamedBits(bits));
}

export function extendedKeyUsageExtension(
  isCritical: boolean,
  ...purposes: readonly string[]
): Bytes {
  return encodeExtension(
    oid.extendedKeyUsage,
    isCritical,
    encodeSequence(...purposes.map(encodeOid)),
  );
}

const keyIdentifierOctets = 20;

/** OID 2.5.29.14, then the headers of two OCTET STRINGs, for a key identifier of 20 octets. */
const subjectKeyIdentifierHead = /* @__PURE__ */ new Uint8Array([
  0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04, 0x16, 0x04, 0x14,
]);

/** Not critical. */
export function subjectKeyIdentifierExtension(keyIdentifier: Uint8Array): Bytes {
  if (keyIdentifier.length !== keyIdentifierOctets) {
    throw new X509Error('field_not_allowed', 'keyIdentifier: not 20 octets');
  }
  return concatBytes(subjectKeyIdentifierHead, keyIdentifier);
}

/** Not critical; the key identifier only (RFC 5280 §4.2.1.1). */
export function authorityKeyIdentifierExtension(keyIdentifier: Uint8Array): Bytes {
  const value = encodeSequence(encodeElement(contextPrimitive(0), keyIdentifier));
  return encodeExtension(oid.authorityKeyIdentifier, false, value);
}

/** Not critical, because the subject is never empty. Each name is a GeneralName in DER. */
export function subjectAltNameExtension(...names: readonly Uint8Array[]): Bytes {
  return encodeExtension(oid.subjectAltName, false, encodeSequence(...names));
}

/** GeneralName: URI. The caller has checked that the text is a URI in ASCII. */
export function uriName(uri: string): Bytes {
  return encodeElement(contextPrimitive(6), textBytes(uri));
}

/** Not critical; one distribution point, its full name one URI (RFC 5280 §4.2.1.13). */
export function crlDistributionPointExtension(uri: string): Bytes {
  assertHttpUri(uri, 'crlDistributionPoint');
  const fullName = encodeElement(contextConstructed(0), uriName(uri));
  const point = encodeSequence(encodeElement(contextConstructed(0), fullName));
  return encodeExtension(oid.crlDistributionPoints, false, encodeSequence(point));
}

/**
 * Not critical; where the OCSP responder and the issuer's certificate are (RFC 5280 §4.2.2.1), each
 * when it is given. At least one is.
 */
export function authorityInfoAccessExtension(
  ocspUri: string | undefined,
  issuerUri: string | undefined,
): Bytes {
  const descriptions: Bytes[] = [];
  if (ocspUri !== undefined) {
    assertHttpUri(ocspUri, 'ocspUri');
    descriptions.push(encodeSequence(encodeOid(oid.ocspAccessMethod), uriName(ocspUri)));
  }
  if (issuerUri !== undefined) {
    assertHttpUri(issuerUri, 'issuerUri');
    descriptions.push(encodeSequence(encodeOid(oid.issuerAccessMethod), uriName(issuerUri)));
  }
  return encodeExtension(oid.authorityInfoAccess, false, encodeSequence(...descriptions));
}

/** Not critical; NULL. Nobody needs to ask about the status of a responder (RFC 6960 §4.2.2.2.1). */
export function ocspNoCheckExtension(): Bytes {
  return encodeExtension(oid.ocspNoCheck, false, encodeNull());
}

/** Not critical (RFC 5280 §5.2.3). The number is a whole one, up to 2^53. */
export function crlNumberExtension(number: number): Bytes {
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new X509Error('field_not_allowed', 'number: not a whole number');
  }
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, BigInt(number));
  return encodeExtension(oid.crlNumber, false, encodeUnsignedInteger(octets));
}

/**
 * Critical (RFC 5280 §5.2.5): which certificates the list is about, those that name one of these
 * URIs as their distribution point, and no certificate of an authority.
 */
export function issuingDistributionPointExtension(uris: readonly string[]): Bytes {
  if (uris.length === 0) throw new X509Error('field_not_allowed', 'distributionPoints: none');
  for (const uri of uris) assertHttpUri(uri, 'distributionPoints');
  const fullName = encodeElement(contextConstructed(0), ...uris.map(uriName));
  const value = encodeSequence(
    encodeElement(contextConstructed(0), fullName),
    encodeElement(contextPrimitive(1), new Uint8Array([0xff])),
  );
  return encodeExtension(oid.issuingDistributionPoint, true, value);
}

/** Not critical; an OCTET STRING in the extension's own (RFC 9654 §2.1). */
export function ocspNonceExtension(nonce: Uint8Array): Bytes {
  return encodeExtension(oid.ocspNonce, false, encodeOctetString(nonce));
}

/**
 * Plain http is what RFC 5280 §8 advises: fetching over https could need the very status that is
 * being fetched, and the answers are signed. https is taken for those who have no other name.
 */
function assertHttpUri(uri: string, field: string): void {
  const plain = /^https?:\/\/[a-z0-9.:[\]-]+(\/[!-~]*)?$/.test(uri) && uri.length <= 512;
  if (!plain) throw new X509Error('field_not_allowed', `${field}: not an http URI in ASCII`);
}
