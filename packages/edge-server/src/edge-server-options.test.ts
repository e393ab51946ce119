import { describe, expect, it } from 'vitest';
import { assertOptions, type EdgeServerOptions, urlHost } from './edge-server-options.ts';

const options = (changes: Partial<EdgeServerOptions>) => ({ dataDirectory: '/d', ...changes });

describe('assertOptions', () => {
  it.each<Partial<EdgeServerOptions>>([
    {},
    { host: 'localhost' },
    { host: '::1' },
    { host: '0.0.0.0', brokerUrl: 'https://broker.example.com' },
    { brokerUrl: 'http://127.0.0.1:9000' },
    { brokerUrl: 'http://[::1]:9000' },
    { httpPort: 0, tlsPort: 0 },
    { shardCount: 1 },
    { mtlsUrl: 'https://mtls.example.com' },
    { mtlsUrl: 'https://localhost:8743', brokerUrl: 'https://broker.example.com' },
    { frontSocket: '/run/countersign/front.sock' },
    { pkiUrl: 'https://broker.example.com' },
    { pkiUrl: 'http://pki.example.com', pkiListen: { host: '0.0.0.0', port: 80 } },
  ])('accepts %j', (changes) => {
    expect(() => assertOptions(options(changes))).not.toThrow();
  });

  it.each<[Partial<EdgeServerOptions>, string]>([
    [{ dataDirectory: '' }, 'data folder'],
    [{ httpPort: 65_536 }, 'HTTP port'],
    [{ tlsPort: 1.5 }, 'TLS port'],
    [{ httpPort: 8743 }, 'must differ'],
    [{ shardCount: 0 }, 'shards'],
    [{ shardCount: 4097 }, 'shards'],
    [{ host: '0.0.0.0' }, '--broker-url'],
    [{ brokerUrl: 'http://broker.example.com' }, 'https'],
    [{ brokerUrl: 'https://broker.example.com/' }, 'no slash'],
    [{ brokerUrl: 'https://Broker.example.com' }, 'broker URL'],
    [{ brokerUrl: 'https://broker.example.com:443' }, 'broker URL'],
    [{ brokerUrl: 'https://user@broker.example.com' }, 'broker URL'],
    [{ brokerUrl: 'broker.example.com' }, 'broker URL'],
    [{ brokerUrl: 'javascript:alert(1)' }, 'broker URL'],
    [{ mtlsUrl: 'http://mtls.example.com' }, 'https'],
    [{ mtlsUrl: 'https://mtls.example.com/' }, 'no slash'],
    [{ mtlsUrl: 'https://127.0.0.1:8743' }, 'host name'],
    [{ mtlsUrl: 'https://[fe80::1]:8743' }, 'host name'],
    [{ mtlsUrl: 'https://*.example.com' }, 'host name'],
    [{ mtlsUrl: 'https://b.example:8743', brokerUrl: 'https://b.example' }, 'another host name'],
    [{ frontSocket: 'front.sock' }, 'absolute'],
    [{ pkiUrl: 'http://pki.example.com/' }, 'PKI URL'],
    [{ pkiUrl: 'http://PKI.example.com' }, 'PKI URL'],
    [{ pkiUrl: 'ldap://pki.example.com' }, 'PKI URL'],
    [{ pkiListen: { host: '::', port: 80 } }, 'needs a --pki-url'],
    [{ pkiUrl: 'https://a.example', pkiListen: { host: '::', port: 80 } }, 'needs a --pki-url'],
    [{ pkiUrl: 'http://a.example', pkiListen: { host: '::', port: 70_000 } }, '--pki-listen'],
  ])('refuses %j', (changes, part) => {
    expect(() => assertOptions(options(changes))).toThrow(
      expect.objectContaining({
        failure: 'setting_invalid',
        message: expect.stringContaining(part),
      }),
    );
  });
});

it('puts brackets around an IPv6 address in a URL', () => {
  expect([urlHost('::1'), urlHost('127.0.0.1'), urlHost('localhost')]).toEqual([
    '[::1]',
    '127.0.0.1',
    'localhost',
  ]);
});
