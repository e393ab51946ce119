/** The registration authority's key of SCEP (RFC 8894 section 2.1.2): RSA, and no authority's. */
export type ScepSettings = {
  /** PKCS#8 PEM, RSA with 2048 bits. */
  readonly keyPem: string;
  /** DER, under the first issuer. */
  readonly certificate: Uint8Array;
  /** DER, by the id of the issuer that it is under. Never empty. */
  readonly certificateByIssuer: ReadonlyMap<string, Uint8Array>;
};
