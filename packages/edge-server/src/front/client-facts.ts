import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * What the connection itself tells about the client, as the `request.cf` object that Cloudflare would give the worker.
 * Names of the certificate are left empty: their spelling differs between TLS programs, and the broker knows a
 * certificate by its bytes.
 */
export type TlsClientAuth = {
  readonly certPresented: '0' | '1';
  /** `SUCCESS` when it chains to one of our authorities at the time of the handshake. The worker judges for itself. */
  readonly certVerified: string;
  readonly certRevoked: '0';
  readonly certSerial: string;
  readonly certFingerprintSHA1: string;
  readonly certFingerprintSHA256: string;
  readonly certNotBefore: string;
  readonly certNotAfter: string;
  /** RFC 9440: the certificate as base64 between colons. */
  readonly certRFC9440: string;
  readonly certRFC9440TooLarge: boolean;
};

export const maxCertificateText = 10 * 1024;

export const noCertificate: TlsClientAuth = {
  certPresented: '0',
  certVerified: 'NONE',
  certRevoked: '0',
  certSerial: '',
  certFingerprintSHA1: '',
  certFingerprintSHA256: '',
  certNotBefore: '',
  certNotAfter: '',
  certRFC9440: '',
  certRFC9440TooLarge: false,
};

/** OpenSSL's verification errors in the words that Cloudflare uses for them. */
const failures: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'FAILED:certificate has expired',
  CERT_NOT_YET_VALID: 'FAILED:certificate is not yet valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'FAILED:self signed certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'FAILED:unable to verify the first certificate',
};

/** @param authorizationError Node's code, `undefined` when the chain was verified */
export function describeCertificate(
  certificate: X509Certificate | undefined,
  authorizationError: string | undefined,
): TlsClientAuth {
  if (certificate === undefined) return noCertificate;
  const text = `:${certificate.raw.toString('base64')}:`;
  const tooLarge = text.length > maxCertificateText;
  const hex = (fingerprint: string) => fingerprint.replaceAll(':', '').toLowerCase();
  return {
    certPresented: '1',
    certVerified:
      authorizationError === undefined ? 'SUCCESS' : (failures[authorizationError] ?? 'FAILED'),
    certRevoked: '0',
    certSerial: certificate.serialNumber,
    certFingerprintSHA1: hex(certificate.fingerprint),
    certFingerprintSHA256: hex(certificate.fingerprint256),
    certNotBefore: certificate.validFrom,
    certNotAfter: certificate.validTo,
    certRFC9440: tooLarge ? '' : text,
    certRFC9440TooLarge: tooLarge,
  };
}

/** What the broker is told about the client of a request, as the JSON text of `request.cf`. */
export type ClientFacts = (request: IncomingMessage) => string;

const factsText = (clientIp: string, tlsClientAuth: TlsClientAuth): string =>
  JSON.stringify({ clientIp, tlsClientAuth });

const known = new WeakMap<Socket, string>();

/** For listeners that ask for no certificate. The facts cannot change on a connection: the text is made once. */
export const factsOfConnection: ClientFacts = ({ socket }) => {
  const cached = known.get(socket);
  if (cached !== undefined) return cached;
  const text = factsText(socket.remoteAddress ?? '', noCertificate);
  known.set(socket, text);
  return text;
};

/**
 * For the listener that asks for certificates. What a client proves to it counts for the address that it called in the
 * TLS handshake, and for a request to that address alone.
 *
 * @param mtlsUrl origin of that address
 */
export function factsOfMtlsConnection(mtlsUrl: string): ClientFacts {
  const { hostname } = new URL(mtlsUrl);
  return ({ socket, headers }) => {
    const address = socket.remoteAddress ?? '';
    if (!(socket instanceof TLSSocket) || String(socket.servername).toLowerCase() !== hostname) {
      return factsText(address, noCertificate);
    }
    // Parsed as a URL, because the port may be left out where it is the scheme's own.
    if (URL.parse(`https://${headers.host}`)?.origin !== mtlsUrl) {
      return factsText(address, noCertificate);
    }
    const error: unknown = socket.authorizationError;
    const code = socket.authorized ? undefined : String(error ?? 'unknown');
    return factsText(address, describeCertificate(socket.getPeerX509Certificate(), code));
  };
}
