/** In every forged value, so that a log shows whether one was believed, or only repeated. */
export const forgedMark = 'FORGED-BY-CLIENT';

/**
 * Headers in which a proxy, somewhere, tells who the client is, in every spelling that some program takes for the same.
 *
 * @param der a certificate that the broker would believe
 */
export function forgedHeadersFor(der: Uint8Array): [name: string, value: string][] {
  const certificate = Buffer.from(der).toString('base64');
  const tlsClientAuth = {
    certPresented: '1',
    certVerified: 'SUCCESS',
    certRevoked: '0',
    certRFC9440: `:${certificate}:`,
    certRFC9440TooLarge: false,
    certSubjectDN: forgedMark,
  };
  const blob = JSON.stringify({ clientIp: '203.0.113.7', country: forgedMark, tlsClientAuth });
  const pem = encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${certificate}`);
  const names: [string, string][] = [
    ['CF-Blob', blob],
    ['CF-Blob', `{${forgedMark}`],
    ['MF-CF-Blob', blob],
    ['X-CF-Blob', blob],
    ['CF-Connecting-IP', '203.0.113.7'],
    ['CF-IPCountry', forgedMark],
    ['CF-Ray', forgedMark],
    ['CF-Visitor', '{"scheme":"https"}'],
    ['CF-Worker', forgedMark],
    ['Client-Cert', `:${certificate}:`],
    ['Client-Cert-Chain', `:${certificate}:`],
    ['X-Client-Cert', pem],
    ['X-Client-Verify', 'SUCCESS'],
    ['X-Client-DN', `CN=${forgedMark}`],
    ['X-SSL-Client-Cert', pem],
    ['X-SSL-Client-Verify', 'SUCCESS'],
    ['X-SSL-Client-S-DN', `CN=${forgedMark}`],
    ['SSL-Client-Cert', pem],
    ['SSL_CLIENT_CERT', pem],
    ['X_SSL_CLIENT_VERIFY', 'SUCCESS'],
    ['X-Forwarded-Client-Cert', `Hash=${'0'.repeat(64)};Subject="CN=${forgedMark}"`],
    ['X-Forwarded-Tls-Client-Cert', pem],
    ['X-ARR-ClientCert', certificate],
    ['X-Amzn-Mtls-Clientcert', pem],
    ['X-Forwarded-For', '127.0.0.1, 203.0.113.7'],
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-User', 'admin'],
    ['Forwarded', 'for=127.0.0.1;host=evil.example;proto=https'],
    ['X-Real-IP', '127.0.0.1'],
    ['True-Client-IP', '127.0.0.1'],
    ['X-Original-URL', '/v1/admin/shards/0/decisions'],
    ['X-Rewrite-URL', '/v1/admin/shards/0/decisions'],
    ['X-HTTP-Method-Override', 'PUT'],
    ['X-Remote-User', 'admin'],
    ['Remote-User', 'admin'],
    ['Early-Data', '1'],
    ['Sec-Fetch-Site', 'same-origin'],
  ];
  const spellings = (name: string) => [
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    name.replaceAll('-', '_'),
  ];
  return names.flatMap(([name, value]) =>
    [...new Set(spellings(name))].map((spelled): [string, string] => [spelled, value]),
  );
}
