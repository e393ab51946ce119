import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attempt } from '../result.ts';
import { DerReader } from './reader.ts';
import { encodeTime, readTime } from './time.ts';
import { encodeElement } from './writer.ts';

// The same inputs in every run: a failure is never a matter of luck, and always comes back.
fc.configureGlobal({ seed: 20_261_121 });

const utcTime = 0x17;
const generalizedTime = 0x18;
const read = (identifier: number, text: string) =>
  attempt(() =>
    readTime(new DerReader(encodeElement(identifier, new TextEncoder().encode(text))), 'x'),
  );

describe('times of RFC 5280', () => {
  it.each([
    ['1950-01-01T00:00:00Z', utcTime, '500101000000Z'],
    ['1999-12-31T23:59:59Z', utcTime, '991231235959Z'],
    ['2000-02-29T12:00:00Z', utcTime, '000229120000Z'],
    ['2049-12-31T23:59:59Z', utcTime, '491231235959Z'],
    ['2050-01-01T00:00:00Z', generalizedTime, '20500101000000Z'],
    ['9999-12-31T23:59:59Z', generalizedTime, '99991231235959Z'],
  ])('%s', (iso, identifier, text) => {
    const epochMs = Date.parse(iso);
    expect(encodeTime(epochMs)).toEqual(encodeElement(identifier, new TextEncoder().encode(text)));
    expect(read(identifier, text)).toEqual({ ok: true, value: epochMs });
  });

  it('come back to the second', () => {
    const limits = { min: Date.UTC(1950, 0, 1), max: Date.UTC(9999, 11, 31) };
    fc.assert(
      fc.property(fc.integer(limits), (epochMs) => {
        expect(readTime(new DerReader(encodeTime(epochMs)), 'x')).toBe(
          Math.floor(epochMs / 1000) * 1000,
        );
      }),
    );
  });

  it.each([
    ['no seconds', utcTime, '2601010000Z'],
    ['an offset', utcTime, '260101000000+0000'],
    ['a fraction', generalizedTime, '20510101000000.5Z'],
    ['no Z', utcTime, '2601010000000'],
    ['30 February', utcTime, '260230000000Z'],
    ['29 February in a common year', utcTime, '270229000000Z'],
    ['month 13', utcTime, '261301000000Z'],
    ['month 0', utcTime, '260001000000Z'],
    ['day 0', utcTime, '260100000000Z'],
    ['hour 24', utcTime, '260101240000Z'],
    ['minute 60', utcTime, '260101006000Z'],
    ['a leap second', utcTime, '261231235960Z'],
    ['a sign', utcTime, '-60101000000Z'],
    ['a letter', utcTime, '26010100000AZ'],
    ['GeneralizedTime before 2050', generalizedTime, '20491231235959Z'],
    ['a year of three digits', generalizedTime, '09991231235959Z'],
  ])('refuses %s', (_, identifier, text) => {
    expect(read(identifier, text)).toMatchObject({ ok: false, reason: 'validity_not_allowed' });
  });

  it('refuses another type', () => {
    expect(read(0x0c, '260101000000Z')).toMatchObject({ ok: false, reason: 'malformed_structure' });
  });

  it('does not encode what has no form', () => {
    for (const epochMs of [Date.UTC(1949, 11, 31), Date.UTC(10000, 0, 1), Number.NaN, Infinity]) {
      expect(() => encodeTime(epochMs)).toThrow(RangeError);
    }
  });
});
