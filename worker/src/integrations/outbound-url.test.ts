import { describe, expect, it } from 'vitest';
import { checkOutboundUrl, parseOutboundNetworks } from './outbound-url.ts';

const none = parseOutboundNetworks('') ?? [];
const own = parseOutboundNetworks('10.20.0.0/16 fd00::/8') ?? [];
const loopback = parseOutboundNetworks('127.0.0.0/8') ?? [];

describe('checkOutboundUrl', () => {
  it('accepts public host names', () => {
    for (const text of [
      'https://example.jamfcloud.com',
      'https://jamf.example.com:8443/',
      'https://a.b.example/path?query',
      'https://xn--bcher-kva.example',
    ]) {
      expect(checkOutboundUrl(text, none)).toMatchObject({ ok: true });
    }
  });

  it('#62 refuses addresses, in every spelling, and names of this machine', () => {
    for (const text of [
      'https://127.0.0.1',
      'https://127.1',
      'https://2130706433',
      'https://0x7f000001',
      'https://0177.0.0.1',
      'https://0',
      'https://0.0.0.0',
      'https://１２７.０.０.１',
      'https://169.254.169.254/latest/meta-data',
      'https://10.20.0.1',
      'https://192.168.1.1:8443',
      'https://8.8.8.8',
      'https://[::1]',
      'https://[::]',
      'https://[::ffff:127.0.0.1]',
      'https://[64:ff9b::7f00:1]',
      'https://[fd00::1]',
      'https://localhost',
      'https://LOCALHOST:8780',
      'https://localhost.',
      'https://jamf.localhost',
      'https://localhost.localdomain',
      'https://broker',
      'https://jamf.local',
      'https://metadata.google.internal',
      'https://jamf.corp',
      'https://1.0.0.127.in-addr.arpa',
      'https://example.com.',
    ]) {
      expect({ text, ...checkOutboundUrl(text, none) }).toMatchObject({ text, ok: false });
    }
  });

  it('refuses what is no plain https URL', () => {
    const table = [
      ['example.com', 'must be a URL'],
      ['http://example.com', 'must be a URL with https'],
      ['ftp://example.com', 'must be a URL with https'],
      ['file:///etc/passwd', 'must be a URL with https'],
      ['https://user@example.com', 'must not hold a user or password'],
      ['https://example.com@10.0.0.1', 'must not hold a user or password'],
      ['https://example.com/#x', 'must not have a fragment'],
    ] as const;
    for (const [text, detail] of table) {
      expect(checkOutboundUrl(text, none)).toEqual({ ok: false, detail });
    }
  });

  it('accepts what the networks of this machine open, and no more', () => {
    const isAccepted = (text: string, networks = own) => checkOutboundUrl(text, networks).ok;
    expect(isAccepted('https://10.20.255.1')).toBe(true);
    expect(isAccepted('https://[fd12::9]:8443')).toBe(true);
    expect(isAccepted('https://jamf.corp')).toBe(true);
    expect(isAccepted('https://jamf')).toBe(true);
    for (const text of [
      'https://10.21.0.1',
      'https://[fe80::1]',
      'https://localhost',
      'https://127.0.0.1',
    ]) {
      expect(isAccepted(text)).toBe(false);
    }
    expect(isAccepted('https://localhost:8443', loopback)).toBe(true);
    expect(isAccepted('https://127.8.8.8', loopback)).toBe(true);
    expect(isAccepted('https://10.20.0.1', loopback)).toBe(false);
    expect(isAccepted('https://[::1]', loopback)).toBe(false);
  });
});

describe('parseOutboundNetworks', () => {
  it('refuses what is no network', () => {
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0/8',
      '::/129',
      'example.com/8',
      '10.0.0.0/8,',
      '/8',
    ]) {
      expect(parseOutboundNetworks(text)).toBeUndefined();
    }
    expect(parseOutboundNetworks('10.0.0.0/8 ::1/128')).toHaveLength(2);
  });
});
