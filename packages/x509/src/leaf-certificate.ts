import { concatBytes } from './bytes.ts';
import type { ParsedCertificate } from './certificate.ts';
import { deviceUriOf } from './device-uri.ts';
import {
  authorityInfoAccessExtension,
  authorityKeyIdentifierExtension,
  crlDistributionPointExtension,
  endEntityConstraints,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
  uriName,
} from './encode-extension.ts';
import { encodeName } from './name.ts';
import { oid } from './object-identifiers.ts';
import { attempt, expectValue, type X509Result } from './result.ts';
import {
  algorithmIdentifierOf,
  assertCanIssue,
  type CertificateToBeSigned,
  type CommonFields,
  encodeToBeSigned,
  validityWithin,
} from './to-be-signed.ts';

/** What all leaves of one issuer share. */
export interface LeafProfile {
  /** Where the issuer's OCSP responder is, http or https; no such extension when left out. */
  readonly ocspUri?: string;
  /** Where the issuer's certificate is, http or https; not named when left out. */
  readonly issuerUri?: string;
}

export interface LeafFields extends CommonFields {
  /** Goes into the SAN as `urn:countersign:device:<device id>`. */
  readonly deviceId: string;
  /** Where the CRL of the certificate's shard is, http or https; no such extension when left out. */
  readonly crlDistributionPoint?: string;
}

export type LeafTemplate = (fields: LeafFields) => X509Result<CertificateToBeSigned>;

/**
 * Prepares everything that is the same in all device certificates of one issuer; the function that
 * comes back then costs a few microseconds for each. The issuer's subject is taken byte for byte.
 * `worker/docs/certificate-profile.md` lists every field with its reason.
 */
export function createLeafTemplate(
  issuer: ParsedCertificate,
  profile: LeafProfile = {},
): X509Result<LeafTemplate> {
  return attempt(() => {
    const authorityKeyIdentifier = assertCanIssue(issuer);
    const algorithmAndIssuer = concatBytes(
      algorithmIdentifierOf(issuer.subjectPublicKey.kind),
      issuer.subject.der,
    );
    const { ocspUri, issuerUri } = profile;
    const hasAccess = ocspUri !== undefined || issuerUri !== undefined;
    const fixedExtensions = concatBytes(
      endEntityConstraints(),
      keyUsageExtension('digitalSignature'),
      extendedKeyUsageExtension(false, oid.clientAuth),
      authorityKeyIdentifierExtension(authorityKeyIdentifier),
      ...(hasAccess ? [authorityInfoAccessExtension(ocspUri, issuerUri)] : []),
    );
    return (fields) =>
      attempt(() => {
        const validity = validityWithin(fields, issuer);
        const { crlDistributionPoint, subjectPublicKey } = fields;
        const extensions = [
          fixedExtensions,
          subjectKeyIdentifierExtension(subjectPublicKey.keyIdentifier),
          subjectAltNameExtension(uriName(expectValue(deviceUriOf(fields.deviceId)))),
        ];
        if (crlDistributionPoint !== undefined) {
          extensions.push(crlDistributionPointExtension(crlDistributionPoint));
        }
        const toBeSigned = encodeToBeSigned({
          serialNumber: fields.serialNumber,
          algorithmAndIssuer,
          validity,
          subject: expectValue(encodeName(fields.commonName)),
          spki: subjectPublicKey.spki,
          extensions,
        });
        return { toBeSigned, ...validity };
      });
  });
}
