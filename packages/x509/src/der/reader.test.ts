import { describe, expect, it } from 'vitest';
import { attempt, type X509FailureReason } from '../result.ts';
import { DerReader, ownBytes } from './reader.ts';
import { tag } from './tag.ts';

const reader = (hex: string) => new DerReader(new Uint8Array(Buffer.from(hex, 'hex')));

function refusal(work: () => unknown): X509FailureReason | 'accepted' {
  const result = attempt(work);
  return result.ok ? 'accepted' : result.reason;
}

describe('headers', () => {
  it.each([
    ['nothing', ''],
    ['tag without length', '30'],
    ['content cut off', '3001'],
    ['longer than the input', '300500'],
    ['indefinite length', '30800000'],
    ['reserved length 0xff', '30ff00'],
    ['long form for a short length', '30810100'],
    ['long form padded with zero', `30820080${'00'.repeat(128)}`],
    ['long form cut off', '3082'],
    ['length in four octets', `3084000000ff${'00'.repeat(255)}`],
    ['length of 4 GB', '3084ffffffff00'],
  ])('refuses %s', (_, hex) => {
    expect(refusal(() => reader(hex).enter(tag.sequence, 'x'))).toBe('malformed_der');
  });

  it.each([
    ['short', '3000', 0],
    ['127', `307f${'00'.repeat(127)}`, 127],
    ['128', `308180${'00'.repeat(128)}`, 128],
    ['256', `30820100${'00'.repeat(256)}`, 256],
    ['65536', `3083010000${'00'.repeat(65536)}`, 65536],
  ])('takes a length of %s in its shortest form', (_, hex, length) => {
    expect(reader(hex).content(tag.sequence, 'x')).toHaveLength(length);
  });

  it('refuses another tag, a constructed string among them', () => {
    expect(refusal(() => reader('2400').content(tag.octetString, 'x'))).toBe('malformed_structure');
    expect(refusal(() => reader('3000').content(tag.set, 'x'))).toBe('malformed_structure');
  });

  it('refuses what is left over, inside and outside', () => {
    const outer = reader('3003020105ff');
    const inner = outer.enter(tag.sequence, 'x');
    expect(refusal(() => inner.finish('x'))).toBe('trailing_bytes');
    expect(refusal(() => outer.finish('x'))).toBe('trailing_bytes');
    inner.smallInteger('x');
    expect(refusal(() => inner.finish('x'))).toBe('accepted');
  });

  it('never reads past the element it is in', () => {
    // The inner INTEGER claims one octet more than its SEQUENCE has.
    const inner = reader('300302020000').enter(tag.sequence, 'x');
    expect(refusal(() => inner.integer('x'))).toBe('malformed_der');
  });
});

describe('values', () => {
  it.each([
    ['0200', 'malformed_der'],
    ['02020001', 'malformed_der'],
    ['0202ff80', 'malformed_der'],
    ['020200ff', 'accepted'],
    ['0202ff7f', 'accepted'],
    ['020100', 'accepted'],
  ])('INTEGER %s: %s', (hex, outcome) => {
    expect(refusal(() => reader(hex).integer('x'))).toBe(outcome);
  });

  it('gives an unsigned integer without its sign octet and refuses a negative one', () => {
    expect([...reader('020200ff').unsignedInteger('x')]).toEqual([0xff]);
    expect([...reader('020100').unsignedInteger('x')]).toEqual([0]);
    expect(refusal(() => reader('0201ff').unsignedInteger('x'))).toBe('malformed_structure');
    expect(refusal(() => reader('02020080').smallInteger('x'))).toBe('malformed_structure');
    expect(reader('02017f').smallInteger('x')).toBe(127);
  });

  it.each([
    ['010100', 'accepted'],
    ['0101ff', 'accepted'],
    ['010101', 'malformed_der'],
    ['0100', 'malformed_der'],
    ['0102ffff', 'malformed_der'],
  ])('BOOLEAN %s: %s', (hex, outcome) => {
    expect(refusal(() => reader(hex).boolean('x'))).toBe(outcome);
  });

  it.each([
    ['0500', 'accepted'],
    ['050100', 'malformed_der'],
  ])('NULL %s: %s', (hex, outcome) => {
    expect(refusal(() => reader(hex).null('x'))).toBe(outcome);
  });

  it.each([
    ['0300', 'malformed_der'],
    ['030101', 'malformed_der'],
    ['03020180', 'malformed_der'],
    ['0301', 'malformed_der'],
    ['030100', 'accepted'],
    ['030200ff', 'accepted'],
  ])('BIT STRING of octets %s: %s', (hex, outcome) => {
    expect(refusal(() => reader(hex).octetAlignedBits('x'))).toBe(outcome);
  });

  it.each<[string, string, number[] | 'malformed_der']>([
    ['digitalSignature', '03020780', [0]],
    ['keyCertSign and cRLSign', '03020106', [5, 6]],
    ['decipherOnly', '0303070080', [8]],
    ['no bit', '030100', []],
    ['trailing zero bits kept', '03020080', 'malformed_der'],
    ['padding bit set', '030207c0', 'malformed_der'],
    ['a zero octet at the end', '0303078000', 'malformed_der'],
    ['eight unused bits', '03020880', 'malformed_der'],
    ['unused bits of nothing', '030107', 'malformed_der'],
    ['no content', '0300', 'malformed_der'],
  ])('named bits: %s', (_, hex, expected) => {
    const result = attempt(() => reader(hex).namedBits('x'));
    expect(result.ok ? result.value : result.reason).toEqual(expected);
  });
});

describe('ownBytes', () => {
  it('keeps later changes by the caller out', () => {
    const input = new Uint8Array([1, 2, 3]);
    const own = ownBytes(input, 3, 'x');
    input[0] = 9;
    expect([...own]).toEqual([1, 2, 3]);
  });

  it('refuses what is larger than the caller wants', () => {
    expect(refusal(() => ownBytes(new Uint8Array(4), 3, 'x'))).toBe('too_large');
  });
});
