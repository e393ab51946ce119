import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientKeyPair } from '../mtls-client.ts';

const passphrase = 'only for the way from one file to the other';

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 });
}

/**
 * Makes an NSS database with this key and certificate in a folder that has none. Firefox's is in its profile.
 */
export function makeCertificateDatabase(folder: string, pair: ClientKeyPair): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = `sql:${folder}`;
  const [pem, packed] = [join(folder, 'device.pem'), join(folder, 'device.p12')];
  writeFileSync(pem, `${pair.cert}\n${pair.key}\n`, { mode: 0o600 });
  run('openssl', [
    ...['pkcs12', '-export', '-in', pem, '-out', packed],
    ...['-name', 'Countersign device', '-passout', `pass:${passphrase}`],
  ]);
  run('certutil', ['-N', '-d', database, '--empty-password']);
  run('pk12util', ['-i', packed, '-d', database, '-W', passphrase]);
  for (const file of [pem, packed]) rmSync(file);
}

/**
 * A throw-away home folder with this key and certificate where Chromium on Linux looks for client certificates.
 *
 * @returns its path, in `parentFolder`
 */
export function makeHomeWithCertificate(parentFolder: string, pair: ClientKeyPair): string {
  const home = mkdtempSync(join(parentFolder, 'home-'));
  makeCertificateDatabase(join(home, '.pki', 'nssdb'), pair);
  return home;
}
