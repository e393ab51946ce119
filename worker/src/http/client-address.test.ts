import { describe, expect, it } from 'vitest';
import { clientAddress } from './client-address.ts';

function from(clientIp: string | undefined, header?: string): string | undefined {
  const request = new Request('https://broker.example.com', {
    headers: header === undefined ? {} : { 'CF-Connecting-IP': header },
  });
  return clientAddress(
    Object.assign(request, { cf: clientIp === undefined ? undefined : { clientIp } }),
  );
}

describe('the address of a client', () => {
  it('is what the front says, before what a header says', () => {
    expect(from('192.0.2.7', '198.51.100.1')).toBe('192.0.2.7');
    expect(from(undefined, '198.51.100.1')).toBe('198.51.100.1');
    expect(from(undefined)).toBeUndefined();
    expect(from('')).toBeUndefined();
  });

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('in IPv6 is that of its network: %s', (address, network) => {
    expect(from(address)).toBe(network);
  });

  it.each(['::ffff:192.0.2.7', '::FFFF:192.0.2.7'])(
    'in IPv4 is the same on a listener for both: %s',
    (address) => {
      expect(from(address)).toBe('192.0.2.7');
    },
  );
});
