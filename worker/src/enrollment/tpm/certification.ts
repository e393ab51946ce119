import { algorithm, attestCertify, generatedValue } from './tpm-constants.ts';
import { attempt, concatBytes, TpmFormatError, TpmReader, type TpmResult } from './tpm-reader.ts';

/** What a TPM says about a key that it has (TPMS_ATTEST with TPMS_CERTIFY_INFO), as read. */
export type CertifyInfo = {
  /** What the caller of TPM2_Certify gave. */
  readonly qualifyingData: Uint8Array<ArrayBuffer>;
  /** Of the certified object. */
  readonly name: Uint8Array<ArrayBuffer>;
};

const maxNameBytes = 66;
const maxQualifyingBytes = 64;

/** Parses a TPMS_ATTEST (TPM 2.0 Library, part 2 section 10.12.12) of a certification. */
export function parseCertifyInfo(bytes: Uint8Array): TpmResult<CertifyInfo> {
  return attempt(() => {
    const reader = new TpmReader(bytes);
    if (reader.uint32('magic') !== generatedValue) {
      throw new TpmFormatError('magic: not made by a TPM');
    }
    if (reader.uint16('type') !== attestCertify) {
      throw new TpmFormatError('type: not a certification');
    }
    reader.sized(maxNameBytes, 'qualifiedSigner');
    const qualifyingData = reader.sized(maxQualifyingBytes, 'extraData');
    // clock, resetCount, restartCount
    reader.take(8 + 4 + 4, 'clockInfo');
    const [safe = 2] = reader.take(1, 'clockInfo');
    if (safe > 1) throw new TpmFormatError('clockInfo: neither yes nor no');
    reader.take(8, 'firmwareVersion');
    const name = reader.sized(maxNameBytes, 'name');
    reader.sized(maxNameBytes, 'qualifiedName');
    reader.finish('certify_info');
    return { qualifyingData, name };
  });
}

const scalarBytes = 32;

/**
 * Parses a TPMT_SIGNATURE (part 2 section 11.3.4) of ECDSA on P-256 with SHA-256.
 *
 * @returns r and s side by side, 64 bytes
 */
export function parseEcdsaSignature(bytes: Uint8Array): TpmResult<Uint8Array<ArrayBuffer>> {
  return attempt(() => {
    const reader = new TpmReader(bytes);
    if (reader.uint16('sigAlg') !== algorithm.ecdsa) throw new TpmFormatError('sigAlg: not ECDSA');
    if (reader.uint16('hash') !== algorithm.sha256) throw new TpmFormatError('hash: not SHA-256');
    const [r, s] = ['signatureR', 'signatureS'].map((what) => {
      const value = reader.sized(scalarBytes, what);
      return concatBytes(new Uint8Array(scalarBytes - value.length), value);
    });
    reader.finish('certify_signature');
    return concatBytes(r ?? new Uint8Array(), s ?? new Uint8Array());
  });
}
