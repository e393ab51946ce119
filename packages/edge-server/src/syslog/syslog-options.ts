import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { EdgeServerError, errorText } from '../edge-server-error.ts';

export type SyslogOptions = {
  /** `HOST:PORT`, with an IPv6 address in brackets. */
  readonly receiver: string;
  /** PEM file of the authorities that it is trusted by, instead of the public ones. */
  readonly authoritiesFile?: string;
};

export type SyslogReceiver = {
  readonly host: string;
  readonly port: number;
  /** PEM texts; `undefined` for the public ones. */
  readonly authorities: readonly string[] | undefined;
};

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** @throws EdgeServerError `setting_invalid` */
export function readSyslogReceiver({ receiver, authoritiesFile }: SyslogOptions): SyslogReceiver {
  const [, bracketed, name, port] =
    /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(receiver) ?? [];
  const host = bracketed ?? name;
  const isAddress = bracketed === undefined || isIP(bracketed) === 6;
  if (host === undefined || !isAddress || Number(port) < 1 || Number(port) > 65_535) {
    throw new EdgeServerError(
      'setting_invalid',
      `The syslog receiver "${receiver}" must be like siem.example.com:6514.`,
    );
  }
  if (authoritiesFile === undefined) return { host, port: Number(port), authorities: undefined };
  try {
    const authorities = readFileSync(authoritiesFile, 'utf8').match(pemCertificate) ?? [];
    if (authorities.length === 0) throw new Error('it holds no PEM certificate');
    for (const pem of authorities) new X509Certificate(pem);
    return { host, port: Number(port), authorities };
  } catch (error) {
    throw new EdgeServerError(
      'setting_invalid',
      `The syslog authorities ${authoritiesFile} cannot be used (${errorText(error)}).`,
      { cause: error },
    );
  }
}
