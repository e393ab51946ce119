import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBytes, hexOf } from '../bytes.ts';
import { decodeObjectIdentifier, encodeObjectIdentifier } from './object-identifier.ts';
import { DerReader } from './reader.ts';
import { tag } from './tag.ts';
import { assertWellFormedElement } from './well-formed.ts';
import {
  encodeElement,
  encodeNamedBits,
  encodeOctetString,
  encodeSetOf,
  encodeSmallInteger,
  encodeUnsignedInteger,
  encodeUtf8String,
} from './writer.ts';

// The same inputs in every run: a failure is never a matter of luck, and always comes back.
fc.configureGlobal({ seed: 20_261_121 });

describe('the writer writes what the reader takes', () => {
  it('for contents of every size of length', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536, 70000]) {
      const content = new Uint8Array(length).fill(7);
      const reader = new DerReader(encodeOctetString(content));
      expect(reader.content(tag.octetString, 'x')).toEqual(content);
      expect(reader.atEnd).toBe(true);
    }
  });

  it('for unsigned integers, whatever zeros they lead with', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (magnitude) => {
        const read = new DerReader(encodeUnsignedInteger(magnitude)).unsignedInteger('x');
        expect(BigInt(`0x${hexOf(read)}`)).toBe(BigInt(`0x0${hexOf(magnitude)}`));
      }),
    );
  });

  it('for named bits', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 30 })), (positions) => {
        const read = new DerReader(encodeNamedBits(positions)).namedBits('x');
        expect(read).toEqual(positions.toSorted((a, b) => a - b));
      }),
    );
  });

  it('for sets, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 4 })), (contents) => {
        const set = encodeSetOf(...contents.map((content) => encodeOctetString(content)));
        expect(() => assertWellFormedElement(set, 'x')).not.toThrow();
      }),
    );
  });

  it('refuses a small integer that is none', () => {
    for (const value of [-1, 128, 1.5, Number.NaN]) {
      expect(() => encodeSmallInteger(value)).toThrow(RangeError);
    }
  });
});

describe('object identifiers', () => {
  it.each([
    ['1.2.840.113549.1.1.11', '2a864886f70d01010b'],
    ['2.5.4.3', '550403'],
    ['0.39', '27'],
    ['1.0', '28'],
    ['2.999.1', '883701'],
    ['2.25.0', '6900'],
  ])('%s', (dotted, hex) => {
    expect(hexOf(encodeObjectIdentifier(dotted))).toBe(hex);
    expect(decodeObjectIdentifier(new Uint8Array(Buffer.from(hex, 'hex')))).toBe(dotted);
  });

  it('come back as they were, arcs of 128 bits too', () => {
    const arc = fc.bigInt({ min: 0n, max: 2n ** 128n });
    fc.assert(
      fc.property(fc.array(arc, { maxLength: 2 }), arc, (arcs, second) => {
        const dotted = [2n, second, ...arcs].join('.');
        expect(decodeObjectIdentifier(encodeObjectIdentifier(dotted))).toBe(dotted);
      }),
    );
  });

  it.each([[''], ['80'], ['8001'], ['2a80'], ['2a8001'], ['2aff'], [`2a${'81'.repeat(64)}01`]])(
    'refuses content %s',
    (hex) => {
      const content = new Uint8Array(Buffer.from(hex, 'hex'));
      expect(() => decodeObjectIdentifier(content)).toThrow(/object identifier/);
    },
  );

  it.each(['', '1', '3.1', '1.40', '1.02', '1.2.', '1.-2', 'a.b'])('does not encode %j', (text) => {
    expect(() => encodeObjectIdentifier(text)).toThrow(RangeError);
  });
});

describe('well-formed elements', () => {
  it.each([
    ['SEQUENCE of everything', '30160101ff02010504000500060355040a0c02c3a4160161'],
    ['SET in order', '3106020101020102'],
    ['context tags', 'a00580030000ff'],
    ['BMPString', '1e020041'],
    ['UTCTime', `170d${Buffer.from('260101000000Z').toString('hex')}`],
    ['GeneralizedTime with a fraction', `1811${Buffer.from('20260101000000.5Z').toString('hex')}`],
  ])('takes %s', (_, hex) => {
    expect(() =>
      assertWellFormedElement(new Uint8Array(Buffer.from(hex, 'hex')), 'x'),
    ).not.toThrow();
  });

  it.each([
    ['SET out of order', '3106020102020101'],
    ['high tag number', '1f8100'],
    ['high tag number inside a SET', '31031f8100'],
    ['context high tag number', 'bf810000'],
    ['universal tag that X.509 has no use for', '090101'],
    ['reserved tag 0', '0000'],
    ['constructed string', '2c020c00'],
    ['UTF8String that is none', '0c02c328'],
    ['UTF8String with a surrogate', '0c03eda080'],
    ['overlong UTF-8', '0c02c080'],
    ['PrintableString with an underscore', '13015f'],
    ['IA5String above ASCII', '160180'],
    ['BMPString cut in two', '1e0100'],
    ['UniversalString cut in two', '1c020000'],
    ['UTCTime without seconds', `170b${Buffer.from('2601010000Z').toString('hex')}`],
    ['UTCTime with an offset', `1711${Buffer.from('260101000000+0000').toString('hex')}`],
    [
      'GeneralizedTime with a zero at the end',
      `1812${Buffer.from('20260101000000.50Z').toString('hex')}`,
    ],
    ['BIT STRING with padding set', '03020181'],
    ['trailing bytes', '050000'],
    ['nothing', ''],
  ])('refuses %s', (_, hex) => {
    expect(() => assertWellFormedElement(new Uint8Array(Buffer.from(hex, 'hex')), 'x')).toThrow(
      /^x: /,
    );
  });

  it('refuses deep nesting without exhausting the stack', () => {
    let element = encodeUtf8String('x');
    for (let i = 0; i < 5000; i++) element = encodeElement(tag.sequence, element);
    expect(() => assertWellFormedElement(element, 'x')).toThrow(/nested too deeply/);
  });
});

describe('compareBytes', () => {
  it('orders a prefix before what it begins', () => {
    expect(compareBytes(new Uint8Array([1]), new Uint8Array([1, 0]))).toBeLessThan(0);
    expect(compareBytes(new Uint8Array([2]), new Uint8Array([1, 9]))).toBeGreaterThan(0);
    expect(compareBytes(new Uint8Array([1]), new Uint8Array([1]))).toBe(0);
  });
});
