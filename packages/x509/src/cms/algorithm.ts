import type { Bytes } from '../bytes.ts';
import type { DerReader } from '../der/reader.ts';
import { tag } from '../der/tag.ts';
import { encodeNull, encodeOid, encodeSequence } from '../der/writer.ts';
import { oid } from '../object-identifiers.ts';
import { X509Error } from '../result.ts';
import type { SignatureAlgorithm, SignatureHash } from '../signature-algorithm.ts';
import { cmsOid } from './cms-identifiers.ts';

export interface Algorithm {
  readonly id: string;
  /** The element of the parameters; undefined when there are none, or NULL. */
  readonly parameters: Bytes | undefined;
}

/** AlgorithmIdentifier, where absent parameters and NULL are the same (RFC 5754 §2). */
export function readAlgorithm(outer: DerReader, what: string): Algorithm {
  const reader = outer.enter(tag.sequence, what);
  const id = reader.objectIdentifier(what);
  let parameters: Bytes | undefined;
  if (reader.peekTag() === tag.null) reader.null(what);
  else if (!reader.atEnd) parameters = reader.element(reader.peekTag() ?? 0, what);
  reader.finish(what);
  return { id, parameters };
}

const hashes: ReadonlyMap<string, SignatureHash> = new Map([
  [oid.sha256, 'SHA-256'],
  [cmsOid.sha384, 'SHA-384'],
  [cmsOid.sha512, 'SHA-512'],
]);

/** SHA-2 alone: SHA-1 and MD5 are `signature_algorithm_not_allowed`. */
export function readDigestAlgorithm(outer: DerReader): SignatureHash {
  const { id, parameters } = readAlgorithm(outer, 'digest algorithm');
  const hash = hashes.get(id);
  if (hash === undefined || parameters !== undefined) {
    throw new X509Error('signature_algorithm_not_allowed', 'digest algorithm: not on the list');
  }
  return hash;
}

const signatures: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  [oid.sha256WithRsaEncryption, 'rsa-sha256'],
  [oid.sha384WithRsaEncryption, 'rsa-sha384'],
  [oid.sha512WithRsaEncryption, 'rsa-sha512'],
  [oid.ecdsaWithSha256, 'ecdsa-sha256'],
  [oid.ecdsaWithSha384, 'ecdsa-sha384'],
  [oid.ecdsaWithSha512, 'ecdsa-sha512'],
]);

const rsaByHash: Readonly<Record<SignatureHash, SignatureAlgorithm>> = {
  'SHA-256': 'rsa-sha256',
  'SHA-384': 'rsa-sha384',
  'SHA-512': 'rsa-sha512',
};

/** Of a signer: CMS also writes `rsaEncryption` and means the digest algorithm's hash (RFC 3370 §3.2). */
export function readSignerAlgorithm(outer: DerReader, hash: SignatureHash): SignatureAlgorithm {
  const { id, parameters } = readAlgorithm(outer, 'signature algorithm');
  const algorithm = id === oid.rsaEncryption ? rsaByHash[hash] : signatures.get(id);
  if (algorithm === undefined || parameters !== undefined) {
    throw new X509Error('signature_algorithm_not_allowed', 'signature algorithm: not on the list');
  }
  return algorithm;
}

/** AlgorithmIdentifier with NULL, as RSA has it (RFC 3370 §3.2, §4.2.1). */
export function encodeAlgorithmWithNull(id: string): Bytes {
  return encodeSequence(encodeOid(id), encodeNull());
}
