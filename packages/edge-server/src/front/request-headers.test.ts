import { describe, expect, it } from 'vitest';
import { headersForClient, headersForWorkerd } from './request-headers.ts';

const facts = { cfBlob: '{"ours":true}', protocol: 'https', bodyLength: undefined } as const;
const ours = ['CF-Blob', '{"ours":true}', 'X-Forwarded-Proto', 'https'];

const passed = (...rawHeaders: string[]) => {
  const headers = headersForWorkerd(rawHeaders, undefined, facts);
  expect(headers.slice(-ours.length)).toEqual(ours);
  return headers.slice(0, -ours.length);
};

/** Names by which proxies of all kinds tell who the client is, or what it asked for. */
const proxyNames = [
  'CF-Blob',
  'CF-Connecting-IP',
  'CF-Connecting-IPv6',
  'CF-Visitor',
  'CF-Worker',
  'CDN-Loop',
  'MF-CF-Blob',
  'Client-Cert',
  'Client-Cert-Chain',
  'Client-IP',
  'Early-Data',
  'Fastly-Client-IP',
  'Forwarded',
  'Remote-User',
  'SSL-Client-Cert',
  'True-Client-IP',
  'Via',
  'X-Amzn-Mtls-Clientcert',
  'X-ARR-ClientCert',
  'X-CF-Blob',
  'X-Client-Cert',
  'X-Client-IP',
  'X-Client-Verify',
  'X-Cluster-Client-IP',
  'X-Envoy-External-Address',
  'X-Forwarded-Client-Cert',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-HTTP-Method-Override',
  'X-Original-URL',
  'X-Real-IP',
  'X-Remote-User',
  'X-Rewrite-URL',
  'X-SSL-Client-Cert',
  'X-SSL-Client-Verify',
  'X-TLS-Client-Auth',
];

/** The ways in which one name can be written so that some program takes it for the same. */
const spellings = (name: string) => [
  name,
  name.toLowerCase(),
  name.toUpperCase(),
  name.replaceAll('-', '_'),
  name.replaceAll('-', '_').toLowerCase(),
  name.replace('-', '_'),
  name.replaceAll('-', '.'),
  name.replaceAll('-', '~'),
];

describe('headersForWorkerd', () => {
  it.each(proxyNames)('drops %s in every spelling', (name) => {
    const kept = spellings(name)
      // A name without a hyphen has fewer of them, and those with other marks are never kept.
      .flatMap((spelling) => passed(spelling, 'SUCCESS'));
    expect(kept).toEqual([]);
  });

  it('drops each of several, wherever they stand', () => {
    expect(
      passed(
        'cf-blob',
        '1',
        'Host',
        'a',
        'CF-Blob',
        '2',
        'cf_blob',
        '3',
        'Accept',
        'b',
        'CF-BLOB',
        '4',
      ),
    ).toEqual(['Host', 'a', 'Accept', 'b']);
  });

  it('drops what belongs to the connection, and what its Connection field names', () => {
    const rawHeaders = [
      ...['Connection', 'close, X-Secret , authorization', 'X-Secret', '1', 'Authorization', '2'],
      ...[
        'Keep-Alive',
        'timeout=5',
        'TE',
        'trailers',
        'Trailer',
        'X',
        'Transfer-Encoding',
        'chunked',
      ],
      ...[
        'Upgrade',
        'h2c',
        'HTTP2-Settings',
        'AAMA',
        'Proxy-Authorization',
        'x',
        'Expect',
        '100-continue',
      ],
      ...['Proxy-Connection', 'keep-alive', 'Content-Length', '999', 'Host', 'a'],
    ];
    expect(headersForWorkerd(rawHeaders, rawHeaders[1], facts)).toEqual(['Host', 'a', ...ours]);
  });

  it('lets no Connection field remove what the front writes', () => {
    const rawHeaders = ['Connection', 'CF-Blob, X-Forwarded-Proto, Content-Length'];
    expect(headersForWorkerd(rawHeaders, rawHeaders[1], { ...facts, bodyLength: 5 })).toEqual([
      ...ours,
      'Content-Length',
      '5',
    ]);
  });

  it('passes on what the broker reads, in order and unchanged', () => {
    const rawHeaders = [
      ...['Host', 'broker.example.com', 'Authorization', 'Bearer x', 'Content-Type', 'text/plain'],
      ...['Origin', 'https://sso.example.com', 'X-Request-ID', 'r1', 'Accept', '*/*'],
      ...['Cookie', 'a=1', 'cookie', 'b=2', 'User-Agent', 'curl', 'Sec-Fetch-Site', 'cross-site'],
      ...['Access-Control-Request-Method', 'POST', 'If-None-Match', '"x"', 'Referer', 'https://a/'],
    ];
    expect(passed(...rawHeaders)).toEqual(rawHeaders);
  });
});

it('gives the client the headers of the answer, without those of the connection', () => {
  expect(
    headersForClient([
      ...['Content-Type', 'text/plain', 'Content-Length', '3', 'Connection', 'keep-alive'],
      ...[
        'Keep-Alive',
        'timeout=5',
        'Transfer-Encoding',
        'chunked',
        'Set-Cookie',
        'a',
        'Set-Cookie',
        'b',
      ],
    ]),
  ).toEqual([
    'Content-Type',
    'text/plain',
    'Content-Length',
    '3',
    'Set-Cookie',
    'a',
    'Set-Cookie',
    'b',
  ]);
});
