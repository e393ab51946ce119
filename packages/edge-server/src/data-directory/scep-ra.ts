import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { verifyIssuedBy } from '@countersign/x509';
import { EdgeServerError } from '../edge-server-error.ts';
import { replaceFile, writeFileOnce } from './durable-files.ts';
import type { IssuerName } from './issuers.ts';
import type { DataPaths } from './layout.ts';
import { makeScepRaCertificate, parseOwnCertificate } from './make-certificates.ts';
import { readP256Key } from './private-key.ts';

/** SCEP's registration authority: an RSA key of its own, because clients encrypt to it, with a certificate under each issuer. */

const renewBeforeMs = 365 * 86_400_000;

/** Makes the key where there is none. Whoever was faster made one that is as good. */
export function makeScepRaKey(paths: DataPaths): void {
  if (existsSync(paths.scepRaKey)) return;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileOnce(paths.scepRaKey, privateKey.export({ format: 'pem', type: 'pkcs8' }));
}

function readScepRaKey(paths: DataPaths): KeyObject {
  try {
    const key = createPrivateKey(readFileSync(paths.scepRaKey));
    if (key.asymmetricKeyDetails?.modulusLength === 2048) return key;
  } catch {
    // Said below: what is in the file does not matter, and is nobody's business.
  }
  throw new EdgeServerError(
    'data_directory_unusable',
    `${paths.scepRaKey} does not hold an RSA key with 2048 bits. Restore it from a backup, or remove it: the next start makes a new one.`,
  );
}

async function isGood(
  path: string,
  spki: Buffer,
  issuerPem: string,
  nowMs: number,
): Promise<boolean> {
  if (!existsSync(path)) return false;
  try {
    const certificate = parseOwnCertificate(readFileSync(path, 'utf8'));
    const issuer = parseOwnCertificate(issuerPem);
    const lasts = nowMs + renewBeforeMs < Math.min(certificate.notAfterMs, issuer.notAfterMs);
    if (!spki.equals(certificate.subjectPublicKey.spki)) return false;
    // Near the issuer's own end nothing better can be made.
    if (!lasts && certificate.notAfterMs < issuer.notAfterMs) return false;
    return (await verifyIssuedBy(certificate, issuer, 'scep-ra', certificate.notBeforeMs)).ok;
  } catch {
    return false;
  }
}

/**
 * Makes the certificates anew that are missing, of another key or issuer, or in the last year of their validity.
 *
 * @throws EdgeServerError `data_directory_unusable`
 */
export async function keepScepRaCertificates(
  paths: DataPaths,
  issuers: readonly IssuerName[],
  nowMs: number,
): Promise<void> {
  const key = readScepRaKey(paths);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  for (const issuer of issuers) {
    const path = paths.scepRaCertificate(issuer);
    const issuerPem = readFileSync(paths.certificate(issuer), 'utf8');
    if (await isGood(path, spki, issuerPem, nowMs)) continue;
    const issuerKey = readP256Key(paths.privateKey(issuer));
    replaceFile(path, await makeScepRaCertificate(key, issuerPem, issuerKey, nowMs));
  }
}
