import { decodeBase64url } from '@countersign/protocol';
import type { HardwareId } from '@countersign/protocol/enrollment';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceIdKeyFingerprint, deviceIdOf, normalizeHardwareId } from './hardware-id.ts';

const seed = 20_261_121;
const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'];
const separators = ['', ' ', '-', '.', '/', '_', ':', '{', '}', '  '];

/** Serial numbers in their one normal form, of which none is a placeholder. */
const serialNumber = fc
  .array(fc.constantFrom(...alphabet), { minLength: 7, maxLength: 40 })
  .map((letters) => `X1Y${letters.join('')}`);

type Spelling = { lower: boolean[]; wide: boolean[]; between: string[]; outside: string };
const spelling: fc.Arbitrary<Spelling> = fc.record({
  lower: fc.array(fc.boolean(), { minLength: 64, maxLength: 64 }),
  wide: fc.array(fc.boolean(), { minLength: 64, maxLength: 64 }),
  between: fc.array(fc.constantFrom(...separators), { minLength: 64, maxLength: 64 }),
  outside: fc.constantFrom('', ' ', '\t', '\n', '\u00a0', '\u3000', '\ufeff'),
});

/** The full-width form of an ASCII letter or digit (U+FF01 to U+FF5E). */
const wideOf = (letter: string) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0);

function spell(serial: string, { lower, wide, between, outside }: Spelling): string {
  const letters = [...serial].map((letter, index) => {
    const cased = lower[index] ? letter.toLowerCase() : letter;
    return `${wide[index] ? wideOf(cased) : cased}${between[index]}`;
  });
  return `${outside}${letters.join('')}${outside}`;
}

const identityOf = (hardwareId: HardwareId) => {
  const result = normalizeHardwareId(hardwareId);
  return result.ok ? result.value.identity : result.code;
};

describe('normalizeHardwareId', () => {
  it('gives every spelling of one serial number one identity', () => {
    fc.assert(
      fc.property(serialNumber, spelling, (serial, how) => {
        const identity = identityOf({ serial_number: spell(serial, how) });
        expect(identity).toBe(`serial:${serial}`);
      }),
      { seed },
    );
  });

  it('gives different serial numbers different identities, whatever their spelling', () => {
    fc.assert(
      fc.property(serialNumber, serialNumber, spelling, spelling, (one, other, how, as) => {
        fc.pre(one !== other);
        const identity = identityOf({ serial_number: spell(one, how) });
        expect(identity).not.toBe(identityOf({ serial_number: spell(other, as) }));
      }),
      { seed },
    );
  });

  it('gives composed and decomposed spellings the same answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (text) => {
        const composed = normalizeHardwareId({ serial_number: text.normalize('NFC') });
        expect(normalizeHardwareId({ serial_number: text.normalize('NFD') })).toEqual(composed);
      }),
      { seed },
    );
  });

  it('answers whatever text with letters and digits of ASCII or a refusal', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 128 }),
      fc.string({ unit: 'grapheme', maxLength: 64 }),
      fc.string({ unit: 'grapheme-ascii', maxLength: 128 }),
    );
    fc.assert(
      fc.property(text, (serial_number) => {
        const result = normalizeHardwareId({ serial_number });
        if (result.ok) expect(result.value.identity).toMatch(/^serial:[A-Z0-9]{4,64}$/);
        else expect(result.field).toBe('hardware_id.serial_number');
      }),
      { seed, numRuns: 500 },
    );
  });

  it.each([
    ['a letter that upper case makes two of', 'STRAßE12'],
    ['a letter that upper case makes I of', 'ıD123456'],
    ['a composed letter', 'CAFÉ1234'],
    ['the same letter in two parts', 'CAFE\u03011234'],
    ['Cyrillic that looks like Latin', 'СЕРИАЛ12'],
    ['Greek that looks like Latin', 'ΑΒΕΗ1234'],
    ['digits of another script', '١٢٣٤٥٦٧٨'],
    ['an emoji', 'ABCD😀1234'],
    ['half a surrogate pair', 'ABCD\ud8001234'],
    ['a zero byte', 'ABCD\u00001234'],
    ['a space without width', 'ABCD\u200b1234'],
    ['a direction mark', 'ABCD\u202e1234'],
    ['a line break inside', 'ABCD\n1234'],
    ['too few characters', 'AB1'],
    ['nothing but separators', '--- ---'],
    ['too many characters', 'A1'.repeat(33)],
  ])('refuses %s', (_what, serial_number) => {
    expect(normalizeHardwareId({ serial_number })).toEqual({
      ok: false,
      code: 'hardware_id_invalid',
      field: 'hardware_id.serial_number',
    });
  });

  it.each([
    'To be filled by O.E.M.',
    'to be filled by o.e.m',
    'System Serial Number',
    'Default string',
    'Not Specified',
    'Not Applicable',
    'N/A',
    'None',
    'OEM',
    'TBD',
    '0',
    '00000000',
    'XXXXXXXX',
    '................0000',
    '0123456789',
    'ｎｏｎｅ',
  ])('takes %j for a placeholder', (serial_number) => {
    expect(normalizeHardwareId({ serial_number })).toMatchObject({
      code: 'hardware_id_placeholder',
    });
  });

  it.each([
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '03000200-0400-0500-0006-000700080009',
    '00020003-0004-0005-0006-000700080009',
  ])('takes the UUID %s for a placeholder', (hardware_uuid) => {
    expect(normalizeHardwareId({ hardware_uuid })).toEqual({
      ok: false,
      code: 'hardware_id_placeholder',
      field: 'hardware_id.hardware_uuid',
    });
  });

  const uuid = '4C4C4544-0042-3510-8052-B4C04F563032';
  const uuidText = '4C4C4544004235108052B4C04F563032';

  it.each<[what: string, hardwareId: HardwareId, identity: string]>([
    ['a UUID', { hardware_uuid: uuid }, `uuid:${uuidText}`],
    [
      'a UUID in braces and lower case',
      { hardware_uuid: `{${uuid.toLowerCase()}}` },
      `uuid:${uuidText}`,
    ],
    ['a UUID without hyphens', { hardware_uuid: uuidText }, `uuid:${uuidText}`],
    ['both', { serial_number: 'pf-2abcde', hardware_uuid: uuid }, 'serial:PF2ABCDE'],
    [
      'a placeholder beside a UUID',
      { serial_number: 'N/A', hardware_uuid: uuid },
      `uuid:${uuidText}`,
    ],
    [
      'a serial number beside a placeholder',
      { serial_number: 'PF2ABCDE', hardware_uuid: '00000000-0000-0000-0000-000000000000' },
      'serial:PF2ABCDE',
    ],
  ])('names a device by %s', (_what, hardwareId, identity) => {
    expect(identityOf(hardwareId)).toBe(identity);
  });

  it.each<[what: string, hardwareId: HardwareId, field: string]>([
    [
      'a malformed UUID beside a serial number',
      { serial_number: 'PF2ABCDE', hardware_uuid: 'nonsense' },
      'hardware_id.hardware_uuid',
    ],
    [
      'a malformed serial number beside a UUID',
      { serial_number: 'PF2\u0000', hardware_uuid: uuid },
      'hardware_id.serial_number',
    ],
    ['a UUID of 31 digits', { hardware_uuid: uuidText.slice(1) }, 'hardware_id.hardware_uuid'],
  ])('refuses %s', (_what, hardwareId, field) => {
    expect(normalizeHardwareId(hardwareId)).toEqual({
      ok: false,
      code: 'hardware_id_invalid',
      field,
    });
  });
});

const keyOf = (bytes: Uint8Array<ArrayBuffer>) =>
  crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);

describe('deviceIdOf', () => {
  it('is what openssl computes, and may never change: it is stored with every device', async () => {
    const key = await keyOf(new Uint8Array(32).fill(7));
    expect(await deviceIdOf('serial:PF2ABCDE', key)).toBe('oOtgTcBGn0ux8Mic8MOeLg');
    expect(await deviceIdKeyFingerprint(key)).toBe('BCcFis4B1IMvf5F5C2CSxw');
  });

  it('differs by identity and by key, and has 128 bits', async () => {
    const key = await keyOf(new Uint8Array(32).fill(7));
    const another = await keyOf(new Uint8Array(32).fill(8));
    const ids = [
      await deviceIdOf('serial:PF2ABCDE', key),
      await deviceIdOf('serial:PF2ABCDF', key),
      await deviceIdOf('uuid:PF2ABCDE', key),
      await deviceIdOf('serial:PF2ABCDE', another),
      await deviceIdKeyFingerprint(key),
      await deviceIdKeyFingerprint(another),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.map((id) => decodeBase64url(id)?.length)).toEqual(ids.map(() => 16));
  });
});
