import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson, parseStrictJsonBytes } from './strict-json.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 2000);

/** A JSON text together with what the one who wrote it knows: whether all readers read it alike. */
type Written = { readonly text: string; readonly isAmbiguous: boolean };

const space = fc.constantFrom('', '', '', ' ', '\n', '\t\r\n');

/** Few names, so that they meet; some hold what a reader of braces and quotes stumbles over. */
const plainString = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'aa', '__proto__', '"', '\\', '\\"', '{', '}{', '":', 'é', '😀'),
  fc.string({ unit: 'binary', maxLength: 6 }),
);

/** One character, in one of the spellings that JSON has for it. */
function spell(character: string, how: number): string {
  const short = { '"': '\\"', '\\': '\\\\', '/': '\\/', '\n': '\\n', '\t': '\\t' }[character];
  const mustEscape = character < ' ' || character === '"' || character === '\\';
  if (how === 0 && !mustEscape) return character;
  if (how === 1 && short !== undefined) return short;
  const codes = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return codes.map((code) => `\\u${how === 2 ? code.toUpperCase() : code}`).join('');
}

const writtenString = fc
  .tuple(plainString, fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }))
  .map(([value, how]) => {
    const spelled = [...value].map((character, at) => spell(character, how[at % how.length] ?? 0));
    return { value, text: `"${spelled.join('')}"` };
  });

const ambiguous = (parts: readonly Written[]) => parts.some(({ isAmbiguous }) => isAmbiguous);

const { document } = fc.letrec<{ document: Written }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 4 },
    fc
      .constantFrom('null', 'true', '0', '-1.5e3', '1E9')
      .map((text) => ({ text, isAmbiguous: false })),
    writtenString.map(({ value, text }) => ({ text, isAmbiguous: !value.isWellFormed() })),
    fc.tuple(fc.array(tie('document'), { maxLength: 4 }), space).map(([items, gap]) => ({
      text: `[${gap}${items.map(({ text }) => `${text}${gap}`).join(',')}]`,
      isAmbiguous: ambiguous(items),
    })),
    fc
      .tuple(fc.array(fc.tuple(writtenString, tie('document')), { maxLength: 4 }), space)
      .map(([members, gap]) => {
        const names = members.map(([{ value }]) => value);
        const values = members.map(([, value]) => value);
        const written = members.map(([name, { text }]) => `${gap}${name.text}${gap}:${gap}${text}`);
        return {
          text: `{${written.join(`${gap},`)}${gap}}`,
          isAmbiguous:
            ambiguous(values) ||
            new Set(names).size < names.length ||
            names.some((name) => !name.isWellFormed()),
        };
      }),
  ),
}));

describe('parseStrictJson', () => {
  it('reads every JSON text that all readers read alike, and no other', () => {
    const seen = { read: 0, refused: 0 };
    fc.assert(
      fc.property(document, ({ text, isAmbiguous }) => {
        const parsed = parseStrictJson(text);
        expect(parsed.ok, text).toBe(!isAmbiguous);
        if (parsed.ok) expect(parsed.value).toEqual(JSON.parse(text));
        seen[isAmbiguous ? 'refused' : 'read'] += 1;
      }),
      { seed, numRuns },
    );
    expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(numRuns / 50);
  });

  it('reads bytes as it reads the text that they spell, and nothing else', () => {
    const bytes = fc.oneof(
      document.map(({ text }) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 30 }),
      fc.tuple(document, fc.nat(), fc.nat(255)).map(([{ text }, at, octet]) =>
        Buffer.from(text)
          .fill(octet, at % text.length)
          .subarray(),
      ),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        const text = Buffer.from(input).toString();
        const isUtf8 = Buffer.from(text).equals(input);
        const parsed = parseStrictJsonBytes(input);
        if (isUtf8) expect(parsed).toEqual(parseStrictJson(text));
        else expect(parsed.ok).toBe(false);
      }),
      { seed, numRuns },
    );
  });

  it('answers whatever text, and reads only what JSON.parse reads', () => {
    const pieces = fc.constantFrom(...'{}[]",:\\u0a ', '\\ud83d', '\\ude00', '"a":', 'null', '1');
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 12 }).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        const parsed = parseStrictJson(input);
        if (parsed.ok) expect(parsed.value).toEqual(JSON.parse(input));
      }),
      { seed, numRuns },
    );
  });

  it('takes no longer for a hostile text than for a long one', () => {
    const size = 1024 * 1024;
    const pieces = [
      '"\\\\',
      '"" ',
      '{"',
      '\\"',
      ' \n',
      '"a" :',
      '[',
      '{"a":',
      '\\u',
      '"\\ud800',
      ' ',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 3 }), (parts) => {
        const part = parts.join('');
        const repeated = part.repeat(Math.ceil(size / part.length));
        const began = performance.now();
        for (const text of [repeated, `"${repeated}"`, `[${JSON.stringify(repeated)}]`]) {
          parseStrictJson(text);
        }
        expect(performance.now() - began, JSON.stringify(part)).toBeLessThan(2000);
      }),
      { seed, numRuns: 30 },
    );
  });
});
