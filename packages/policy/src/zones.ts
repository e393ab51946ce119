import { chosenId } from '@countersign/protocol/schemas';
import ipaddr from 'ipaddr.js';
import * as z from 'zod/mini';

/** A block of addresses (RFC 4632, RFC 4291 section 2.3), or one address. Its host bits are zero: what is meant is what is written. */
export const cidrBlock = z.string().check(
  z.maxLength(64),
  z.refine((text) => readBlock(text) !== undefined, {
    error: 'must be a block like 192.0.2.0/24 or 2001:db8::/32, without bits beyond its length',
  }),
);

/** A named set of addresses. `on_network`: part of what "on network" means. */
export const zoneFields = {
  name: z.string().check(z.minLength(1), z.maxLength(128)),
  on_network: z._default(z.boolean(), false),
  blocks: z.array(cidrBlock).check(z.minLength(1), z.maxLength(1000)),
} as const;
export const networkZone = z.strictObject({ zone_id: chosenId, ...zoneFields });
export type NetworkZone = z.infer<typeof networkZone>;

/** First and last address, as numbers of 128 bits. IPv4 has the place that IPv6 gives it (RFC 4291 section 2.5.5.2). */
export type AddressRange = { readonly first: bigint; readonly last: bigint };

const mappedIpv4 = 0xffff_0000_0000n;

function numberOf(octets: readonly number[]): bigint {
  const value = octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
  return octets.length === 4 ? mappedIpv4 + value : value;
}

/** `undefined` when it is none. Shortened, octal and hexadecimal forms of IPv4 are none: programs read them differently. */
export function readAddress(text: string): bigint | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text))
    return numberOf(ipaddr.IPv4.parse(text).toByteArray());
  // Dots are in one form alone: what else has them is read differently by different programs.
  const mapped = /^::ffff:([\d.]+)$/i.exec(text)?.[1];
  if (mapped !== undefined && ipaddr.IPv4.isValidFourPartDecimal(mapped)) {
    return numberOf(ipaddr.IPv4.parse(mapped).toByteArray());
  }
  if (/[%.]/.test(text) || !text.includes(':') || !ipaddr.IPv6.isValid(text)) return undefined;
  return numberOf(ipaddr.IPv6.parse(text).toByteArray());
}

export function readBlock(text: string): AddressRange | undefined {
  const [address = '', length, ...more] = text.split('/');
  const first = readAddress(address);
  if (first === undefined || more.length > 0) return undefined;
  const bits = address.includes(':') ? 128 : 32;
  if (length !== undefined && !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return undefined;
  const hostBits = (1n << BigInt(bits - prefix)) - 1n;
  // Of IPv4 the bits of the mapping stay out of it.
  return (first & hostBits) === 0n ? { first, last: first | hostBits } : undefined;
}

export type Zones = readonly NetworkZone[];

const ranges = new WeakMap<NetworkZone, readonly AddressRange[]>();

/** The zone's blocks as numbers, read once. */
export function rangesOf(zone: NetworkZone): readonly AddressRange[] {
  let found = ranges.get(zone);
  if (found === undefined) {
    found = zone.blocks.flatMap((text) => readBlock(text) ?? []);
    ranges.set(zone, found);
  }
  return found;
}

/** Is the address in one of the zone's blocks? The plain way, for the judge of the index and for one question alone. */
export const isInZone = (zone: NetworkZone, address: bigint): boolean =>
  rangesOf(zone).some(({ first, last }) => first <= address && address <= last);
