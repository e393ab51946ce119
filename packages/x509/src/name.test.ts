import { describe, expect, it } from 'vitest';
import { type Bytes, hexOf } from './bytes.ts';
import { DerReader } from './der/reader.ts';
import { tag } from './der/tag.ts';
import { encodeElement, encodeOid, encodeSequence, encodeSetOf } from './der/writer.ts';
import { encodeName, readName } from './name.ts';
import { attempt } from './result.ts';
import { must } from './testing/make-certificates.ts';

const read = (der: Bytes) => attempt(() => readName(new DerReader(der), 'subject'));
const text = (value: string) => new TextEncoder().encode(value);
const attribute = (type: string, identifier: number, content: Uint8Array) =>
  encodeSequence(encodeOid(type), encodeElement(identifier, content));
const commonName = '2.5.4.3';
const organization = '2.5.4.10';

describe('encodeName', () => {
  it('writes one common name as UTF8String', () => {
    expect(hexOf(must(encodeName('MTLS')))).toBe('300f310d300b06035504030c044d544c53');
  });

  it.each(['Gerät 7', 'x'.repeat(64), '機'.repeat(64), '🔑'.repeat(64)])('takes %s', (name) => {
    expect(read(must(encodeName(name)))).toMatchObject({ ok: true, value: { commonName: name } });
  });

  it.each(['', 'x'.repeat(65), 'a\0b', 'a\nb', 'a\x7f', 'a\u0085', '\ud800'])(
    'refuses %j',
    (name) => {
      const result = encodeName(name);
      expect(result).toMatchObject({ ok: false, reason: 'field_not_allowed' });
      expect(result.ok || result.detail).toMatch(/^commonName: /);
    },
  );
});

describe('readName', () => {
  it('keeps the bytes and shows the common name', () => {
    const der = encodeSequence(
      encodeSetOf(attribute(organization, tag.printableString, text('Example'))),
      encodeSetOf(attribute(commonName, tag.printableString, text('laptop'))),
    );
    expect(must(read(der))).toEqual({ der, commonName: 'laptop', isEmpty: false });
  });

  it('shows nothing when there are two, or one in a type that cannot be checked', () => {
    const one = encodeSetOf(attribute(commonName, tag.utf8String, text('a')));
    expect(must(read(encodeSequence(one, one))).commonName).toBeUndefined();
    const teletex = encodeSetOf(attribute(commonName, tag.teletexString, text('a')));
    expect(must(read(encodeSequence(teletex))).commonName).toBeUndefined();
    expect(must(read(encodeSequence()))).toMatchObject({ isEmpty: true, commonName: undefined });
  });

  const pair = [
    attribute(commonName, tag.utf8String, text('a')),
    attribute(organization, tag.utf8String, text('b')),
  ];

  it('takes a name part of several attributes only in order', () => {
    expect(read(encodeSequence(encodeSetOf(...pair))).ok).toBe(true);
    const sorted = encodeSetOf(...pair);
    const [first, second] = pair;
    const reversed =
      hexOf(sorted) === hexOf(encodeElement(tag.set, ...pair))
        ? [second ?? text(''), first ?? text('')]
        : pair;
    expect(read(encodeSequence(encodeElement(tag.set, ...reversed)))).toMatchObject({
      reason: 'malformed_der',
    });
  });

  it.each<[string, string, Bytes]>([
    ['empty name part', 'malformed_structure', encodeSequence(encodeElement(tag.set))],
    ['one attribute twice', 'malformed_der', nameOf(pairTwice())],
    [
      'NUL',
      'name_not_allowed',
      nameOf(attribute(commonName, tag.utf8String, text('good.example\0.evil'))),
    ],
    ['line break', 'name_not_allowed', nameOf(attribute(commonName, tag.ia5String, text('a\nb')))],
    [
      'broken UTF-8',
      'malformed_der',
      nameOf(attribute(commonName, tag.utf8String, new Uint8Array([0xc3]))),
    ],
    [
      'broken UTF-8 elsewhere',
      'malformed_der',
      nameOf(attribute(organization, tag.utf8String, new Uint8Array([0xc3]))),
    ],
    ['no value', 'malformed_der', nameOf(encodeSequence(encodeOid(commonName)))],
    [
      'two values',
      'trailing_bytes',
      nameOf(
        encodeSequence(
          encodeOid(commonName),
          encodeElement(tag.utf8String),
          encodeElement(tag.utf8String),
        ),
      ),
    ],
  ])('refuses: %s', (_, reason, der) => {
    expect(read(der)).toMatchObject({ ok: false, reason });
  });

  function nameOf(...attributes: readonly Uint8Array[]): Bytes {
    return encodeSequence(encodeElement(tag.set, ...attributes));
  }

  function pairTwice(): Bytes {
    const one = attribute(commonName, tag.utf8String, text('a'));
    return new Uint8Array([...one, ...one]);
  }
});
