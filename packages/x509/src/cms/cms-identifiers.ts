/** Object identifiers of CMS and of what it is used with, each with the document that assigns it. */
export const cmsOid = {
  // content types: RFC 5652 §4, §5.1, §6.1
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  // signed attributes: RFC 5652 §11
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  // attributes of requests: RFC 2985 §5.4.1
  challengePassword: '1.2.840.113549.1.9.7',
  // hashes beside SHA-256: RFC 5754 §2
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  // content encryption: RFC 3565 §4.1
  aes128Cbc: '2.16.840.1.101.3.4.1.2',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  // names: X.520
  serialNumber: '2.5.4.5',
} as const;
