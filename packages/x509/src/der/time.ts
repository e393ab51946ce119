import { type Bytes, textBytes } from '../bytes.ts';
import { X509Error } from '../result.ts';
import type { DerReader } from './reader.ts';
import { tag } from './tag.ts';
import { encodeElement } from './writer.ts';

const year1950Ms = Date.UTC(1950, 0, 1);
const year2050Ms = Date.UTC(2050, 0, 1);
const year10000Ms = Date.UTC(10000, 0, 1);

/** Whether the two forms of RFC 5280 §4.1.2.5 can say this time at all. */
export function isEncodableTime(epochMs: number): boolean {
  return epochMs >= year1950Ms && epochMs < year10000Ms;
}

/**
 * Time of RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050, whole seconds (a
 * fraction is dropped), Zulu. Throws a RangeError before 1950 and after 9999.
 */
export function encodeTime(epochMs: number): Bytes {
  if (!isEncodableTime(epochMs)) throw new RangeError('time not encodable');
  const digits = new Date(epochMs).toISOString().replace(/\..*$|[^0-9]/g, '');
  return epochMs < year2050Ms
    ? encodeElement(tag.utcTime, textBytes(`${digits.slice(2)}Z`))
    : encodeElement(tag.generalizedTime, textBytes(`${digits}Z`));
}

/** GeneralizedTime whatever the year, whole seconds, Zulu, as OCSP has it (RFC 6960 §4.2.2.1). */
export function encodeGeneralizedTime(epochMs: number): Bytes {
  if (!isEncodableTime(epochMs)) throw new RangeError('time not encodable');
  const digits = new Date(epochMs).toISOString().replace(/\..*$|[^0-9]/g, '');
  return encodeElement(tag.generalizedTime, textBytes(`${digits}Z`));
}

/** Milliseconds since 1970. Refuses any other form than the one that `encodeTime` writes. */
export function readTime(reader: DerReader, what: string): number {
  const short = reader.peekTag() === tag.utcTime;
  const content = reader.content(short ? tag.utcTime : tag.generalizedTime, what);
  if (content.length !== (short ? 13 : 15) || content[content.length - 1] !== 0x5a) {
    throw new X509Error('validity_not_allowed', `${what}: form of time not allowed`);
  }
  const twoDigits = (at: number) => {
    const tens = (content[at] ?? 0) - 0x30;
    const ones = (content[at + 1] ?? 0) - 0x30;
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) {
      throw new X509Error('validity_not_allowed', `${what}: not a digit`);
    }
    return tens * 10 + ones;
  };
  const shift = short ? 0 : 2;
  const yearInCentury = twoDigits(shift);
  const century = short ? (yearInCentury >= 50 ? 19 : 20) : twoDigits(0);
  const year = century * 100 + yearInCentury;
  const month = twoDigits(shift + 2);
  const day = twoDigits(shift + 4);
  const hour = twoDigits(shift + 6);
  const minute = twoDigits(shift + 8);
  const second = twoDigits(shift + 10);
  const epochMs = Date.UTC(year, month - 1, day, hour, minute, second);
  // Date.UTC carries 31 February, 24:00 or second 60 over into the next field; a real time stays.
  const roundTrip = new Date(epochMs);
  const real =
    roundTrip.getUTCFullYear() === year &&
    roundTrip.getUTCMonth() === month - 1 &&
    roundTrip.getUTCDate() === day &&
    roundTrip.getUTCHours() === hour &&
    roundTrip.getUTCMinutes() === minute;
  if (!real) throw new X509Error('validity_not_allowed', `${what}: no such time`);
  if (!short && epochMs < year2050Ms) {
    throw new X509Error('validity_not_allowed', `${what}: GeneralizedTime before 2050`);
  }
  return epochMs;
}
