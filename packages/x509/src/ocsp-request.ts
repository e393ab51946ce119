import type { Bytes } from './bytes.ts';
import { hexOf } from './bytes.ts';
import { readSerialNumber } from './certificate.ts';
import { DerReader, ownBytes } from './der/reader.ts';
import { contextConstructed, tag } from './der/tag.ts';
import { assertWellFormedElement } from './der/well-formed.ts';
import { oid } from './object-identifiers.ts';
import { readExtensionList } from './read-extension-list.ts';
import { attempt, X509Error, type X509Result } from './result.ts';

/** More than sixteen questions with a signature need. */
export const maxOcspRequestBytes = 8192;
export const maxOcspQuestions = 16;
/** RFC 9654 §2.1. */
export const maxOcspNonceOctets = 128;

export type OcspHash = 'SHA-1' | 'SHA-256';

/** CertID (RFC 6960 §4.1.1): whose status is asked for. */
export interface OcspCertificateId {
  /** The whole CertID, as an answer has to repeat it. */
  readonly der: Bytes;
  readonly hash: OcspHash;
  /** Of the issuer's subject in DER. Lower-case hexadecimal. */
  readonly issuerNameHash: string;
  /** Of the issuer's public key bits. Lower-case hexadecimal. */
  readonly issuerKeyHash: string;
  /** Lower-case hexadecimal, as in `ParsedCertificate`. */
  readonly serialNumber: string;
}

export interface OcspRequest {
  /** One to sixteen. */
  readonly certificateIds: readonly OcspCertificateId[];
  /** 1 to 128 octets. */
  readonly nonce: Bytes | undefined;
}

/**
 * Parses an OCSPRequest (RFC 6960 §4.1). Certificate ids with SHA-1 and SHA-256. A signature is passed
 * over, because answers are for everybody; extensions other than the nonce are too, unless critical.
 */
export function parseOcspRequest(der: Uint8Array): X509Result<OcspRequest> {
  return attempt(() => {
    const outer = new DerReader(ownBytes(der, maxOcspRequestBytes, 'OCSP request'));
    const request = outer.enter(tag.sequence, 'OCSP request');
    outer.finish('OCSP request');
    const tbs = request.enter(tag.sequence, 'tbsRequest');
    passOver(request, 0, 'signature');
    request.finish('OCSP request');
    // Version 1 is the default, which DER does not write.
    if (tbs.peekTag() === contextConstructed(0)) {
      throw new X509Error('version_not_allowed', 'version: not 1');
    }
    passOver(tbs, 1, 'requestorName');
    const certificateIds = readQuestions(tbs.enter(tag.sequence, 'requestList'));
    const nonce = readNonce(tbs);
    tbs.finish('tbsRequest');
    return { certificateIds, nonce };
  });
}

function passOver(reader: DerReader, number: number, what: string): void {
  if (reader.peekTag() !== contextConstructed(number)) return;
  assertWellFormedElement(reader.element(contextConstructed(number), what), what);
}

function readQuestions(list: DerReader): OcspCertificateId[] {
  const ids: OcspCertificateId[] = [];
  while (!list.atEnd) {
    if (ids.length === maxOcspQuestions) {
      throw new X509Error('too_many_requests', `requestList: more than ${maxOcspQuestions}`);
    }
    const question = list.enter(tag.sequence, 'request');
    ids.push(readCertificateId(question.element(tag.sequence, 'certID')));
    if (question.peekTag() === contextConstructed(0)) {
      const extensions = question.enter(contextConstructed(0), 'extensions');
      readExtensionList(extensions, () => false);
      extensions.finish('extensions');
    }
    question.finish('request');
  }
  if (ids.length === 0) throw new X509Error('malformed_structure', 'requestList: empty');
  return ids;
}

function readCertificateId(der: Bytes): OcspCertificateId {
  const id = new DerReader(der).enter(tag.sequence, 'certID');
  const algorithm = id.enter(tag.sequence, 'hash algorithm');
  const hash = hashes.get(algorithm.objectIdentifier('hash algorithm'));
  // RFC 3279 §2.1, RFC 5754 §2: without parameters or with NULL, and both are to be taken.
  if (!algorithm.atEnd) algorithm.null('hash algorithm');
  algorithm.finish('hash algorithm');
  if (hash === undefined) {
    throw new X509Error('hash_algorithm_not_allowed', 'hash algorithm: not SHA-1 or SHA-256');
  }
  const readHash = (what: string) => {
    const octets = id.content(tag.octetString, what);
    if (octets.length !== (hash === 'SHA-1' ? 20 : 32)) {
      throw new X509Error('malformed_structure', `${what}: not of its algorithm's length`);
    }
    return hexOf(octets);
  };
  const issuerNameHash = readHash('issuerNameHash');
  const issuerKeyHash = readHash('issuerKeyHash');
  const serialNumber = readSerialNumber(id);
  id.finish('certID');
  return { der, hash, issuerNameHash, issuerKeyHash, serialNumber };
}

const hashes: ReadonlyMap<string, OcspHash> = /* @__PURE__ */ new Map([
  [oid.sha1, 'SHA-1'],
  [oid.sha256, 'SHA-256'],
]);

function readNonce(tbs: DerReader): Bytes | undefined {
  if (tbs.peekTag() !== contextConstructed(2)) return undefined;
  let nonce: Bytes | undefined;
  const wrapper = tbs.enter(contextConstructed(2), 'extensions');
  readExtensionList(wrapper, (id, value) => {
    if (id !== oid.ocspNonce) return false;
    nonce = value.content(tag.octetString, 'nonce');
    if (nonce.length === 0 || nonce.length > maxOcspNonceOctets) {
      throw new X509Error('nonce_not_allowed', `nonce: not 1 to ${maxOcspNonceOctets} octets`);
    }
    return true;
  });
  wrapper.finish('extensions');
  return nonce;
}
