import { describe, expect, it } from 'vitest';
import { certificateNames, serverNames } from './server-names.ts';

describe('serverNames', () => {
  it('always has this machine and adds what clients were told, each once', () => {
    expect(serverNames(['localhost', '127.0.0.1', 'Broker.Example.com', '10.0.0.7'])).toEqual([
      'localhost',
      '127.0.0.1',
      '::1',
      'broker.example.com',
      '10.0.0.7',
    ]);
  });

  it('takes IPv6 in any spelling and leaves out the addresses that mean "any"', () => {
    expect(serverNames(['[2001:DB8:0:0:0:0:0:7]', '::', '0.0.0.0', '0:0:0:0:0:0:0:1'])).toEqual([
      'localhost',
      '127.0.0.1',
      '::1',
      '2001:db8::7',
    ]);
  });

  it.each(['a_b.example', '*.example.com', 'a b', '', '-a.example', 'x'.repeat(64)])(
    'refuses %j',
    (name) => {
      expect(() => serverNames([name])).toThrow(
        expect.objectContaining({ failure: 'setting_invalid' }),
      );
    },
  );
});

it('writes addresses as bytes', () => {
  const { dnsNames, ipAddresses } = certificateNames([
    'a.example',
    '10.0.0.7',
    '::1',
    '2001:db8::7:0',
  ]);
  expect(dnsNames).toEqual(['a.example']);
  expect(ipAddresses.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual([
    '0a000007',
    '00000000000000000000000000000001',
    '20010db8000000000000000000070000',
  ]);
});
