/** Object identifiers in dotted form, each with the document that assigns it. */
export const oid = {
  // keys: RFC 3279 §2.3.1, RFC 5480 §2.1
  rsaEncryption: '1.2.840.113549.1.1.1',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  // signatures: RFC 4055 §5, RFC 5758 §3.2
  sha256WithRsaEncryption: '1.2.840.113549.1.1.11',
  sha384WithRsaEncryption: '1.2.840.113549.1.1.12',
  sha512WithRsaEncryption: '1.2.840.113549.1.1.13',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  // names: X.520
  commonName: '2.5.4.3',
  // extensions: RFC 5280 §4.2
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  issuingDistributionPoint: '2.5.29.28',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  ocspAccessMethod: '1.3.6.1.5.5.7.48.1',
  issuerAccessMethod: '1.3.6.1.5.5.7.48.2',
  // OCSP: RFC 6960 §4
  ocspBasicResponse: '1.3.6.1.5.5.7.48.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
  // hashes that name an issuer: RFC 3279 §2.1, RFC 5754 §2.2
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  // attributes of requests: RFC 2985 §5.4.2
  extensionRequest: '1.2.840.113549.1.9.14',
  // purposes: RFC 5280 §4.2.1.12, RFC 6960 §4.2.2.2
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
} as const;

/**
 * Extended key usage of the certificate that signs the broker's key set, and of nothing else. An
 * arc under 2.25 (X.667 §7) belongs to whoever made the UUID: here 5e8f7749-f56c-4e38-9c41-eb8795c714e8,
 * random, made for this purpose. Devices pin it: it never changes.
 */
export const keySetSigningOid = '2.25.125692349520906031277525611952512373992';
