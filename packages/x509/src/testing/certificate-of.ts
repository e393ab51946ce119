import type { Bytes } from '../bytes.ts';
import { contextConstructed } from '../der/tag.ts';
import { encodeTime } from '../der/time.ts';
import {
  encodeBoolean,
  encodeElement,
  encodeOctetAlignedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
} from '../der/writer.ts';
import { endEntityConstraints } from '../encode-extension.ts';
import { encodeName } from '../name.ts';
import { oid } from '../object-identifiers.ts';
import { encodeSignatureAlgorithm } from '../signature-algorithm.ts';
import { must, start } from './make-certificates.ts';
import { ecSpki, p256BasePoint } from './make-keys.ts';

const basePointSpki = ecSpki(encodeOid(oid.p256), p256BasePoint);
const ecdsa = encodeSignatureAlgorithm('ecdsa-sha256');
const version3 = encodeElement(contextConstructed(0), encodeSmallInteger(2));
export const validityOf = (notBeforeMs: number, notAfterMs: number) =>
  encodeSequence(encodeTime(notBeforeMs), encodeTime(notAfterMs));
export const extensionOf = (id: string, value: Uint8Array, isCritical = false) =>
  encodeSequence(
    encodeOid(id),
    ...(isCritical ? [encodeBoolean(true)] : []),
    encodeOctetString(value),
  );

export interface CertificateParts {
  readonly version?: Uint8Array;
  readonly serialNumber?: Uint8Array;
  readonly innerAlgorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  readonly uniqueIds?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly signature?: Uint8Array;
}

/** A certificate of any parts; its signature is one octet, because nothing here looks at it. */
export function certificateOf(parts: CertificateParts): Bytes {
  const tbs = encodeSequence(
    parts.version ?? version3,
    parts.serialNumber ?? encodeSmallInteger(7),
    parts.innerAlgorithm ?? ecdsa,
    parts.issuer ?? must(encodeName('issuer')),
    parts.validity ?? validityOf(start, start + 1000),
    parts.subject ?? must(encodeName('subject')),
    parts.spki ?? basePointSpki,
    parts.uniqueIds ?? new Uint8Array(),
    encodeElement(
      contextConstructed(3),
      encodeSequence(...(parts.extensions ?? [endEntityConstraints()])),
    ),
  );
  return encodeSequence(
    tbs,
    parts.outerAlgorithm ?? ecdsa,
    parts.signature ?? encodeOctetAlignedBits(new Uint8Array(1)),
  );
}
