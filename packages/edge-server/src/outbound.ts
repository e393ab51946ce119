import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { EdgeServerError, errorText } from './edge-server-error.ts';
import type { OutboundNetwork } from './workerd/workerd-configuration.ts';

export type OutboundOptions = {
  /** Networks in CIDR notation. */
  readonly allow?: readonly string[];
  /** PEM file with certificates of authorities. */
  readonly authoritiesFile?: string;
};

function invalid(message: string): EdgeServerError {
  return new EdgeServerError('setting_invalid', message);
}

function isNetwork(text: string): boolean {
  const [, address = '', prefix = ''] = /^([0-9A-Fa-f.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return Number(prefix) <= bits;
}

/** @throws EdgeServerError `setting_invalid` */
export function assertOutbound(outbound: OutboundOptions = {}): void {
  for (const network of outbound.allow ?? []) {
    if (isNetwork(network)) continue;
    throw invalid(`The outbound network "${network}" must be like 10.20.0.0/16 or fd00::/8.`);
  }
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** @throws EdgeServerError `setting_invalid`, naming the file */
function readAuthorities(path: string): string[] {
  try {
    const certificates = readFileSync(path, 'utf8').match(pemCertificate) ?? [];
    if (certificates.length === 0) throw new Error('it holds no PEM certificate');
    // Written anew, so that nothing of the file but certificates goes on.
    return certificates.map((pem) => new X509Certificate(pem).toString());
  } catch (error) {
    throw new EdgeServerError(
      'setting_invalid',
      `The outbound authorities ${path} cannot be used (${errorText(error)}).`,
      { cause: error },
    );
  }
}

/** The network of the broker itself: public addresses and what the options add. */
export function readOutbound({
  allow = [],
  authoritiesFile,
}: OutboundOptions = {}): OutboundNetwork {
  return {
    allow,
    authorities: authoritiesFile === undefined ? [] : readAuthorities(authoritiesFile),
  };
}
