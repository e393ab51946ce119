import { encodeBase64url } from '@countersign/protocol';
import { p256PublicJwk } from '@countersign/protocol/schemas';
import { CompactEncrypt, exportJWK, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecdhKeys } from '../testing/generate-keys.ts';
import { decryptResponse, type ResponseDecryptionKey } from './decrypt-response.ts';
import { thumbprint } from './token-key.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const part = (value: unknown) => encodeBase64url(utf8(JSON.stringify(value)));

async function makeKey(): Promise<ResponseDecryptionKey & { readonly publicJwk: JWK }> {
  const { privateKey, publicKey } = await ecdhKeys();
  const publicJwk = await exportJWK(publicKey);
  return { kid: await thumbprint(p256PublicJwk.parse(publicJwk)), privateKey, publicJwk };
}

let key: Awaited<ReturnType<typeof makeKey>>;
let another: Awaited<ReturnType<typeof makeKey>>;
beforeAll(async () => {
  [key, another] = await Promise.all([makeKey(), makeKey()]);
});

/** Encrypted by jose, which is another implementation than the one under test. */
async function encrypt(
  text: string | Uint8Array,
  header: Record<string, unknown> = {},
  adjust: (jwe: CompactEncrypt) => CompactEncrypt = (jwe) => jwe,
): Promise<string> {
  const plaintext = typeof text === 'string' ? utf8(text) : text;
  const jwe = new CompactEncrypt(plaintext).setProtectedHeader({
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid: key.kid,
    ...header,
  });
  return await adjust(jwe).encrypt(key.publicJwk);
}

const open = (jwe: string) => decryptResponse(jwe, [key]);

describe('decryptResponse', () => {
  it.each(['a.b.c', '', 'Łukasz 😀', 'x'.repeat(12_000)])(
    'opens what jose encrypts, case %#',
    async (text) => {
      expect(await open(await encrypt(text))).toBe(text);
    },
  );

  it('finds the key by its id among several', async () => {
    const jwe = await encrypt('text');
    expect(await decryptResponse(jwe, [another, key])).toBe('text');
    expect(await decryptResponse(jwe, [another])).toBeUndefined();
    expect(await decryptResponse(jwe, [])).toBeUndefined();
    expect(await decryptResponse(jwe, [{ ...another, kid: key.kid }])).toBeUndefined();
  });

  it.each<[what: string, header: Record<string, unknown>]>([
    ['another content encryption', { enc: 'A128GCM' }],
    ['a CBC content encryption', { enc: 'A256CBC-HS512' }],
    ['a wrapped key', { alg: 'ECDH-ES+A256KW' }],
    ['the id of no key', { kid: 'unknown' }],
    ['no key id', { kid: undefined }],
    ['a type', { typ: 'JWE' }],
    ['a content type', { cty: 'JWT' }],
  ])('refuses %s', async (_what, header) => {
    expect(await open(await encrypt('text', header))).toBeUndefined();
  });

  it('refuses party information', async () => {
    const apu = await encrypt('text', {}, (jwe) =>
      jwe.setKeyManagementParameters({ apu: utf8('Alice') }),
    );
    const apv = await encrypt('text', {}, (jwe) =>
      jwe.setKeyManagementParameters({ apv: utf8('Bob') }),
    );
    expect([await open(apu), await open(apv)]).toEqual([undefined, undefined]);
  });

  it('refuses a plaintext that is not UTF-8, and keeps a byte order mark', async () => {
    expect(await open(await encrypt(new Uint8Array([0x61, 0xff])))).toBeUndefined();
    expect(await open(await encrypt('\ufeffa.b.c'))).toBe('\ufeffa.b.c');
  });

  it('refuses every changed byte of the token', async () => {
    const jwe = await encrypt('{"a":1}');
    for (let at = 0; at < jwe.length; at++) {
      if (jwe[at] === '.') continue;
      const changed = jwe.slice(0, at) + (jwe[at] === 'A' ? 'B' : 'A') + jwe.slice(at + 1);
      expect(await open(changed), `byte ${at}`).toBeUndefined();
    }
  });

  type Parts = [header: string, key: string, iv: string, ciphertext: string, tag: string];
  const changes: ReadonlyArray<[what: string, change: (parts: Parts) => string[]]> = [
    ['an encrypted key', ([h, , iv, c, t]) => [h, 'AAAA', iv, c, t]],
    ['no header', ([, k, iv, c, t]) => ['', k, iv, c, t]],
    ['no initialization vector', ([h, k, , c, t]) => [h, k, '', c, t]],
    ['no ciphertext', ([h, k, iv, , t]) => [h, k, iv, '', t]],
    ['no tag', ([h, k, iv, c]) => [h, k, iv, c, '']],
    ['a short tag', ([h, k, iv, c, t]) => [h, k, iv, c, t.slice(0, 16)]],
    ['a long initialization vector', ([h, k, iv, c, t]) => [h, k, `${iv}AAAA`, c, t]],
    ['four parts', ([h, k, iv, c]) => [h, k, iv, c]],
    ['six parts', (parts) => [...parts, '']],
    ['three parts', ([h, , , c, t]) => [h, c, t]],
    ['nothing at all', () => ['']],
    ['padding', ([h, k, iv, c, t]) => [h, k, iv, c, `${t}=`]],
    ['white space', ([h, k, iv, c, t]) => [` ${h}`, k, iv, c, t]],
  ];
  it.each(changes)('refuses %s', async (_what, change) => {
    const [h = '', k = '', iv = '', c = '', t = ''] = (await encrypt('text')).split('.');
    expect(await open(change([h, k, iv, c, t]).join('.'))).toBeUndefined();
  });

  const zero = encodeBase64url(new Uint8Array(32));
  const epkChanges: ReadonlyArray<[what: string, change: (epk: JWK) => unknown]> = [
    ['a point off the curve', (epk) => ({ ...epk, y: epk.x })],
    ['the origin', (epk) => ({ ...epk, x: zero, y: zero })],
    [
      'a coordinate above the field',
      (epk) => ({ ...epk, x: encodeBase64url(new Uint8Array(32).fill(0xff)) }),
    ],
    ['a coordinate of 31 bytes', (epk) => ({ ...epk, x: encodeBase64url(new Uint8Array(31)) })],
    ['another curve', (epk) => ({ ...epk, crv: 'P-384' })],
    ['another key type', (epk) => ({ ...epk, kty: 'OKP' })],
    ['a private key', (epk) => ({ ...epk, d: zero })],
    ['a further member', (epk) => ({ ...epk, use: 'enc' })],
    ['no ephemeral key', () => undefined],
    ['null for a key', () => null],
  ];
  it.each(epkChanges)('refuses %s as the ephemeral key', async (_what, change) => {
    const [encodedHeader = '', ...rest] = (await encrypt('text')).split('.');
    const header = JSON.parse(atob(encodedHeader.replaceAll('-', '+').replaceAll('_', '/')));
    const changed = [part({ ...header, epk: change(header.epk) }), ...rest].join('.');
    expect(await open(changed)).toBeUndefined();
  });

  it.each<[what: string, header: (good: string) => string]>([
    ['compression', (good) => `${good.slice(0, -1)},"zip":"DEF"}`],
    ['a repeated member', (good) => `${good.slice(0, -1)},"alg":"ECDH-ES"}`],
    ['crit', (good) => `${good.slice(0, -1)},"crit":["exp"]}`],
    ['an inherited name', (good) => `${good.slice(0, -1)},"constructor":1}`],
    ['a byte order mark', (good) => `\ufeff${good}`],
    ['a list', (good) => `[${good}]`],
    ['half of it', (good) => good.slice(0, 20)],
  ])('refuses a header with %s', async (_what, change) => {
    const [encodedHeader = '', ...rest] = (await encrypt('text')).split('.');
    const good = atob(encodedHeader.replaceAll('-', '+').replaceAll('_', '/'));
    const changed = [encodeBase64url(utf8(change(good))), ...rest].join('.');
    expect(await open(changed)).toBeUndefined();
  });

  it('takes the header as it is written for what it protects', async () => {
    const [encodedHeader = '', ...rest] = (await encrypt('text')).split('.');
    const good = atob(encodedHeader.replaceAll('-', '+').replaceAll('_', '/'));
    const spaced = encodeBase64url(utf8(good.replace(',', ', ')));
    expect(await open([spaced, ...rest].join('.'))).toBeUndefined();
  });
});
