import { type Bytes, equalBytes } from '../bytes.ts';
import { DerReader, ownBytes } from '../der/reader.ts';
import { contextConstructed, tag } from '../der/tag.ts';
import { encodeElement } from '../der/writer.ts';
import { attempt, fail, X509Error, type X509Result } from '../result.ts';
import { fitsKey, type SignatureAlgorithm, type SignatureHash } from '../signature-algorithm.ts';
import { verifySignature } from '../verify-signature.ts';
import { readDigestAlgorithm, readSignerAlgorithm } from './algorithm.ts';
import { cmsOid } from './cms-identifiers.ts';
import { transcodeBer } from './transcode-ber.ts';
import {
  type IssuerAndSerial,
  readCertificateName,
  readIssuerAndSerial,
  readUnverifiedSigner,
  type UnverifiedSigner,
} from './unverified-signer.ts';

/** SignedData with exactly one signer and signed attributes, as read; nothing is verified. */
export interface SignedData {
  /** What is signed; undefined when the message has no content. */
  readonly content: Bytes | undefined;
  /** The certificate, among those in the message, that the signer names. */
  readonly signer: Bytes;
  /** The one value of each signed attribute, a whole element, by the attribute's object identifier. */
  readonly attributes: ReadonlyMap<string, Bytes>;
  /** SignerInfo from its digest algorithm on; read by `verifySignedData`, which may refuse it. */
  readonly signerInfo: Bytes;
}

const maxCertificates = 8;
const maxAttributes = 32;

/**
 * Parses ContentInfo with SignedData (RFC 5652 §3, §5.1), written in DER or BER: one signer, named by
 * issuer and serial number, whose certificate is in the message, and signed attributes. Algorithms
 * are not looked at yet, so that a message whose algorithms are refused can be answered.
 */
export function parseSignedData(message: Uint8Array, maxBytes: number): X509Result<SignedData> {
  return attempt(() => {
    const der = transcodeBer(ownBytes(message, maxBytes, 'message'));
    const reader = enterContentInfo(der, cmsOid.signedData);
    reader.smallInteger('SignedData version');
    reader.element(tag.set, 'digest algorithms');
    const content = readEncapsulatedContent(reader.enter(tag.sequence, 'encapsulated content'));
    const certificates = readCertificates(reader);
    if (reader.peekTag() === contextConstructed(1)) reader.element(contextConstructed(1), 'CRLs');
    const signers = reader.enter(tag.set, 'signers');
    reader.finish('SignedData');
    const signer = signers.enter(tag.sequence, 'signer');
    signers.finish('signers');
    return { content, ...readSigner(signer, certificates) };
  });
}

/** The structure inside of a ContentInfo that must be of this type and nothing else. */
export function enterContentInfo(der: Bytes, type: string): DerReader {
  const outer = new DerReader(der);
  const contentInfo = outer.enter(tag.sequence, 'content info');
  outer.finish('message');
  if (contentInfo.objectIdentifier('content type') !== type) {
    throw new X509Error('malformed_structure', 'content type: another one is expected');
  }
  const explicit = contentInfo.enter(contextConstructed(0), 'content');
  contentInfo.finish('content info');
  const reader = explicit.enter(tag.sequence, 'content');
  explicit.finish('content');
  return reader;
}

function readEncapsulatedContent(reader: DerReader): Bytes | undefined {
  if (reader.objectIdentifier('encapsulated type') !== cmsOid.data) {
    throw new X509Error('malformed_structure', 'encapsulated type: not data');
  }
  if (reader.atEnd) return undefined;
  const explicit = reader.enter(contextConstructed(0), 'encapsulated content');
  const content = explicit.content(tag.octetString, 'encapsulated content');
  explicit.finish('encapsulated content');
  reader.finish('encapsulated content');
  return content;
}

function readCertificates(outer: DerReader): Bytes[] {
  const certificates: Bytes[] = [];
  if (outer.peekTag() !== contextConstructed(0)) return certificates;
  const reader = outer.enter(contextConstructed(0), 'certificates');
  while (!reader.atEnd) certificates.push(reader.element(tag.sequence, 'certificate'));
  if (certificates.length > maxCertificates) {
    throw new X509Error('too_large', `certificates: more than ${maxCertificates}`);
  }
  return certificates;
}

function readSigner(reader: DerReader, certificates: readonly Bytes[]) {
  if (reader.smallInteger('signer version') !== 1) {
    throw new X509Error('version_not_allowed', 'signer version: not 1');
  }
  const named = readIssuerAndSerial(reader, 'signer');
  const signer = certificates.find((der) => namesCertificate(der, named));
  if (signer === undefined) {
    throw new X509Error('malformed_structure', 'signer: its certificate is not in the message');
  }
  const digestAlgorithm = reader.element(tag.sequence, 'digest algorithm');
  const signedAttributes = reader.element(contextConstructed(0), 'signed attributes');
  const signatureAlgorithm = reader.element(tag.sequence, 'signature algorithm');
  const signature = reader.element(tag.octetString, 'signature');
  if (reader.peekTag() === contextConstructed(1)) {
    reader.element(contextConstructed(1), 'unsigned attributes');
  }
  reader.finish('signer');
  return {
    signer,
    attributes: readAttributes(signedAttributes),
    signerInfo: encodeElement(
      tag.sequence,
      digestAlgorithm,
      signedAttributes,
      signatureAlgorithm,
      signature,
    ),
  };
}

/** Whether a certificate has this issuer and serial number; its key is not looked at. */
function namesCertificate(der: Bytes, named: IssuerAndSerial): boolean {
  const { issuer, serialNumber } = readCertificateName(der);
  return serialNumber === named.serialNumber && equalBytes(issuer, named.issuer);
}

/** Each type once, each with one value: that is all that CMS and SCEP use (RFC 5652 §11). */
function readAttributes(element: Bytes): Map<string, Bytes> {
  const set = new DerReader(element).enter(contextConstructed(0), 'signed attributes');
  const attributes = new Map<string, Bytes>();
  let count = 0;
  while (!set.atEnd) {
    count += 1;
    if (count > maxAttributes) throw new X509Error('too_large', 'signed attributes: too many');
    const attribute = set.enter(tag.sequence, 'signed attribute');
    const type = attribute.objectIdentifier('signed attribute');
    const values = attribute.enter(tag.set, 'signed attribute');
    attribute.finish('signed attribute');
    const value = values.element(values.peekTag() ?? 0, 'signed attribute');
    values.finish('signed attribute');
    if (attributes.has(type)) {
      throw new X509Error('duplicate_attribute', 'signed attributes: one type twice');
    }
    attributes.set(type, value);
  }
  return attributes;
}

interface SignerInfo {
  readonly hash: SignatureHash;
  readonly algorithm: SignatureAlgorithm;
  readonly toBeSigned: Bytes;
  readonly signature: Bytes;
}

function readSignerInfo(signerInfo: Bytes): SignerInfo {
  const reader = new DerReader(signerInfo).enter(tag.sequence, 'signer');
  const hash = readDigestAlgorithm(reader);
  const attributes = reader.element(contextConstructed(0), 'signed attributes');
  const algorithm = readSignerAlgorithm(reader, hash);
  if (!algorithm.endsWith(hash.replace('SHA-', ''))) {
    throw new X509Error('signature_algorithm_mismatch', 'signature algorithm: of another hash');
  }
  // RFC 5652 §5.4: what is signed is the SET OF itself, not its implicit tag.
  const toBeSigned = new Uint8Array(attributes);
  toBeSigned[0] = tag.set;
  return { hash, algorithm, toBeSigned, signature: reader.content(tag.octetString, 'signature') };
}

/**
 * Verifies the digest of the content and the signature over the signed attributes with the key of
 * the named certificate (RFC 5652 §5.4, §5.6), SHA-2 alone. Succeeds with that certificate as read,
 * of whose making nothing is thereby said.
 */
export async function verifySignedData(signed: SignedData): Promise<X509Result<UnverifiedSigner>> {
  const read = attempt(() => ({
    info: readSignerInfo(signed.signerInfo),
    signer: readUnverifiedSigner(signed.signer),
  }));
  if (!read.ok) return read;
  const { info, signer } = read.value;
  if (!fitsKey(info.algorithm, signer.subjectPublicKey.kind)) {
    return fail('signature_algorithm_mismatch', 'signature algorithm: not of this key');
  }
  const digest = await crypto.subtle.digest(info.hash, signed.content ?? new Uint8Array(0));
  const stated = attempt(() => readStatedDigest(signed.attributes));
  if (!stated.ok) return stated;
  if (!equalBytes(stated.value, new Uint8Array(digest))) {
    return fail('signature_invalid', 'message digest: not of this content');
  }
  const { algorithm, toBeSigned, signature } = info;
  const statement = { toBeSigned, signatureAlgorithm: algorithm, signature };
  const verified = await verifySignature(statement, signer.subjectPublicKey);
  return verified.ok ? { ok: true, value: signer } : verified;
}

/** The message digest that is signed; the content type beside it must be that of the content. */
function readStatedDigest(attributes: ReadonlyMap<string, Bytes>): Bytes {
  const contentType = attributes.get(cmsOid.contentType);
  const messageDigest = attributes.get(cmsOid.messageDigest);
  if (contentType === undefined || messageDigest === undefined) {
    throw new X509Error(
      'malformed_structure',
      'signed attributes: one that is required is missing',
    );
  }
  if (new DerReader(contentType).objectIdentifier('content type') !== cmsOid.data) {
    throw new X509Error('malformed_structure', 'content type: not that of the content');
  }
  return new DerReader(messageDigest).content(tag.octetString, 'message digest');
}
