import { describe, expect, it } from 'vitest';
import { parseStrictJson, parseStrictJsonBytes } from './strict-json.ts';

describe('parseStrictJson', () => {
  it.each<[text: string, value: unknown]>([
    ['{}', {}],
    ['[]', []],
    ['"text"', 'text'],
    ['12', 12],
    ['{"a":{"a":{"a":1}}}', { a: { a: { a: 1 } } }],
    ['[{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
    ['{"a":[{"b":1},{"b":2}],"b":3}', { a: [{ b: 1 }, { b: 2 }], b: 3 }],
    ['{"a":"{\\"a\\":1}","b":"}{"}', { a: '{"a":1}', b: '}{' }],
    ['{"a":"a","b":"a"}', { a: 'a', b: 'a' }],
    ['{"a\\\\":1,"a":2}', { 'a\\': 1, a: 2 }],
    ['{"\\uD83D\\uDE00":"\\ud83d\\ude00"}', { '😀': '😀' }],
    ['{"A":1,"a":2}', { A: 1, a: 2 }],
  ])('%s is read', (text, value) => {
    expect(parseStrictJson(text)).toEqual({ ok: true, value });
  });

  it.each<[text: string, detail: string]>([
    ['', 'is not JSON'],
    ['{', 'is not JSON'],
    ["{'a':1}", 'is not JSON'],
    ['{"a":1,}', 'is not JSON'],
    ['\uFEFF{}', 'is not JSON'],
    ['{"a":1,"a":1}', 'names the member "a" twice'],
    ['{"a":1,"\\u0061":2}', 'names the member "a" twice'],
    ['{"a" :1,\n"a"\t:2}', 'names the member "a" twice'],
    ['{"a":{"b":1,"c":{},"b":2}}', 'names the member "b" twice'],
    ['[{"x":[{"a":1}],"x":2}]', 'names the member "x" twice'],
    ['{"__proto__":1,"__proto__":2}', 'names the member "__proto__" twice'],
    ['{"":1,"":2}', 'names the member "" twice'],
    ['{"a\\"b":1,"a\\"b":2}', 'names the member "a\\"b" twice'],
    ['{"\\\\":1,"\\\\":2}', 'names the member "\\\\" twice'],
    ['"\\ud800"', 'holds half a surrogate pair'],
    ['["\\uDC00"]', 'holds half a surrogate pair'],
    ['{"\\udbff":1}', 'holds half a surrogate pair'],
    ['{"a":"x\\ud83dy\\ude00"}', 'holds half a surrogate pair'],
    ['"\ud800"', 'holds half a surrogate pair'],
  ])('%j is refused', (text, detail) => {
    expect(parseStrictJson(text)).toEqual({ ok: false, detail });
  });

  it('cuts a long name in what it says', () => {
    const name = 'n'.repeat(1000);
    const answer = parseStrictJson(`{"${name}":1,"${name}":2}`);
    expect(answer).toEqual({ ok: false, detail: `names the member "${'n'.repeat(64)}" twice` });
  });

  it('reads large and deep texts in time that grows with their length', () => {
    const escapes = `"${'\\\\'.repeat(500_000)}"`;
    expect(parseStrictJson(escapes).ok).toBe(true);
    const depth = 30_000;
    expect(parseStrictJson(`${'{"a":['.repeat(depth)}${']}'.repeat(depth)}`).ok).toBe(true);
  });
});

describe('parseStrictJsonBytes', () => {
  it('reads UTF-8', () => {
    const value = { name: 'Ada Łovelace 😀' };
    expect(parseStrictJsonBytes(new TextEncoder().encode(JSON.stringify(value)))).toEqual({
      ok: true,
      value,
    });
  });

  it.each<[what: string, bytes: number[], detail: string]>([
    ['a byte that starts nothing', [0x22, 0xff, 0x22], 'is not UTF-8'],
    ['a cut sequence', [0x22, 0xc3], 'is not UTF-8'],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22], 'is not UTF-8'],
    ['a surrogate in UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22], 'is not UTF-8'],
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d], 'is not JSON'],
  ])('%s is refused', (_what, bytes, detail) => {
    expect(parseStrictJsonBytes(new Uint8Array(bytes))).toEqual({ ok: false, detail });
  });
});
