import type { Bytes } from '../bytes.ts';
import { contextConstructed } from '../der/tag.ts';
import {
  encodeElement,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
} from '../der/writer.ts';
import { oid } from '../object-identifiers.ts';
import { attempt, type X509Result } from '../result.ts';
import { encodeAlgorithmWithNull } from './algorithm.ts';
import { cmsOid } from './cms-identifiers.ts';
import { encodeContentInfo } from './enveloped-data.ts';
import { encodeIssuerAndSerial, readCertificateName } from './unverified-signer.ts';

/** The one value of a signed attribute. */
export interface AttributeValue {
  readonly type: string;
  /** A whole element. */
  readonly value: Uint8Array;
}

function encodeAttribute({ type, value }: AttributeValue): Bytes {
  return encodeSequence(encodeOid(type), encodeSetOf(value));
}

/**
 * The SET OF signed attributes: what the signer signs, with RSA and SHA-256. Content type and message
 * digest (SHA-256 of the content, of nothing when there is none) are added to `attributes`.
 */
export async function encodeSignedAttributes(
  content: Uint8Array<ArrayBuffer> | undefined,
  attributes: readonly AttributeValue[],
): Promise<Bytes> {
  const digest = await crypto.subtle.digest('SHA-256', content ?? new Uint8Array(0));
  return encodeSetOf(
    ...[
      { type: cmsOid.contentType, value: encodeOid(cmsOid.data) },
      { type: cmsOid.messageDigest, value: encodeOctetString(new Uint8Array(digest)) },
      ...attributes,
    ].map(encodeAttribute),
  );
}

/** A ContentInfo with SignedData (RFC 5652 §5.1) of one RSA signer, whose certificate goes with it. */
export function assembleSignedData(fields: {
  readonly content: Uint8Array | undefined;
  /** From `encodeSignedAttributes`. */
  readonly signedAttributes: Uint8Array;
  /** RSASSA-PKCS1-v1_5 with SHA-256 over them. */
  readonly signature: Uint8Array;
  /** Certificate in DER. */
  readonly signer: Uint8Array;
}): X509Result<Bytes> {
  return attempt(() => {
    const { content, signedAttributes, signature, signer } = fields;
    const implicit = new Uint8Array(signedAttributes);
    implicit[0] = contextConstructed(0);
    const digestAlgorithm = encodeSequence(encodeOid(oid.sha256));
    const signerInfo = encodeSequence(
      encodeSmallInteger(1),
      encodeIssuerAndSerial(readCertificateName(new Uint8Array(signer))),
      digestAlgorithm,
      implicit,
      // RFC 3370 section 3.2: what every client understands, and some alone.
      encodeAlgorithmWithNull(oid.rsaEncryption),
      encodeOctetString(signature),
    );
    const encapsulated =
      content === undefined
        ? encodeSequence(encodeOid(cmsOid.data))
        : encodeSequence(
            encodeOid(cmsOid.data),
            encodeElement(contextConstructed(0), encodeOctetString(content)),
          );
    return encodeContentInfo(
      cmsOid.signedData,
      encodeSequence(
        encodeSmallInteger(1),
        encodeSetOf(digestAlgorithm),
        encapsulated,
        encodeElement(contextConstructed(0), signer),
        encodeSetOf(signerInfo),
      ),
    );
  });
}

/**
 * The degenerate SignedData that carries certificates alone (RFC 5652 §5.1; RFC 8894 section 3.4), in
 * the order given: clients take the first for their own.
 */
export function encodeCertificatesOnly(certificates: readonly Uint8Array[]): Bytes {
  return encodeContentInfo(
    cmsOid.signedData,
    encodeSequence(
      encodeSmallInteger(1),
      encodeSetOf(),
      encodeSequence(encodeOid(cmsOid.data)),
      encodeElement(contextConstructed(0), ...certificates),
      encodeSetOf(),
    ),
  );
}
