export {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
} from './build-certification-request.ts';
export { assembleCrl, buildCrlToBeSigned, type CrlFields, maxCrlBytes } from './build-crl.ts';
export type { Bytes } from './bytes.ts';
export {
  buildIssuingCaToBeSigned,
  buildKeySetSignerToBeSigned,
  buildRootToBeSigned,
} from './ca-certificate.ts';
export {
  maxCertificateBytes,
  type ParsedCertificate,
  parseCertificate,
  verifyCertificateSignature,
} from './certificate.ts';
export type {
  BasicConstraints,
  CertificateExtensions,
  KeyUsage,
  SubjectAltName,
} from './certificate-extensions.ts';
export {
  type CertificationRequest,
  maxCertificationRequestBytes,
  parseCertificationRequest,
  verifyProofOfPossession,
} from './certification-request.ts';
export { CrlEntries } from './crl-entries.ts';
export { deviceUriOf, readDeviceUri } from './device-uri.ts';
export { type EcCurve, ecdsaSignatureFromRaw, ecdsaSignatureToRaw } from './ecdsa-signature.ts';
export { buildIssuingCaRequestInfo } from './issuing-ca-request.ts';
export {
  createLeafTemplate,
  type LeafFields,
  type LeafProfile,
  type LeafTemplate,
} from './leaf-certificate.ts';
export { encodeName, type Name } from './name.ts';
export { keySetSigningOid } from './object-identifiers.ts';
export { namesIssuer, type OcspIssuerHashes, ocspIssuerHashes } from './ocsp-issuer-hashes.ts';
export {
  maxOcspRequestBytes,
  type OcspCertificateId,
  type OcspRequest,
  parseOcspRequest,
} from './ocsp-request.ts';
export { buildOcspResponderToBeSigned } from './ocsp-responder-certificate.ts';
export {
  assembleOcspResponse,
  buildOcspResponseData,
  encodeOcspError,
  type OcspAnswer,
  type OcspErrorStatus,
  type OcspResponseFields,
  type OcspStatus,
} from './ocsp-response.ts';
export {
  type ParsedCrl,
  parseCrl,
  type RevokedCertificate,
  verifyCrlSignature,
} from './parse-crl.ts';
export { decodePem, decodePemSequence, encodePem, type PemLabel } from './pem.ts';
export type { X509Failure, X509FailureReason, X509Result } from './result.ts';
export type { RevocationReason } from './revocation-reason.ts';
export { buildScepRaToBeSigned } from './scep-ra-certificate.ts';
export { serialNumberFromRandom } from './serial-number.ts';
export {
  type SignatureAlgorithm,
  type SignatureHash,
  signatureAlgorithmOf,
} from './signature-algorithm.ts';
export {
  type IdentifiedPublicKey,
  identifyPublicKey,
  importVerifyKey,
  type KeyKind,
  parseSubjectPublicKeyInfo,
  type SubjectPublicKey,
} from './subject-public-key.ts';
export { buildTlsServerToBeSigned, type TlsServerFields } from './tls-server-certificate.ts';
export {
  assembleCertificate,
  type CertificateToBeSigned,
  type CommonFields,
  type Validity,
} from './to-be-signed.ts';
export { type CertificatePurpose, verifyIssuedBy } from './verify-issued-by.ts';
export { type IssuingChain, verifyIssuingChain } from './verify-issuing-chain.ts';
