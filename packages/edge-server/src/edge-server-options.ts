import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { maxShardCount } from './data-directory/deployment.ts';
import { EdgeServerError } from './edge-server-error.ts';
import type { ListenAddress } from './front/start-front.ts';
import type { TlsFiles } from './front/tls-certificate.ts';
import type { LogFormat } from './logs.ts';
import { assertOutbound, type OutboundOptions } from './outbound.ts';
import type { RotationTimes } from './rotation/rotate-token-keys.ts';
import { readSyslogReceiver, type SyslogOptions } from './syslog/syslog-options.ts';
import type { LivenessTiming } from './workerd/watch-liveness.ts';

export type EdgeServerOptions = {
  /** Created on the first start. */
  readonly dataDirectory: string;
  /** Default 8780; 0 lets the system choose, as with `tlsPort`. */
  readonly httpPort?: number;
  /** Default 8743. */
  readonly tlsPort?: number;
  /** Name or address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** The URL that pages, hosts and servers use: `iss` of all that the broker signs. Default: the plain one, here. */
  readonly brokerUrl?: string;
  /**
   * Origin at which browsers present device certificates: a host name of its own, https, reached at the TLS port or
   * through a front. Default: none, and no client is asked for a certificate.
   */
  readonly mtlsUrl?: string;
  /**
   * Origin in certificates at which CRLs, OCSP and issuers' certificates are fetched, best with plain http. Default:
   * the broker URL.
   */
  readonly pkiUrl?: string;
  /** Listens there for that alone, by plain HTTP. Default: nowhere; the other ports serve it in any case. */
  readonly pkiListen?: ListenAddress;
  /** Absolute path of a unix socket for a TLS front of one's own, which is believed about client certificates. */
  readonly frontSocket?: string;
  /** Counts when the data folder is created; later a different number stops the start. Default 16. */
  readonly shardCount?: number;
  /** The built worker module. Default: the one that this repository builds. */
  readonly workerBundle?: string;
  /** Instead of the self-made TLS certificate. */
  readonly tlsFiles?: TlsFiles;
  /** Further names for the self-made TLS certificate. */
  readonly tlsNames?: readonly string[];
  /** Receives finished lines. Default: none are kept. */
  readonly log?: (line: string) => void;
  /** Default `json`: one object per line. */
  readonly logFormat?: LogFormat;
  /**
   * Where the newest state is noted, outside of the data folder, so that an older copy of it is noticed; `none` for
   * nowhere. Default: `<data folder>.high-water.json`.
   */
  readonly highWaterMark?: string;
  /** How often it is noted. Default: every 10 seconds, less often with more than 200 shards. */
  readonly highWaterMarkIntervalMs?: number;
  /** How often workerd is asked whether it still answers. Default: every 5 seconds, with 5 seconds for an answer. */
  readonly liveness?: LivenessTiming;
  /** How often token keys are rotated, and how fast. Default: every 90 days, each step as slowly as is safe. */
  readonly keyRotation?: Partial<RotationTimes>;
  /** Where the broker may open connections to beside public addresses. Default: nowhere. */
  readonly outbound?: OutboundOptions;
  /** Where the system log is sent to, by syslog over TLS. Default: nowhere. */
  readonly syslog?: SyslogOptions;
};

export const defaultHost = '127.0.0.1';
export const defaultHttpPort = 8780;
export const defaultTlsPort = 8743;

function invalid(message: string): EdgeServerError {
  return new EdgeServerError('setting_invalid', message);
}

function assertPort(port: number, what: string): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw invalid(`${what} must be a port number from 0 to 65535.`);
  }
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/** An origin in its one spelling, https, or http on loopback: hosts and sign-in servers refuse any other. */
function assertBrokerUrl(text: string): void {
  const url = URL.parse(text);
  const isSecure =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && loopbackNames.has(url.hostname));
  if (url === null || !isSecure || url.origin !== text) {
    throw invalid(
      `The broker URL "${text}" must be like https://broker.example.com: https (http only for localhost), no path, no slash at the end.`,
    );
  }
}

/** A host name of its own: by an address, or by the broker's own name, no client could be told apart from the others. */
function assertMtlsUrl(text: string, brokerUrl: string | undefined): void {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.origin !== text || !/[a-z]/.test(url.hostname)) {
    throw invalid(
      `The mTLS URL "${text}" must be like https://mtls.example.com: https, a host name, no path, no slash at the end.`,
    );
  }
  if (url.hostname.startsWith('[') || url.hostname.includes('*')) {
    throw invalid(`The mTLS URL "${text}" must have a host name, not an address.`);
  }
  if (brokerUrl !== undefined && URL.parse(brokerUrl)?.hostname === url.hostname) {
    throw invalid(
      `The mTLS URL "${text}" must have another host name than the broker URL: everybody who came there would be asked for a certificate.`,
    );
  }
}

/** It goes into every certificate, and strangers' programs read it. */
function assertPkiUrl(text: string): void {
  const url = URL.parse(text);
  if (!/^https?:\/\/[a-z0-9.:[\]-]+$/.test(text) || url?.origin !== text) {
    throw invalid(
      `The PKI URL "${text}" must be like http://pki.example.com: http or https, no path, no slash at the end.`,
    );
  }
}

function assertPkiListen({ host, port }: ListenAddress, pkiUrl: string | undefined): void {
  if (host === '') throw invalid('--pki-listen must be PORT, or ADDRESS:PORT.');
  assertPort(port, 'The port of --pki-listen');
  if (pkiUrl?.startsWith('http:') !== true) {
    throw invalid(
      '--pki-listen serves plain HTTP: it needs a --pki-url that begins with http://, or nobody comes there.',
    );
  }
}

/** An address as it stands in a URL. */
export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

/** @throws EdgeServerError `setting_invalid`, naming the setting */
export function assertOptions(options: EdgeServerOptions): void {
  const { httpPort = defaultHttpPort, tlsPort = defaultTlsPort, shardCount, brokerUrl } = options;
  if (options.dataDirectory === '') throw invalid('The data folder must be named.');
  assertPort(httpPort, 'The HTTP port');
  assertPort(tlsPort, 'The TLS port');
  if (httpPort !== 0 && httpPort === tlsPort) {
    throw invalid(`The HTTP port and the TLS port must differ; both are ${httpPort}.`);
  }
  if (
    shardCount !== undefined &&
    !(Number.isInteger(shardCount) && shardCount >= 1 && shardCount <= maxShardCount)
  ) {
    throw invalid(`The number of shards must be from 1 to ${maxShardCount}.`);
  }
  assertOutbound(options.outbound);
  if (options.syslog !== undefined) readSyslogReceiver(options.syslog);
  if (options.mtlsUrl !== undefined) assertMtlsUrl(options.mtlsUrl, brokerUrl);
  if (options.pkiUrl !== undefined) assertPkiUrl(options.pkiUrl);
  if (options.pkiListen !== undefined) assertPkiListen(options.pkiListen, options.pkiUrl);
  if (options.frontSocket !== undefined && !isAbsolute(options.frontSocket)) {
    throw invalid(`The front socket "${options.frontSocket}" must be an absolute path.`);
  }
  if (brokerUrl !== undefined) assertBrokerUrl(brokerUrl);
  else if (!loopbackNames.has(urlHost(options.host ?? defaultHost))) {
    throw invalid(
      `To listen on ${options.host}, say with --broker-url under which https URL the broker is reached.`,
    );
  }
}
