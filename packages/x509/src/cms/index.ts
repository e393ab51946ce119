export {
  octetsValue,
  printableValue,
  readOctetsValue,
  readPrintableValue,
  utf8Value,
} from './attribute-values.ts';
export { cmsOid } from './cms-identifiers.ts';
export {
  type AttributeValue,
  assembleSignedData,
  encodeCertificatesOnly,
  encodeSignedAttributes,
} from './encode-signed-data.ts';
export {
  type ContentEncryption,
  type EnvelopedData,
  encodeEnvelopedData,
  parseEnvelopedData,
} from './enveloped-data.ts';
export { type RequestClaims, readRequestClaims } from './request-claims.ts';
export { parseSignedData, type SignedData, verifySignedData } from './signed-data.ts';
export type { IssuerAndSerial, UnverifiedSigner } from './unverified-signer.ts';
