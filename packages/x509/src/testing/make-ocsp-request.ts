import type { Bytes } from '../bytes.ts';
import type { ParsedCertificate } from '../certificate.ts';
import { contextConstructed, tag } from '../der/tag.ts';
import {
  encodeElement,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
} from '../der/writer.ts';
import { ocspNonceExtension } from '../encode-extension.ts';
import { oid } from '../object-identifiers.ts';
import type { OcspHash } from '../ocsp-request.ts';

export async function certificateIdOf(
  issuer: ParsedCertificate,
  serialNumber: string,
  hash: OcspHash = 'SHA-1',
  hasNull = true,
): Promise<Bytes> {
  const digest = async (bytes: Bytes) => new Uint8Array(await crypto.subtle.digest(hash, bytes));
  const padded = Number.parseInt(serialNumber.slice(0, 2), 16) >= 0x80 ? `00${serialNumber}` : '';
  return encodeSequence(
    encodeSequence(
      encodeOid(hash === 'SHA-1' ? oid.sha1 : oid.sha256),
      ...(hasNull ? [encodeNull()] : []),
    ),
    encodeOctetString(await digest(issuer.subject.der)),
    encodeOctetString(await digest(issuer.subjectPublicKey.publicKeyBits)),
    encodeElement(tag.integer, Buffer.from(padded || serialNumber, 'hex')),
  );
}

export interface OcspRequestParts {
  readonly certificateIds: readonly Uint8Array[];
  readonly nonce?: Uint8Array;
  /** Elements before the list of questions. */
  readonly before?: readonly Uint8Array[];
  /** Extensions in DER; in place of the nonce's. */
  readonly extensions?: readonly Uint8Array[];
  /** Elements after the part that would be signed. */
  readonly after?: readonly Uint8Array[];
}

export function ocspRequestOf(parts: OcspRequestParts): Bytes {
  const { certificateIds, nonce, before = [], after = [] } = parts;
  const extensions = parts.extensions ?? (nonce === undefined ? [] : [ocspNonceExtension(nonce)]);
  return encodeSequence(
    encodeSequence(
      ...before,
      encodeSequence(...certificateIds.map((id) => encodeSequence(id))),
      ...(extensions.length === 0
        ? []
        : [encodeElement(contextConstructed(2), encodeSequence(...extensions))]),
    ),
    ...after,
  );
}
