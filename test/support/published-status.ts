import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import { encodePem, parseCertificate, parseCrl, type X509Result } from '@countersign/x509';

const run = promisify(execFile);

function must<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

const derOf = (certificate: string) => new Uint8Array(Buffer.from(certificate, 'base64url'));
const pemOf = (certificate: string) => encodePem('CERTIFICATE', derOf(certificate));

/** What the world is told of a certificate: openssl's word for OCSP's answer, and whether it is on its list. */
export type PublishedStatus = { readonly ocsp: string | undefined; readonly isListed: boolean };

/** Asks the broker, as anybody may, what became of a certificate. Answers of OCSP are judged by openssl. */
export async function publishedStatus(
  brokerUrl: string,
  enrolled: EnrollmentAnswer,
): Promise<PublishedStatus> {
  const [ocsp, isListed] = await Promise.all([
    askOpenssl(brokerUrl, enrolled),
    isOnItsList(enrolled),
  ]);
  return { ocsp, isListed };
}

async function askOpenssl(brokerUrl: string, enrolled: EnrollmentAnswer) {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-status-'));
  try {
    const write = (name: string, ...certificates: readonly string[]) => {
      const path = join(folder, name);
      writeFileSync(path, certificates.map(pemOf).join(''));
      return path;
    };
    const { certificate, issuer_certificate, root_certificate } = enrolled;
    const question = ['-cert', write('leaf.pem', certificate), '-url', `${brokerUrl}/ocsp`];
    const issuer = ['-issuer', write('issuer.pem', issuer_certificate)];
    const trusted = ['-CAfile', write('chain.pem', issuer_certificate, root_certificate)];
    const { stdout } = await run('openssl', ['ocsp', ...issuer, ...question, ...trusted], {
      timeout: 10_000,
    });
    return /leaf\.pem: (\w+)/.exec(stdout)?.[1];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function isOnItsList({ certificate }: EnrollmentAnswer): Promise<boolean> {
  const der = derOf(certificate);
  const { serialNumber } = must(parseCertificate(der));
  const [uri] = /https?:\/\/[\w.:/-]+\/\d+\.crl/.exec(Buffer.from(der).toString('latin1')) ?? [];
  if (uri === undefined) throw new Error('the certificate names no list');
  const crl = must(parseCrl(new Uint8Array(await (await fetch(uri)).arrayBuffer())));
  return crl.entries.some((entry) => entry.serialNumber === serialNumber);
}
