import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson, parseStrictJsonBytes } from './strict-json.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 100);

describe('parseStrictJson', () => {
  it('reads what JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(parseStrictJson(text)).toEqual({ ok: true, value: JSON.parse(text) });
      }),
      { seed, numRuns },
    );
  });

  it.each([
    ['{"a":1,"a":1}', 'a'],
    ['{"a":1,"b":{"c":1},"a":{}}', 'a'],
    ['[{"x":{"y":[{"a":1,"b":2,"a":3}]}}]', 'a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['{"a" :1, "b":0 ,"a"\n\t:2}', 'a'],
    ['{"a}{\\"":"}","x":"{","a}{\\"":2}', 'a}{"'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
    ['{"":1,"":2}', ''],
  ])('refuses the repeated member in %s', (text, name) => {
    expect(parseStrictJson(text)).toEqual({
      ok: false,
      reason: 'json_malformed',
      detail: `names the member ${JSON.stringify(name)} twice`,
    });
  });

  it.each([
    '{"a":{"a":{"a":1}},"b":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":["a","a"]}',
    '{"a":"\\"a\\":1","b":"{\\"a\\":1,\\"a\\":2}"}',
  ])('allows the same name in different objects and in strings: %s', (text) => {
    expect(parseStrictJson(text)).toEqual({ ok: true, value: JSON.parse(text) });
  });

  it.each(['', '{', '{"a":1,}', "{'a':1}", 'NaN', '01', '{"a":1}x', '\ufeff{}', '"\t"'])(
    'refuses %j',
    (text) => {
      expect(parseStrictJson(text)).toMatchObject({ ok: false, detail: 'is not JSON' });
    },
  );

  it('refuses a name repeated at any depth that fast-check finds', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), fc.array(fc.boolean()), (name, value, wrappers) => {
        const quoted = JSON.stringify(name);
        const inner = `{${quoted}:${JSON.stringify(value)},${quoted}:0}`;
        const text = wrappers.reduce(
          (text, asArray) => (asArray ? `[${text}]` : `{"w":${text}}`),
          inner,
        );
        expect(parseStrictJson(text).ok).toBe(false);
      }),
      { seed, numRuns },
    );
  });
});

describe('parseStrictJsonBytes', () => {
  it.each([
    ['a byte that starts nothing', [0x22, 0xff, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a lone surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character cut off', [0x22, 0xe2, 0x82]],
  ])('refuses %s', (_, bytes) => {
    expect(parseStrictJsonBytes(new Uint8Array(bytes))).toMatchObject({ detail: 'is not UTF-8' });
  });

  it('refuses a byte order mark', () => {
    expect(parseStrictJsonBytes(Buffer.from('\ufeff{}'))).toMatchObject({ detail: 'is not JSON' });
  });

  it('reads only its own part of a larger buffer', () => {
    const bytes = Buffer.from('xx{"a":1}yy').subarray(2, 9);
    expect(parseStrictJsonBytes(bytes)).toEqual({ ok: true, value: { a: 1 } });
  });
});
