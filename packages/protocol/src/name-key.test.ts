import { describe, expect, it } from 'vitest';
import { nameKey } from './name-key.ts';

describe('nameKey', () => {
  it.each([
    ['case', 'Ada@Example.com', 'ada@eXAMPLE.COM'],
    ['case beyond A to Z', 'ÉVA', 'éva'],
    ['accents that are signs of their own', '\u00e9va', 'e\u0301va'],
    ['the order of accents', 'a\u0323\u0307', 'a\u0307\u0323'],
    ['full width', '\uff41\uff44\uff41', 'ada'],
    ['a ligature', '\ufb01na', 'fina'],
    ['the two small sigmas', 'ΟΔΟΣ', 'οδοσ'],
    ['spaces around it', ' ada\u3000', 'ada'],
    ['signs that are not seen', 'a\u00add\u200ba\u2060', 'ada'],
    ['Hangul by letter and by syllable', '\u1100\u1161', '\uac00'],
  ])('is the same without regard to %s', (_, one, other) => {
    expect(nameKey(one)).toBe(nameKey(other));
    expect(nameKey(nameKey(one))).toBe(nameKey(one));
  });

  it.each([
    ['ilker', '\u0131lker'],
    ['strasse', 'straße'],
    ['eva', 'éva'],
    ['ada', 'аdа'],
    ['adalovelace', 'ada lovelace'],
  ])('keeps %s and %s two people', (one, other) => {
    expect(nameKey(one)).not.toBe(nameKey(other));
  });

  it('says the same of itself, and of each form of every sign of the basic plane', () => {
    const differing: string[] = [];
    for (let code = 0; code <= 0xffff; code++) {
      const sign = String.fromCharCode(code);
      if (!sign.isWellFormed()) continue;
      const key = nameKey(sign);
      const forms = [key, sign.toLowerCase(), sign.normalize('NFD'), sign.normalize('NFKD')];
      if (forms.some((form) => nameKey(form) !== key)) differing.push(code.toString(16));
    }
    expect(differing).toEqual([]);
  });
});
