import type { ProblemCode } from '@countersign/protocol';
import {
  decodePem,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import { climbToRoot, endorsementPurpose, isValidAt } from './endorsement-chain.ts';
import { hasAttributes, type PublicArea, parsePublicArea, spkiOf } from './public-area.ts';
import { equalBytes } from './tpm-reader.ts';

export type EndorsementRefusal = {
  readonly ok: false;
  readonly code: Extract<ProblemCode, `endorsement_${string}`>;
  readonly field: 'endorsement_certificate' | 'intermediate_certificates' | 'endorsement_public';
  readonly detail: string;
};

export type UnverifiedEndorsement = {
  /** DER. */
  readonly certificate: Uint8Array;
  /** DER, in any order. */
  readonly intermediates: readonly Uint8Array[];
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array;
};

export type Endorsement = {
  readonly publicArea: PublicArea;
  /** Names the TPM: of the key's SubjectPublicKeyInfo. */
  readonly keySha256: Uint8Array<ArrayBuffer>;
};

type Refusal = Pick<EndorsementRefusal, 'code' | 'field' | 'detail'>;
const refuse = (refusal: Refusal): EndorsementRefusal => ({ ok: false, ...refusal });

/**
 * Is this the endorsement key of a real TPM of these makers? In order: the certificates are well-formed; the first is
 * one of an endorsement key, and valid; a way leads from it to a root; the public area is that of an endorsement key, and
 * of the key in the certificate.
 *
 * @param rootsPem each one certificate; a maker's root, or an authority under it
 */
export async function verifyEndorsement(
  unverified: UnverifiedEndorsement,
  rootsPem: readonly string[],
  nowMs: number,
): Promise<({ readonly ok: true } & Endorsement) | EndorsementRefusal> {
  const field = 'endorsement_certificate';
  const certificate = parseCertificate(unverified.certificate);
  if (!certificate.ok) {
    const { detail } = certificate;
    return refuse({ code: 'endorsement_certificate_malformed', field, detail });
  }
  const intermediates: ParsedCertificate[] = [];
  for (const der of unverified.intermediates) {
    const parsed = parseCertificate(der);
    if (!parsed.ok) {
      return refuse({
        code: 'endorsement_certificate_malformed',
        field: 'intermediate_certificates',
        detail: parsed.detail,
      });
    }
    intermediates.push(parsed.value);
  }
  const fault = findProfileFault(certificate.value);
  if (fault !== undefined) {
    return refuse({ code: 'endorsement_certificate_untrusted', field, detail: fault });
  }
  if (!isValidAt(certificate.value, nowMs)) {
    const detail = 'the certificate is not valid at this time';
    return refuse({ code: 'endorsement_certificate_expired', field, detail });
  }
  const chain = await climbToRoot(certificate.value, readRoots(rootsPem), intermediates, nowMs);
  if (!chain.ok) {
    return refuse({ code: `endorsement_certificate_${chain.reason}`, field, detail: chain.detail });
  }
  return await matchPublicArea(unverified.publicArea, certificate.value);
}

/** One that the parser does not take is as good as none: nothing leads to it. */
function readRoots(rootsPem: readonly string[]): ParsedCertificate[] {
  return rootsPem.flatMap((pem) => {
    const der = decodePem(pem, 'CERTIFICATE');
    const parsed = der.ok ? parseCertificate(der.value) : der;
    return parsed.ok ? [parsed.value] : [];
  });
}

/** TCG EK Credential Profile, section 3.2. A certificate for "any" purpose, or without a purpose, is not for this one. */
function findProfileFault({ extensions, subjectPublicKey }: ParsedCertificate): string | undefined {
  const { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } = extensions;
  if (basicConstraints?.isCa === true) return 'the certificate is one of an authority';
  if (extendedKeyUsage?.includes(endorsementPurpose) !== true) {
    return 'extendedKeyUsage: not for an endorsement key';
  }
  const usage = subjectPublicKey.kind === 'rsa' ? 'keyEncipherment' : 'keyAgreement';
  if (keyUsage?.includes(usage) !== true) return `keyUsage: without ${usage}`;
  // The TPM's manufacturer, model and version, in a directoryName.
  if (subjectAltName === undefined || subjectAltName.otherNames === 0) {
    return 'subjectAltName: does not name a TPM';
  }
  const key = parseSubjectPublicKeyInfo(subjectPublicKey.spki);
  return key.ok ? undefined : key.detail;
}

async function matchPublicArea(
  bytes: Uint8Array,
  { subjectPublicKey }: ParsedCertificate,
): Promise<({ readonly ok: true } & Endorsement) | EndorsementRefusal> {
  const mismatch = (detail: string) =>
    refuse({ code: 'endorsement_key_mismatch', field: 'endorsement_public', detail });
  const area = parsePublicArea(bytes);
  if (!area.ok) return mismatch(area.detail);
  if (!isEndorsementKey(area.value))
    return mismatch('the attributes are not of an endorsement key');
  const spki = await spkiOf(area.value.key);
  if (spki === undefined) return mismatch('the point is not on its curve');
  if (!equalBytes(spki, subjectPublicKey.spki)) return mismatch('not the key of the certificate');
  const keySha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', spki));
  return { ok: true, publicArea: area.value, keySha256 };
}

/** TCG EK Credential Profile, annex B: decrypts for its own TPM alone, and signs nothing. */
function isEndorsementKey(area: PublicArea): boolean {
  const needed = [
    'fixedTpm',
    'fixedParent',
    'sensitiveDataOrigin',
    'restricted',
    'decrypt',
  ] as const;
  return (
    hasAttributes(area, needed, ['sign', 'stClear', 'encryptedDuplication']) &&
    area.scheme === undefined &&
    area.symmetricBits !== undefined
  );
}
