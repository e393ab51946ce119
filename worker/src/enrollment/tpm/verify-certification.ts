import type { ProblemCode } from '@countersign/protocol';
import { parseCertifyInfo, parseEcdsaSignature } from './certification.ts';
import { hasAttributes, nameOf, type PublicArea, parsePublicArea, spkiOf } from './public-area.ts';
import { algorithm } from './tpm-constants.ts';
import { equalBytes } from './tpm-reader.ts';

export type UnverifiedCertification = {
  /** TPMS_ATTEST. */
  readonly certifyInfo: Uint8Array<ArrayBuffer>;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** TPMT_PUBLIC of the device key. */
  readonly keyPublic: Uint8Array;
};

export type CertificationExpectations = {
  /** Of a key that `isAttestationKey` accepted and that the TPM proved to have. */
  readonly attestationKey: PublicArea;
  /** SHA-256 of the certificate signing request, DER. */
  readonly csrSha256: Uint8Array;
  /** Of the key in it: SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
};

export type CertificationRefusal = {
  readonly ok: false;
  readonly code: Extract<
    ProblemCode,
    | 'attestation_malformed'
    | 'attestation_signature_invalid'
    | 'attestation_wrong_request'
    | 'attested_key_mismatch'
    | 'attested_key_not_protected'
  >;
  readonly field: 'authority.certify_info' | 'authority.certify_signature' | 'authority.key_public';
  readonly detail: string;
};

/**
 * Signs nothing but what its TPM has made itself, with ECDSA on P-256 and SHA-256, and cannot leave it. `restricted` is
 * what all else stands on: any other key would sign a certification that somebody typed.
 */
export function isAttestationKey(area: PublicArea): boolean {
  const needed = ['fixedTpm', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const;
  return (
    hasAttributes(area, needed, ['decrypt', 'encryptedDuplication', 'x509Sign']) &&
    area.nameHash === 'SHA-256' &&
    area.key.kind === 'P-256' &&
    area.symmetricBits === undefined &&
    area.scheme?.algorithm === algorithm.ecdsa &&
    area.scheme.hash === algorithm.sha256
  );
}

/** Made in its TPM, and there for good: no copy of it can be taken out, for another parent or another TPM. */
function isDeviceKey(area: PublicArea): boolean {
  const needed = ['fixedTpm', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const;
  const forbidden = ['restricted', 'decrypt', 'encryptedDuplication', 'x509Sign'] as const;
  return hasAttributes(area, needed, forbidden);
}

/**
 * Does a TPM say that it has the key of this request, for good? In order: form; the attestation key's signature; made
 * for this request; the public area is the certified one; it cannot leave the TPM; its key is the request's.
 */
export async function verifyCertification(
  unverified: UnverifiedCertification,
  expected: CertificationExpectations,
): Promise<{ readonly ok: true } | CertificationRefusal> {
  const refuse = (
    code: CertificationRefusal['code'],
    member: 'certify_info' | 'certify_signature' | 'key_public',
    detail: string,
  ): CertificationRefusal => ({ ok: false, code, field: `authority.${member}`, detail });
  const info = parseCertifyInfo(unverified.certifyInfo);
  if (!info.ok) return refuse('attestation_malformed', 'certify_info', info.detail);
  const signature = parseEcdsaSignature(unverified.signature);
  if (!signature.ok) return refuse('attestation_malformed', 'certify_signature', signature.detail);
  const area = parsePublicArea(unverified.keyPublic);
  if (!area.ok) return refuse('attestation_malformed', 'key_public', area.detail);

  if (!(await isSignedBy(expected.attestationKey, signature.value, unverified.certifyInfo))) {
    const detail = 'not a signature of the attestation key';
    return refuse('attestation_signature_invalid', 'certify_signature', detail);
  }
  if (!equalBytes(info.value.qualifyingData, expected.csrSha256)) {
    const detail = 'the qualifying data is not the SHA-256 of the request';
    return refuse('attestation_wrong_request', 'certify_info', detail);
  }
  if (!equalBytes(info.value.name, await nameOf(area.value))) {
    return refuse('attested_key_mismatch', 'key_public', 'not what the TPM certified');
  }
  if (!isDeviceKey(area.value)) {
    const detail = 'the attributes do not keep the key in its TPM, or it does more than sign';
    return refuse('attested_key_not_protected', 'key_public', detail);
  }
  const spki = await spkiOf(area.value.key);
  if (spki === undefined || !equalBytes(spki, expected.spki)) {
    return refuse('attested_key_mismatch', 'key_public', 'not the key of the request');
  }
  return { ok: true };
}

async function isSignedBy(
  attestationKey: PublicArea,
  signature: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const spki = await spkiOf(attestationKey.key);
  if (spki === undefined) return false;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('spki', spki, algorithm, false, ['verify']);
  return await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, data);
}
