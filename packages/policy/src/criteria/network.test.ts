import { describe, expect, it } from 'vitest';
import { goodFacts } from '../testing/facts.ts';
import { networkZone } from '../zones.ts';
import type { Condition, Verdict } from './criterion.ts';
import { network } from './network.ts';

const zone = (zone_id: string, on_network: boolean, ...blocks: string[]) =>
  networkZone.parse({ zone_id, name: zone_id, on_network, blocks });
const zones = [
  zone('office', true, '192.0.2.0/25', '2001:db8::/32'),
  zone('lab', false, '192.0.2.64/26'),
  zone('abroad', false, '198.51.100.7'),
];
const check = (condition: Condition<'network'>, ipAddress: string | undefined) =>
  network.check(condition, { ...goodFacts, ipAddress }, zones);

describe('network', () => {
  it.each<[Condition<'network'>, string | undefined, Verdict]>([
    [{ location: 'on_network' }, '192.0.2.0', 'met'],
    [{ location: 'on_network' }, '192.0.2.127', 'met'],
    [{ location: 'on_network' }, '192.0.2.128', 'not_met'],
    [{ location: 'on_network' }, '192.0.1.255', 'not_met'],
    [{ location: 'on_network' }, '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', 'met'],
    [{ location: 'on_network' }, '2001:db9::', 'not_met'],
    [{ location: 'on_network' }, '198.51.100.7', 'not_met'],
    [{ location: 'off_network' }, '198.51.100.7', 'met'],
    [{ location: 'off_network' }, '203.0.113.1', 'met'],
    [{ location: 'off_network' }, '192.0.2.1', 'not_met'],
    [{ zones: ['lab'] }, '192.0.2.64', 'met'],
    [{ zones: ['lab'] }, '192.0.2.63', 'not_met'],
    [{ zones: ['abroad', 'lab'] }, '198.51.100.7', 'met'],
    [{ zones: ['abroad'] }, '198.51.100.8', 'not_met'],
    [{ zones: ['gone'] }, '192.0.2.1', 'not_met'],
    [{ except_zones: ['gone'] }, '192.0.2.1', 'met'],
    [{ except_zones: ['lab'] }, '192.0.2.70', 'not_met'],
    [{ except_zones: ['lab'] }, '192.0.2.1', 'met'],
    [{ zones: ['office'], except_zones: ['lab'] }, '192.0.2.70', 'not_met'],
    [{ zones: ['office'], except_zones: ['lab'] }, '192.0.2.1', 'met'],
    [{ location: 'on_network', zones: ['abroad'] }, '192.0.2.1', 'not_met'],
    // What IPv6 calls an IPv4 address is that address.
    [{ zones: ['lab'] }, '::ffff:192.0.2.70', 'met'],
    [{ location: 'on_network' }, undefined, 'unknown'],
    [{ location: 'off_network' }, undefined, 'unknown'],
    [{ except_zones: ['lab'] }, undefined, 'unknown'],
    ...[
      '',
      'localhost',
      '192.0.2',
      '192.0.2.1.1',
      '192.0.02.1',
      '0xc0.0.2.1',
      '256.0.0.1',
      '192.0.2.1/32',
      'fe80::1%eth0',
      ' 192.0.2.1',
      // The same number as an IPv4 address, or nearly, to programs that read it so.
      '::192.0.2.1',
      '::ffff:0192.0.2.1',
      '::ffff:0xc0.0.2.1',
      '2001:db8::192.0.2.1',
    ].map((text): [Condition<'network'>, string, Verdict] => [
      { location: 'off_network' },
      text,
      'unknown',
    ]),
  ])('%j, from %s: %s', (condition, address, verdict) => {
    expect(check(condition, address)).toBe(verdict);
  });

  it('says which zones were wanted and where the person is', () => {
    const wanted = { location: 'on_network', zones: ['a', 'b'], except_zones: ['c'] } as const;
    expect(network.wanted({ ...wanted, zones: ['a', 'b'], except_zones: ['c'] })).toBe(
      'on network, in one of a, b, not in c',
    );
    const seen = (ipAddress: string | undefined) =>
      network.seen({ ...goodFacts, ipAddress }, zones, {});
    expect(seen('192.0.2.70')).toBe('192.0.2.70, in office, lab');
    expect(seen('203.0.113.1')).toBe('203.0.113.1, in no zone');
    expect(seen(undefined)).toBe('not said');
    expect(seen('here')).toBe('here, which is no address');
  });
});

describe('a block of a zone', () => {
  it.each([
    '192.0.2.1/24',
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.0/08',
    '2001:db8::1/64',
    '::/129',
    'a/8',
    '10/8',
    '192.0.2.0/24/1',
  ])('is not %s', (block) => {
    expect(() => zone('x', false, block)).toThrow();
  });
});
