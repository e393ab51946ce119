import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSecureWebOrigin } from './origin.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 2000);

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/).filter(
  // A label that claims to be an encoded one mostly is none.
  (text) => !text.startsWith('xn--'),
);
const host = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
  fc.ipV4(),
  fc.constantFrom('localhost', '127.0.0.1', '[::1]', '[2001:db8::1]', 'xn--mnchen-3ya.example'),
);
const port = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 1, max: 65_535 }).map((number) => `:${number}`),
);

/** Written as browsers write them, from parts that are in their one form already. */
const canonicalOrigin = fc
  .tuple(fc.constantFrom('https', 'http'), host, port)
  .filter(([scheme, , at]) => at !== (scheme === 'https' ? ':443' : ':80'))
  .map(([scheme, name, at]) => ({ scheme, name, text: `${scheme}://${name}${at}` }));

const loopback = ['localhost', '127.0.0.1', '[::1]'];

describe('isSecureWebOrigin', () => {
  it('takes https anywhere and http on loopback, and nothing else', () => {
    fc.assert(
      fc.property(canonicalOrigin, ({ scheme, name, text }) => {
        expect(isSecureWebOrigin(text), text).toBe(scheme === 'https' || loopback.includes(name));
      }),
      { seed, numRuns },
    );
  });

  it('takes no other spelling of an origin that it takes', () => {
    const respell: ReadonlyArray<(text: string) => string> = [
      (text) => `${text}/`,
      (text) => `${text}.`,
      (text) => `${text}?`,
      (text) => `${text}#`,
      (text) => ` ${text}`,
      (text) => `${text}\n`,
      (text) => text.toUpperCase(),
      (text) => text.replace('://', ':///'),
      (text) => text.replace('://', ':\\\\'),
      (text) => text.replace('://', '://user@'),
      (text) => text.replace('://', '://@'),
      (text) => `blob:${text}/`,
      (text) => (/:\d+$/.test(text) ? text.replace(/:(\d+)$/, ':0$1') : `${text}:`),
      (text) =>
        /:\d+$/.test(text) ? `${text}00000` : `${text}:${text.startsWith('https') ? 443 : 80}`,
      (text) =>
        text.replace(/[a-z](?=[^a-z]*$)/, (letter) =>
          String.fromCharCode(letter.charCodeAt(0) + 0xfee0),
        ),
      (text) => text.replace('127.0.0.1', '127.1').replace('[::1]', '[0:0:0:0:0:0:0:1]'),
    ];
    fc.assert(
      fc.property(canonicalOrigin, fc.constantFrom(...respell), ({ text }, change) => {
        const changed = change(text);
        fc.pre(changed !== text && isSecureWebOrigin(text));
        // A dot at the end makes another name of it (RFC 1034 section 3.1), an origin of its own.
        const isAnotherOrigin =
          changed === `${text}.` &&
          text.startsWith('https') &&
          URL.parse(changed)?.origin === changed;
        expect(isSecureWebOrigin(changed), changed).toBe(isAnotherOrigin);
      }),
      { seed, numRuns },
    );
  });

  it('answers whatever text, and takes only what says the same to a browser', () => {
    const text = fc.oneof(
      fc.string(),
      fc.webUrl(),
      fc
        .tuple(
          fc.constantFrom('https://', 'http://', 'https:', '//', ''),
          fc.string({ unit: 'grapheme', maxLength: 12 }),
        )
        .map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        if (!isSecureWebOrigin(input)) return;
        const url = new URL(input);
        expect([url.origin, url.href]).toEqual([input, `${input}/`]);
        expect(input).toMatch(/^https?:\/\/[^\s/?#@\\*A-Z]+$/);
      }),
      { seed, numRuns },
    );
  });
});
