import { type Bytes, concatBytes } from './bytes.ts';
import { tag } from './der/tag.ts';
import { encodeElement } from './der/writer.ts';
import { X509Error } from './result.ts';

const randomOctets = 16;
const leadingOctet = 0x01;

/**
 * A serial number from 16 octets of a cryptographic random generator: the octet 01, then those 16.
 * The result is positive, has the same length always (17 octets, of the 20 that RFC 5280 §4.1.2.2
 * allows), and distinct inputs stay distinct: all 128 random bits are kept. Throws a RangeError on
 * another number of octets, or on zeros only, which no working generator gives.
 */
export function serialNumberFromRandom(random: Uint8Array): Bytes {
  if (random.length !== randomOctets || random.every((octet) => octet === 0)) {
    throw new RangeError('serial number: needs 16 random octets');
  }
  return concatBytes(new Uint8Array([leadingOctet]), random);
}

/** INTEGER of a serial number that `serialNumberFromRandom` made; refuses any other. */
export function encodeSerialNumber(serialNumber: Uint8Array): Bytes {
  if (serialNumber.length !== 1 + randomOctets || serialNumber[0] !== leadingOctet) {
    throw new X509Error('field_not_allowed', 'serialNumber: not made by serialNumberFromRandom');
  }
  return encodeElement(tag.integer, serialNumber);
}
