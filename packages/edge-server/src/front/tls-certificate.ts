import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { replaceFile } from '../data-directory/durable-files.ts';
import { type DataPaths, directoryMode } from '../data-directory/layout.ts';
import {
  makeTlsServerCertificate,
  parseOwnCertificate,
} from '../data-directory/make-certificates.ts';
import { newP256Key, readP256Key } from '../data-directory/private-key.ts';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import { certificateNames, serverNames } from './server-names.ts';

/** PEM, as `node:tls` takes them. */
export type TlsKeyPair = { readonly key: string; readonly cert: string };

/** A certificate and key that the administrator keeps, for instance from the company's own authority. */
export type TlsFiles = { readonly certificateFile: string; readonly keyFile: string };

const renewBeforeMs = 30 * 86_400_000;

/** @throws EdgeServerError `tls_certificate_invalid`, naming the file and what is wrong with it */
export function readTlsFiles({ certificateFile, keyFile }: TlsFiles): TlsKeyPair {
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new EdgeServerError(
        'tls_certificate_invalid',
        `The TLS file ${path} cannot be read (${errorText(error)}).`,
        { cause: error },
      );
    }
  };
  const pair = { cert: read(certificateFile), key: read(keyFile) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new EdgeServerError(
      'tls_certificate_invalid',
      `The TLS certificate ${certificateFile} and key ${keyFile} cannot be used (${errorText(error)}).`,
      { cause: error },
    );
  }
  return pair;
}

/** Whether a stored certificate is for exactly these names, for its key, and has a month to go. */
function isStillGood(
  pair: TlsKeyPair,
  names: readonly string[],
  paths: DataPaths,
  nowMs: number,
): boolean {
  try {
    const { notBeforeMs, notAfterMs } = parseOwnCertificate(pair.cert);
    const certificate = new X509Certificate(pair.cert);
    return (
      nowMs >= notBeforeMs &&
      nowMs < notAfterMs - renewBeforeMs &&
      certificate.subjectAltName?.split(', ').length === names.length &&
      names.every((name) => certificate[isIP(name) === 0 ? 'checkHost' : 'checkIP'](name)) &&
      certificate.checkPrivateKey(readP256Key(paths.tlsKey))
    );
  } catch {
    return false;
  }
}

/**
 * The self-made certificate: the stored one, or a new one with a new key when there is none, its names differ, or it
 * ends within a month.
 */
export async function keepTlsCertificate(
  paths: DataPaths,
  hosts: readonly string[],
  nowMs: number,
): Promise<{ readonly pair: TlsKeyPair; readonly isNew: boolean }> {
  const names = serverNames(hosts);
  if (existsSync(paths.tlsKey) && existsSync(paths.tlsCertificate)) {
    const stored = {
      key: readFileSync(paths.tlsKey, 'utf8'),
      cert: readFileSync(paths.tlsCertificate, 'utf8'),
    };
    if (isStillGood(stored, names, paths, nowMs)) return { pair: stored, isNew: false };
  }
  const { privateKey, pem } = newP256Key();
  const cert = await makeTlsServerCertificate(privateKey, certificateNames(names), nowMs);
  mkdirSync(paths.tls, { recursive: true, mode: directoryMode });
  // A crash between the two leaves a pair that does not fit, which the next start replaces.
  replaceFile(paths.tlsKey, pem);
  replaceFile(paths.tlsCertificate, cert);
  return { pair: { key: pem, cert }, isNew: true };
}
