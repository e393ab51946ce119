import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type ClientFacts, describeCertificate, maxCertificateText } from './client-facts.ts';

/**
 * What a TLS front of the administrator's own (HAProxy, for instance) tells about its clients. It reaches this program
 * over a unix socket that only it may open, so that its headers are its own word and not some client's: `Client-Cert`
 * (RFC 9440) is a certificate whose key the client has proved to hold, `X-Forwarded-For` ends with the client's address.
 */

/** All values of a header, in order. Repeated ones are not joined, as Node's `headers` would do it. */
function valuesOf({ rawHeaders }: IncomingMessage, lowerCaseName: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === lowerCaseName)
      values.push(rawHeaders[index + 1] ?? '');
  }
  return values;
}

function parse(value: string): X509Certificate | undefined {
  const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(value)?.[1];
  if (base64 === undefined || value.length > maxCertificateText) return undefined;
  const der = Buffer.from(base64, 'base64');
  if (der.toString('base64') !== base64) return undefined;
  try {
    const certificate = new X509Certificate(der);
    // PEM would be taken too, and bytes after the certificate be overlooked.
    return certificate.raw.equals(der) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

/** In the words of Node's TLS. The worker judges for itself; this makes the two ways in look alike. */
function verificationError(
  certificate: X509Certificate,
  authorities: readonly X509Certificate[],
  nowMs: number,
): string | undefined {
  if (nowMs < certificate.validFromDate.getTime()) return 'CERT_NOT_YET_VALID';
  if (nowMs >= certificate.validToDate.getTime() + 1000) return 'CERT_HAS_EXPIRED';
  const isOurs = authorities.some(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
  return isOurs ? undefined : 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
}

/**
 * Facts for the listener of a trusted front. Several certificates, or one that cannot be read, are no verified
 * certificate: a front that passes a client's header on beside its own must not have it believed.
 *
 * @param clientAuthorities PEM
 */
export function trustedFrontFacts(
  clientAuthorities: readonly string[],
  now: () => number,
): {
  readonly facts: ClientFacts;
  readonly replaceClientAuthorities: (clientAuthorities: readonly string[]) => void;
} {
  const parseAll = (pems: readonly string[]) => pems.map((pem) => new X509Certificate(pem));
  let authorities = parseAll(clientAuthorities);
  const facts: ClientFacts = (request) => {
    const address = valuesOf(request, 'x-forwarded-for').at(-1)?.split(',').at(-1)?.trim() ?? '';
    const clientIp = isIP(address) === 0 ? '' : address;
    const [value, ...others] = valuesOf(request, 'client-cert');
    return JSON.stringify({ clientIp, tlsClientAuth: clientAuthOf(value, others.length) });
  };
  return {
    facts,
    replaceClientAuthorities: (pems) => {
      authorities = parseAll(pems);
    },
  };

  function clientAuthOf(value: string | undefined, others: number) {
    const none = describeCertificate(undefined, undefined);
    if (value === undefined) return none;
    const certificate = others > 0 ? undefined : parse(value);
    if (certificate === undefined) {
      return {
        ...none,
        certPresented: '1',
        certVerified: 'FAILED',
        certRFC9440TooLarge: value.length > maxCertificateText,
      };
    }
    return describeCertificate(certificate, verificationError(certificate, authorities, now()));
  }
}
