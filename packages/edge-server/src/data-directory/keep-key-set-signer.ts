import { existsSync, readFileSync } from 'node:fs';
import { replaceFile } from './durable-files.ts';
import type { KeySetSigner } from './key-set.ts';
import { makeKeySetSignerCertificate, parseOwnCertificate } from './make-certificates.ts';
import type { DataDirectory } from './open-data-directory.ts';

const renewBeforeMs = 365 * 86_400_000;

/** Whether the certificate should be made again, and cannot be: the root's key is kept elsewhere. */
export function signerAwaitsRoot(data: DataDirectory, nowMs: number): boolean {
  const { notAfterMs } = parseOwnCertificate(data.certificatePem('key-set-signer'));
  return nowMs >= notAfterMs - renewBeforeMs && !existsSync(data.paths.privateKey('root'));
}

/**
 * The key set's signer; its certificate is made again, with the same key, in the last year of its validity. Only the
 * root can do that: where its key is kept elsewhere, the certificate stays as it is.
 */
export async function keepKeySetSigner(data: DataDirectory, nowMs: number): Promise<KeySetSigner> {
  const privateKey = data.privateKey('key-set-signer');
  const path = data.paths.certificate('key-set-signer');
  const stored = readFileSync(path, 'utf8');
  const lasts = nowMs < parseOwnCertificate(stored).notAfterMs - renewBeforeMs;
  if (lasts || !existsSync(data.paths.privateKey('root'))) {
    return { privateKey, certificatePem: stored };
  }
  const certificatePem = await makeKeySetSignerCertificate(
    privateKey,
    data.rootCertificatePem,
    data.privateKey('root'),
    nowMs,
  );
  replaceFile(path, certificatePem);
  return { privateKey, certificatePem };
}
