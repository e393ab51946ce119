import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import fc from 'fast-check';
import { CompactEncrypt, compactDecrypt, exportJWK, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecdhKeys } from '../testing/generate-keys.ts';
import { decryptResponse } from './decrypt-response.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 300);

let keys: CryptoKeyPair;
let publicJwk: JWK;
beforeAll(async () => {
  keys = await ecdhKeys();
  publicJwk = await exportJWK(keys.publicKey);
});

const encoder = new TextEncoder();
const kid = 'k'.repeat(43);
const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid };
const encrypt = (text: string, changes: object = {}) =>
  new CompactEncrypt(encoder.encode(text))
    .setProtectedHeader({ ...header, ...changes })
    .encrypt(publicJwk);
const open = (jwe: string) => decryptResponse(jwe, [{ kid, privateKey: keys.privateKey }]);
const openWithJose = (jwe: string) =>
  compactDecrypt(jwe, keys.privateKey).then(
    ({ plaintext }) =>
      new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(plaintext),
    () => undefined,
  );

describe('a compact JWE', () => {
  it('of jose is opened, whatever it says', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 500 });
    await fc.assert(
      fc.asyncProperty(text, async (plaintext) => {
        expect(await open(await encrypt(plaintext))).toBe(plaintext);
      }),
      { seed, numRuns },
    );
  });

  it('is not opened when any of its characters is another, missing or doubled', async () => {
    const jwe = await encrypt('{"a":1}');
    const characters = fc.constantFrom(...'ABab01-_.=+/ \n', 'é');
    const length = jwe.length - 1;
    await fc.assert(
      fc.asyncProperty(fc.nat(length), characters, fc.nat(2), async (at, character, how) => {
        const rest = jwe.slice(at + (how === 0 ? 0 : 1));
        const changed = `${jwe.slice(0, at)}${how === 2 ? '' : character}${rest}`;
        fc.pre(changed !== jwe);
        expect(await open(changed)).toBeUndefined();
      }),
      { seed, numRuns: numRuns * 3 },
    );
  });

  it('is never opened where jose refuses it or reads it differently', async () => {
    // Parts of two tokens put together, with headers that say other things.
    const changes = fc.dictionary(
      fc.constantFrom('typ', 'cty', 'enc', 'alg', 'kid', 'apu'),
      fc.constantFrom('A256GCM', 'A128GCM', 'ECDH-ES', 'JWE', kid, 'QQ'),
      { maxKeys: 2 },
    );
    const pick = fc.array(fc.nat(1), { minLength: 5, maxLength: 5 });
    const seen = { opened: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(changes, pick, fc.string(), async (changed, from, text) => {
        const one = (await encrypt(text)).split('.');
        const other = await encrypt(text, changed).catch(() => undefined);
        const source = [one, (other ?? (await encrypt(text))).split('.')];
        const jwe = from.map((which, part) => source[which]?.[part] ?? '').join('.');
        const own = await open(jwe);
        seen[own === undefined ? 'refused' : 'opened'] += 1;
        if (own !== undefined) expect(own).toBe(await openWithJose(jwe));
      }),
      { seed, numRuns },
    );
    expect(seen.opened).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(0);
  });

  it('is opened where jose opens the one form that is spoken here', async () => {
    const spaces = fc.array(fc.constantFrom('', ' ', '\n'), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.string(), spaces, async (text, gaps) => {
        const jwe = await encrypt(text);
        const [encoded = '', ...rest] = jwe.split('.');
        const json = new TextDecoder().decode(decodeBase64url(encoded));
        let gap = 0;
        const spaced = json.replace(
          /[,:]/g,
          (found) => `${found}${gaps[gap++ % gaps.length] ?? ''}`,
        );
        const changed = [encodeBase64url(encoder.encode(spaced)), ...rest].join('.');
        // The header is protected as it is written, so that another spelling of it is another token.
        expect(await open(changed)).toBe(changed === jwe ? text : undefined);
        expect(await openWithJose(changed)).toBe(changed === jwe ? text : undefined);
      }),
      { seed, numRuns: 100 },
    );
  });
});
