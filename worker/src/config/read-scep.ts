import type { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type ParsedCertificate, parseCertificate, verifyIssuedBy } from '@countersign/x509';
import type { IssuerSource } from '../ca/issuer.ts';
import type { ScepSettings } from '../scep/scep-settings.ts';
import { readCertificate } from './read-certificate.ts';
import { SettingError } from './setting-error.ts';

const certificateNames = ['SCEP_RA_CERTIFICATE', 'SCEP_RA_2_CERTIFICATE'] as const;

export type UncheckedScep = {
  readonly [Name in 'SCEP_RA_KEY' | (typeof certificateNames)[number]]?: unknown;
};

const isSet = (raw: unknown) => raw !== undefined && raw !== '';

/** The SubjectPublicKeyInfo of the key, DER. */
function publicHalf(raw: unknown): Buffer {
  const wrong = new SettingError('SCEP_RA_KEY', 'must be an RSA key with 2048 bits, PKCS#8 PEM');
  if (typeof raw !== 'string') throw wrong;
  try {
    const key = createPrivateKey(raw);
    const { modulusLength } = key.asymmetricKeyDetails ?? {};
    if (key.asymmetricKeyType !== 'rsa' || modulusLength !== 2048) throw wrong;
    return createPublicKey(raw).export({ format: 'der', type: 'spki' });
  } catch {
    throw wrong;
  }
}

async function readRaCertificate(
  name: (typeof certificateNames)[number],
  raw: unknown,
  issuer: IssuerSource,
  spki: Buffer,
): Promise<ParsedCertificate> {
  const certificate = readCertificate(name, raw);
  if (!spki.equals(certificate.subjectPublicKey.spki)) {
    throw new SettingError(name, 'is not of SCEP_RA_KEY');
  }
  const parsed = parseCertificate(issuer.issuerCertificate);
  const issued = parsed.ok
    ? await verifyIssuedBy(certificate, parsed.value, 'scep-ra', certificate.notBeforeMs)
    : parsed;
  if (!issued.ok) throw new SettingError(name, `is not issued by its issuer: ${issued.detail}`);
  return certificate;
}

/**
 * Reads SCEP's key with a certificate under each issuer; `undefined` when none of it is set.
 *
 * @throws SettingError
 */
export async function readScep(
  environment: UncheckedScep,
  issuers: readonly IssuerSource[],
): Promise<ScepSettings | undefined> {
  const { SCEP_RA_KEY } = environment;
  if (!isSet(SCEP_RA_KEY) && !isSet(environment.SCEP_RA_CERTIFICATE)) return undefined;
  const spki = publicHalf(SCEP_RA_KEY);
  const certificateByIssuer = new Map<string, Uint8Array>();
  for (const [index, name] of certificateNames.entries()) {
    const issuer = issuers[index];
    if (issuer === undefined) continue;
    const { der } = await readRaCertificate(name, environment[name], issuer, spki);
    certificateByIssuer.set(issuer.issuerId, der);
  }
  const [certificate] = certificateByIssuer.values();
  if (certificate === undefined) throw new SettingError('SCEP_RA_CERTIFICATE', 'is missing');
  return { keyPem: String(SCEP_RA_KEY), certificate, certificateByIssuer };
}
