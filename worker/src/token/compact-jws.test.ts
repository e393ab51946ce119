import { encodeBase64url } from '@countersign/protocol';
import fc from 'fast-check';
import { CompactSign, compactVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { ecdsaKeys, rsaKeys } from '../testing/generate-keys.ts';
import {
  encodeHeader,
  headerMatches,
  parseCompactJws,
  signCompactJws,
  verifyCompactJws,
} from './compact-jws.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const part = (text: string) => encodeBase64url(utf8(text));

const header = part('{"alg":"ES256","typ":"t","kid":"k"}');
const payload = part('{"a":1}');
const signature = encodeBase64url(new Uint8Array(64).fill(0xab));

describe('parseCompactJws', () => {
  it('takes a token apart', () => {
    expect(parseCompactJws(`${header}.${payload}.${signature}`)).toEqual({
      unverifiedHeader: { alg: 'ES256', typ: 't', kid: 'k' },
      unverifiedPayload: { a: 1 },
      signingInput: utf8(`${header}.${payload}`),
      signature: new Uint8Array(64).fill(0xab),
    });
  });

  const one = part('{}');
  it.each<[what: string, token: string]>([
    ['nothing', ''],
    ['one part', header],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${header}.${payload}.${signature}.`],
    ['five parts', `${header}.${payload}.${signature}.${signature}.${signature}`],
    ['an empty header', `.${payload}.${signature}`],
    ['an empty payload', `${header}..${signature}`],
    ['padding on the payload', `${header}.${payload}=.${signature}`],
    ['padding on the signature', `${header}.${payload}.${signature}==`],
    ['a space before', ` ${header}.${payload}.${signature}`],
    ['a space inside', `${header}.${payload}. ${signature}`],
    ['a line break after', `${header}.${payload}.${signature}\n`],
    ['the base64 alphabet', `${header}.${payload}.${signature.replaceAll('-', '+')}/`],
    ['trailing bits that are not zero', `${header}.${payload}.${signature.slice(0, -1)}x`],
    ['a length that no bytes have', `${header}.${payload}.${signature}AAA`],
    ['a header that is no JSON', `${part('{')}.${payload}.${signature}`],
    ['a header that is a list', `${part('[]')}.${payload}.${signature}`],
    ['a header that is null', `${part('null')}.${payload}.${signature}`],
    ['a payload that is a text', `${header}.${part('"a"')}.${signature}`],
    ['a payload that is a number', `${header}.${part('1')}.${signature}`],
    [
      'bytes that are not UTF-8',
      `${header}.${encodeBase64url(new Uint8Array([0xff]))}.${signature}`,
    ],
    ['a byte order mark', `${header}.${part('\ufeff{}')}.${signature}`],
    [
      'a repeated member of the header',
      `${part('{"alg":"none","alg":"ES256"}')}.${one}.${signature}`,
    ],
    ['a repeated claim', `${header}.${part('{"aud":"a","aud":"b"}')}.${signature}`],
    ['a claim repeated by an escape', `${header}.${part('{"aud":1,"\\u0061ud":2}')}.${signature}`],
    ['a claim repeated inside', `${header}.${part('{"x":{"y":1,"y":1}}')}.${signature}`],
    ['half a surrogate pair', `${header}.${part('{"sub":"\\ud800"}')}.${signature}`],
  ])('refuses %s', (_what, token) => {
    expect(parseCompactJws(token)).toBeUndefined();
  });

  it('accepts one spelling of a token only', () => {
    const token = `${header}.${payload}.${signature}`;
    fc.assert(
      fc.property(
        fc.nat(token.length),
        fc.constantFrom(' ', '\t', '\n', '=', '.', '+', '/', '\u0000', '%20', '\u200b'),
        (at, inserted) => {
          const changed = token.slice(0, at) + inserted + token.slice(at);
          expect(parseCompactJws(changed)).toBeUndefined();
        },
      ),
      { seed: 20_261_121, numRuns: 300 },
    );
  });

  it('answers whatever text without throwing', () => {
    const base64 = fc.string({ unit: fc.constantFrom(...'AZaz09-_'), maxLength: 12 });
    const texts = fc.oneof(
      fc.string(),
      fc.array(base64, { maxLength: 5 }).map((all) => all.join('.')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parseCompactJws(text);
        if (parsed !== undefined) expect(text.split('.')).toHaveLength(3);
      }),
      { seed: 20_261_121 },
    );
  });
});

describe('headerMatches', () => {
  const expected = { alg: 'ES256', typ: 'challenge+jwt' };
  const good = { alg: 'ES256', typ: 'challenge+jwt', kid: 'k' };

  it('takes what is expected and what else is allowed', () => {
    expect(headerMatches(good, expected, ['kid'])).toBe(true);
    expect(headerMatches(expected, expected)).toBe(true);
    expect(headerMatches(expected, expected, ['kid'])).toBe(true);
  });

  it.each<[what: string, change: object]>([
    ['no algorithm', { alg: 'none' }],
    ['an algorithm in lower case', { alg: 'es256' }],
    ['an HMAC', { alg: 'HS256' }],
    ['another curve', { alg: 'ES256K' }],
    ['an algorithm in a list', { alg: ['ES256'] }],
    ['another type', { typ: 'decision+jwt' }],
    ['a type in upper case', { typ: 'CHALLENGE+JWT' }],
    ['crit', { crit: ['exp'] }],
    ['b64', { b64: false }],
    ['a key of its own', { jwk: {} }],
    ['a URL of keys', { jku: 'https://attacker.example' }],
    ['a certificate', { x5c: [] }],
    ['a URL of certificates', { x5u: 'https://attacker.example' }],
    ['a compression', { zip: 'DEF' }],
    ['the name of an inherited method', { toString: 1 }],
    ['another inherited name', { constructor: 1 }],
    ['the prototype', JSON.parse('{"__proto__":{}}')],
  ])('refuses %s', (_what, change) => {
    const header = Object.defineProperties({ ...good }, Object.getOwnPropertyDescriptors(change));
    expect(headerMatches(header, expected, ['kid'])).toBe(false);
  });

  it('refuses a header without a member that is expected', () => {
    expect(headerMatches({ alg: 'ES256' }, expected)).toBe(false);
    expect(headerMatches({}, expected)).toBe(false);
  });

  it('refuses a member that is allowed elsewhere', () => {
    expect(headerMatches(good, expected)).toBe(false);
  });
});

describe('signing and verifying', () => {
  const claims = { sub: 'Łukasz 😀', exp: 12 };

  it('makes what jose verifies', async () => {
    const { privateKey, publicKey } = await ecdsaKeys('P-256');
    const token = await signCompactJws(encodeHeader('decision+jwt', 'k1'), claims, privateKey);
    const verified = await compactVerify(token, publicKey, { algorithms: ['ES256'] });
    expect(verified.protectedHeader).toEqual({ alg: 'ES256', typ: 'decision+jwt', kid: 'k1' });
    expect(JSON.parse(new TextDecoder().decode(verified.payload))).toEqual(claims);
  });

  it.each([
    ['ES256', () => ecdsaKeys('P-256')],
    ['ES384', () => ecdsaKeys('P-384')],
    ['RS256', () => rsaKeys()],
  ] as const)('verifies what jose signs with %s, and nothing else', async (algorithm, keysOf) => {
    const { privateKey, publicKey } = await keysOf();
    const another = await keysOf();
    const token = await new CompactSign(utf8(JSON.stringify(claims)))
      .setProtectedHeader({ alg: algorithm })
      .sign(privateKey);
    const jws = parseCompactJws(token);
    if (jws === undefined) throw new Error('jose makes canonical tokens');
    expect(await verifyCompactJws(jws, publicKey, algorithm)).toBe(true);
    expect(await verifyCompactJws(jws, another.publicKey, algorithm)).toBe(false);

    const [encodedHeader, , encodedSignature] = token.split('.');
    const moved = `${encodedHeader}.${part('{"sub":"grace"}')}.${encodedSignature}`;
    const otherPayload = parseCompactJws(moved);
    if (otherPayload === undefined) throw new Error('the token is well-formed');
    expect(await verifyCompactJws(otherPayload, publicKey, algorithm)).toBe(false);
    for (const forged of [
      new Uint8Array(0),
      new Uint8Array(jws.signature.length),
      jws.signature.slice(1),
      new Uint8Array([...jws.signature, 0]),
    ]) {
      expect(await verifyCompactJws({ ...jws, signature: forged }, publicKey, algorithm)).toBe(
        false,
      );
    }
  });
});
