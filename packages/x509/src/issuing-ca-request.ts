import type { Bytes } from './bytes.ts';
import { contextConstructed } from './der/tag.ts';
import {
  encodeElement,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
} from './der/writer.ts';
import {
  authorityConstraints,
  extendedKeyUsageExtension,
  keyUsageExtension,
} from './encode-extension.ts';
import { encodeName } from './name.ts';
import { oid } from './object-identifiers.ts';
import { attempt, expectValue, type X509Result } from './result.ts';
import type { SubjectPublicKey } from './subject-public-key.ts';

/**
 * CertificationRequestInfo (RFC 2986 §4.1) of an issuing authority, for a root that is kept elsewhere.
 * It asks for the extensions that `verifyIssuedBy` then wants to see (RFC 2985 §5.4.2), so that tools
 * that copy them from the request make the right certificate. Sign it and pass it to
 * `assembleCertificationRequest`.
 */
export function buildIssuingCaRequestInfo(
  subjectPublicKey: SubjectPublicKey,
  commonName: string,
): X509Result<Bytes> {
  return attempt(() => {
    const extensions = encodeSequence(
      authorityConstraints(0),
      keyUsageExtension('keyCertSign', 'crlSign'),
      extendedKeyUsageExtension(false, oid.clientAuth, oid.ocspSigning),
    );
    return encodeSequence(
      encodeSmallInteger(0),
      expectValue(encodeName(commonName)),
      subjectPublicKey.spki,
      encodeElement(
        contextConstructed(0),
        encodeSequence(encodeOid(oid.extensionRequest), encodeSetOf(extensions)),
      ),
    );
  });
}
