import { type Bytes, equalBytes } from '../bytes.ts';
import { DerReader, ownBytes } from '../der/reader.ts';
import { contextConstructed, contextPrimitive, tag } from '../der/tag.ts';
import {
  encodeElement,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
} from '../der/writer.ts';
import { oid } from '../object-identifiers.ts';
import { attempt, X509Error, type X509Result } from '../result.ts';
import { encodeAlgorithmWithNull, readAlgorithm } from './algorithm.ts';
import { cmsOid } from './cms-identifiers.ts';
import { enterContentInfo } from './signed-data.ts';
import { joinOctetStrings, transcodeBer } from './transcode-ber.ts';
import {
  encodeIssuerAndSerial,
  readCertificateName,
  readIssuerAndSerial,
} from './unverified-signer.ts';

/** How contents are encrypted. DES, triple DES and RC2 are refused. */
export type ContentEncryption = 'aes-128-cbc' | 'aes-256-cbc';

const contentEncryptions: ReadonlyArray<readonly [ContentEncryption, string]> = [
  ['aes-128-cbc', cmsOid.aes128Cbc],
  ['aes-256-cbc', cmsOid.aes256Cbc],
];

const blockBytes = 16;
const maxRecipients = 4;

/** EnvelopedData for one of our certificates: everything that is needed to open it. */
export interface EnvelopedData {
  /** The content key, encrypted with RSAES-PKCS1-v1_5. */
  readonly encryptedKey: Bytes;
  readonly contentEncryption: ContentEncryption;
  /** 16 octets. */
  readonly initializationVector: Bytes;
  /** One or more whole blocks. */
  readonly encryptedContent: Bytes;
}

/**
 * Parses ContentInfo with EnvelopedData (RFC 5652 §6), in DER or BER, of which one recipient is one
 * of `recipients` (certificates in DER), by issuer and serial number, with RSA key transport
 * (RFC 3370 §4.2.1), and whose content is encrypted with AES-CBC.
 */
export function parseEnvelopedData(
  message: Uint8Array,
  recipients: readonly Uint8Array[],
  maxBytes: number,
): X509Result<EnvelopedData> {
  return attempt(() => {
    const der = transcodeBer(ownBytes(message, maxBytes, 'envelope'));
    const reader = enterContentInfo(der, cmsOid.envelopedData);
    if (reader.smallInteger('envelope version') > 2) {
      throw new X509Error('version_not_allowed', 'envelope version: not known');
    }
    const encryptedKey = readRecipients(reader.enter(tag.set, 'recipients'), recipients);
    const content = readEncryptedContent(reader.enter(tag.sequence, 'encrypted content'));
    reader.finish('envelope');
    return { encryptedKey, ...content };
  });
}

function readRecipients(set: DerReader, certificates: readonly Uint8Array[]): Bytes {
  const names = certificates.map((der) => readCertificateName(new Uint8Array(der)));
  let found: Bytes | undefined;
  for (let count = 0; !set.atEnd; count++) {
    if (count === maxRecipients) throw new X509Error('too_large', 'recipients: too many');
    const recipient = set.enter(tag.sequence, 'recipient');
    recipient.smallInteger('recipient version');
    const { issuer, serialNumber } = readIssuerAndSerial(recipient, 'recipient');
    const algorithm = readAlgorithm(recipient, 'key encryption');
    const encryptedKey = recipient.content(tag.octetString, 'encrypted key');
    recipient.finish('recipient');
    const isOurs = names.some(
      (name) => name.serialNumber === serialNumber && equalBytes(name.issuer, issuer),
    );
    if (!isOurs) continue;
    if (algorithm.id !== oid.rsaEncryption || algorithm.parameters !== undefined) {
      throw new X509Error('encryption_algorithm_not_allowed', 'key encryption: not on the list');
    }
    found = encryptedKey;
  }
  if (found === undefined) {
    throw new X509Error('recipient_unknown', 'recipients: none has a certificate of ours');
  }
  return found;
}

function readEncryptedContent(reader: DerReader) {
  if (reader.objectIdentifier('encrypted type') !== cmsOid.data) {
    throw new X509Error('malformed_structure', 'encrypted type: not data');
  }
  const { id, parameters } = readAlgorithm(reader, 'content encryption');
  const [contentEncryption] = contentEncryptions.find(([, known]) => known === id) ?? [];
  if (contentEncryption === undefined || parameters === undefined) {
    throw new X509Error('encryption_algorithm_not_allowed', 'content encryption: not on the list');
  }
  const initializationVector = new DerReader(parameters).content(tag.octetString, 'vector');
  const encryptedContent = readPieces(reader);
  reader.finish('encrypted content');
  if (
    initializationVector.length !== blockBytes ||
    encryptedContent.length === 0 ||
    encryptedContent.length % blockBytes !== 0
  ) {
    throw new X509Error('malformed_structure', 'encrypted content: not of whole blocks');
  }
  return { contentEncryption, initializationVector, encryptedContent };
}

/** `[0] IMPLICIT OCTET STRING`, whole or, in BER, in pieces. */
function readPieces(reader: DerReader): Bytes {
  if (reader.peekTag() === contextPrimitive(0)) {
    return reader.content(contextPrimitive(0), 'encrypted content');
  }
  const set = reader.enter(contextConstructed(0), 'encrypted content');
  const pieces: Bytes[] = [];
  while (!set.atEnd) pieces.push(set.element(tag.octetString, 'encrypted content'));
  return joinOctetStrings(pieces);
}

/** ContentInfo with EnvelopedData for one recipient, who is named as their certificate has it. */
export function encodeEnvelopedData(
  envelope: EnvelopedData,
  recipient: Uint8Array,
): X509Result<Bytes> {
  return attempt(() => {
    const [, algorithm = ''] =
      contentEncryptions.find(([name]) => name === envelope.contentEncryption) ?? [];
    const recipientInfo = encodeSequence(
      encodeSmallInteger(0),
      encodeIssuerAndSerial(readCertificateName(new Uint8Array(recipient))),
      encodeAlgorithmWithNull(oid.rsaEncryption),
      encodeOctetString(envelope.encryptedKey),
    );
    const encryptedContent = encodeSequence(
      encodeOid(cmsOid.data),
      encodeSequence(encodeOid(algorithm), encodeOctetString(envelope.initializationVector)),
      encodeElement(contextPrimitive(0), envelope.encryptedContent),
    );
    return encodeContentInfo(
      cmsOid.envelopedData,
      encodeSequence(encodeSmallInteger(0), encodeSetOf(recipientInfo), encryptedContent),
    );
  });
}

/** ContentInfo (RFC 5652 §3). */
export function encodeContentInfo(type: string, content: Uint8Array): Bytes {
  return encodeSequence(encodeOid(type), encodeElement(contextConstructed(0), content));
}
