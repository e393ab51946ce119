import type { HardwareId } from '@countersign/protocol/enrollment';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceIdOf, normalizeHardwareId } from './hardware-id.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 1000);

const identityOf = (hardwareId: HardwareId): string | undefined => {
  const result = normalizeHardwareId(hardwareId);
  return result.ok ? result.value.identity : undefined;
};

/** What a keyboard, a label, a spreadsheet or a firmware makes of one character. */
const respellings: ReadonlyArray<(character: string) => string> = [
  (character) => character,
  (character) => character.toLowerCase(),
  (character) => character.toUpperCase(),
  // Full width.
  (character) =>
    /[!-~]/.test(character) ? String.fromCharCode(character.charCodeAt(0) + 0xfee0) : character,
  // In a circle, which NFKC folds as well.
  (character) =>
    /[A-Z]/.test(character)
      ? String.fromCodePoint(0x24b6 + character.charCodeAt(0) - 65)
      : character,
  // Bold, outside of the basic plane.
  (character) =>
    /[A-Z]/.test(character)
      ? String.fromCodePoint(0x1d400 + character.charCodeAt(0) - 65)
      : character,
  ...['-', ' ', '.', '\u00a0', '\u2002'].map((gap) => (character: string) => `${character}${gap}`),
  // Unseen: a space without width, a joiner, a soft hyphen, a mark, an accent, a direction.
  ...['\u200b', '\u200d', '\u00ad', '\ufe0f', '\u0301', '\u202e'].map(
    (unseen) => (character: string) => `${character}${unseen}`,
  ),
];

const serial = fc
  .string({
    unit: fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'),
    minLength: 4,
    maxLength: 24,
  })
  .filter((text) => identityOf({ serial_number: text }) !== undefined);
const uuid = fc.uuid().filter((text) => identityOf({ hardware_uuid: text }) !== undefined);
const spelling = fc.array(fc.constantFrom(...respellings), { minLength: 1, maxLength: 24 });
const form = fc.constantFrom('NFC', 'NFD', 'NFKC', 'NFKD');

const respell = (text: string, how: readonly ((character: string) => string)[]) =>
  [...text].map((character, at) => how[at % how.length]?.(character) ?? character).join('');

/** Marks and formatting characters, once letters stand by themselves. */
const invisible = /[\p{M}\p{Cf}]/u;

describe('a hardware id', () => {
  it('has one identity in every spelling, or none', () => {
    const seen = { same: 0, refused: 0 };
    fc.assert(
      fc.property(serial, spelling, form, (text, how, normalForm) => {
        const spelled = respell(text, how).normalize(normalForm);
        const identity = identityOf({ serial_number: spelled });
        seen[identity === undefined ? 'refused' : 'same'] += 1;
        if (identity !== undefined) expect(identity).toBe(`serial:${text}`);
        else expect(spelled.normalize('NFD')).toMatch(invisible);
      }),
      { seed, numRuns },
    );
    expect(Math.min(seen.same, seen.refused)).toBeGreaterThan(numRuns / 50);
  });

  it('is in its normal form after it was normalized', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.tuple(serial, spelling).map(([one, how]) => respell(one, how)),
    );
    fc.assert(
      fc.property(text, (serial_number) => {
        const once = normalizeHardwareId({ serial_number });
        if (!once.ok) return;
        const again = normalizeHardwareId({ serial_number: once.value.serialNumber ?? '' });
        expect(again).toEqual(once);
      }),
      { seed, numRuns },
    );
  });

  it('is a UUID in any spelling, for which case, hyphens and braces are nothing', () => {
    const style = fc.constantFrom<(text: string) => string>(
      (text) => text.toUpperCase(),
      (text) => text.replaceAll('-', ''),
      (text) => `{${text}}`,
      (text) => ` ${text.replaceAll('-', ' ')}\n`,
    );
    fc.assert(
      fc.property(uuid, style, (text, change) => {
        const expected = `uuid:${text.replaceAll('-', '').toUpperCase()}`;
        expect(identityOf({ hardware_uuid: change(text) })).toBe(expected);
      }),
      { seed, numRuns },
    );
  });

  it('is another device in another normal form, and never a UUID for a serial number', async () => {
    const key = await crypto.subtle.importKey(
      'raw',
      new Uint8Array(32).fill(7),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['sign'],
    );
    const hardwareId = fc.oneof(
      serial.map((serial_number): HardwareId => ({ serial_number })),
      uuid.map((hardware_uuid): HardwareId => ({ hardware_uuid })),
      uuid.map((text): HardwareId => ({ serial_number: text.replaceAll('-', '') })),
    );
    await fc.assert(
      fc.asyncProperty(hardwareId, hardwareId, async (one, other) => {
        const [first = '', second = ''] = [identityOf(one), identityOf(other)];
        const ids = [await deviceIdOf(first, key), await deviceIdOf(second, key)];
        expect(ids[0] === ids[1]).toBe(first === second);
        expect(first === second).toBe(
          one.serial_number === other.serial_number &&
            one.hardware_uuid?.toUpperCase() === other.hardware_uuid?.toUpperCase(),
        );
      }),
      { seed, numRuns },
    );
  });

  it('is named by its serial number, whatever is known beside it', () => {
    fc.assert(
      fc.property(serial, uuid, (serial_number, hardware_uuid) => {
        expect(identityOf({ serial_number, hardware_uuid })).toBe(identityOf({ serial_number }));
      }),
      { seed, numRuns },
    );
  });
});
