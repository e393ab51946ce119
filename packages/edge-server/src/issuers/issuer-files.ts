import { createHash } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../data-directory/durable-files.ts';
import {
  type IssuerName,
  type Issuers,
  isIssuerName,
  issuerNames,
  issuerNumber,
} from '../data-directory/issuers.ts';
import type { DataPaths } from '../data-directory/layout.ts';
import { parseOwnCertificate } from '../data-directory/make-certificates.ts';

/** As the broker names an issuer: base64url SHA-256 of its certificate. */
export function issuerIdOf(certificatePem: string): string {
  return createHash('sha256').update(parseOwnCertificate(certificatePem).der).digest('base64url');
}

/** The issuer that a file in `keys/` or `certificates/` belongs to. */
function issuerOfFile(file: string): IssuerName | undefined {
  const name = file.replace(/^scep-ra(?=-)/, 'issuer').replace(/\.pem$/, '');
  return file.endsWith('.pem') && isIssuerName(name) ? name : undefined;
}

/**
 * Removes keys and certificates of issuers that were named once and are not any more. One whose turn is yet to come is
 * left alone: somebody may be making it just now.
 */
export function sweepIssuerFiles(paths: DataPaths, issuers: Issuers): void {
  const named = issuerNames(issuers);
  const isSwept = (file: string) => {
    const issuer = issuerOfFile(file);
    return issuer !== undefined && issuerNumber(issuer) < issuers.next && !named.includes(issuer);
  };
  for (const directory of [paths.keys, paths.certificates]) {
    const swept = readdirSync(directory).filter(isSwept);
    for (const file of swept) rmSync(join(directory, file), { force: true });
    if (swept.length > 0) syncDirectory(directory);
  }
  // The first issuer's has no number: `keys/scep-ra.pem` beside it is the key of all of them.
  if (!named.includes('issuer')) rmSync(paths.scepRaCertificate('issuer'), { force: true });
}
