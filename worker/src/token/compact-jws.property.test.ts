import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import fc from 'fast-check';
import { CompactSign, compactVerify } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecdsaKeys } from '../testing/generate-keys.ts';
import { encodeHeader, parseCompactJws, signCompactJws, verifyCompactJws } from './compact-jws.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 400);

let keys: CryptoKeyPair;
beforeAll(async () => {
  keys = await ecdsaKeys('P-256');
});

type Json = Readonly<Record<string, unknown>>;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Header and claims when the token is well-formed and signed by the key. */
async function open(token: string): Promise<{ header: Json; claims: Json } | undefined> {
  const jws = parseCompactJws(token);
  if (jws === undefined || !(await verifyCompactJws(jws, keys.publicKey, 'ES256')))
    return undefined;
  return { header: jws.unverifiedHeader, claims: jws.unverifiedPayload };
}

/** jose's opinion, held to the one spelling: what it takes beyond that is not a difference that matters. */
async function openWithJose(token: string): Promise<{ header: Json; claims: Json } | undefined> {
  try {
    const { protectedHeader, payload } = await compactVerify(token, keys.publicKey);
    if (token.split('.').some((part) => decodeBase64url(part) === undefined)) return undefined;
    return { header: protectedHeader, claims: JSON.parse(decoder.decode(payload)) };
  } catch {
    return undefined;
  }
}

async function signRaw(headerText: string, payloadText: string): Promise<string> {
  const input = [headerText, payloadText]
    .map((text) => encodeBase64url(encoder.encode(text)))
    .join('.');
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, keys.privateKey, encoder.encode(input));
  return `${input}.${encodeBase64url(new Uint8Array(signature))}`;
}

/** Claims as JSON can say them: `__proto__` is a name like any other there, and none of ours. */
const claims = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 6 }).filter((name) => name !== '__proto__'),
  fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('__proto__')),
  { maxKeys: 4 },
);
const text = fc.string({ unit: 'grapheme', maxLength: 12 });

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('a compact JWS', () => {
  it('of ours says the same to jose, and one of jose says the same to us', async () => {
    await fc.assert(
      fc.asyncProperty(claims, text, text, async (said, typ, kid) => {
        const header = { alg: 'ES256', typ, kid };
        const own = await signCompactJws(encodeHeader(typ, kid), said, keys.privateKey);
        const foreign = await new CompactSign(encoder.encode(JSON.stringify(said)))
          .setProtectedHeader(header)
          .sign(keys.privateKey);
        const expected = { header, claims: asJson(said) };
        expect(asJson(await openWithJose(own))).toEqual(expected);
        expect(asJson(await open(own))).toEqual(expected);
        expect(asJson(await open(foreign))).toEqual(expected);
      }),
      { seed, numRuns },
    );
  });

  it('that is taken is written the same again', async () => {
    await fc.assert(
      fc.asyncProperty(claims, text, async (said, kid) => {
        const token = await signCompactJws(encodeHeader('t', kid), said, keys.privateKey);
        const jws = parseCompactJws(token);
        if (jws === undefined) throw new Error('the token is well-formed');
        const written = `${decoder.decode(jws.signingInput)}.${encodeBase64url(jws.signature)}`;
        expect(written).toBe(token);
      }),
      { seed, numRuns },
    );
  });

  it('does not verify when any of its characters is another, missing or doubled', async () => {
    const token = await signCompactJws(encodeHeader('t', 'k'), { a: 1 }, keys.privateKey);
    const characters = fc.constantFrom(...'ABab01-_.=+/ \n', 'é');
    const length = token.length - 1;
    await fc.assert(
      fc.asyncProperty(fc.nat(length), characters, fc.nat(2), async (at, character, how) => {
        const rest = token.slice(at + (how === 0 ? 0 : 1));
        const changed = `${token.slice(0, at)}${how === 2 ? '' : character}${rest}`;
        fc.pre(changed !== token);
        expect(await open(changed)).toBeUndefined();
      }),
      { seed, numRuns: numRuns * 4 },
    );
  });

  it('does not verify with its signature cut, stretched or mirrored', async () => {
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    await fc.assert(
      fc.asyncProperty(claims, fc.nat(70), async (said, length) => {
        const token = await signCompactJws(encodeHeader('t', 'k'), said, keys.privateKey);
        const at = token.lastIndexOf('.') + 1;
        const signature = decodeBase64url(token.slice(at)) ?? new Uint8Array();
        const other = new Uint8Array(length);
        other.set(signature.subarray(0, length));
        const withSignature = (bytes: Uint8Array) => token.slice(0, at) + encodeBase64url(bytes);
        if (length !== 64) expect(await open(withSignature(other))).toBeUndefined();
        // (r, n - s) verifies wherever (r, s) does: the text differs, and what is spent is told by the challenge's id.
        const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
        const mirrored = new Uint8Array(signature);
        mirrored.set(Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex'), 32);
        expect(await open(withSignature(mirrored))).toEqual(await open(token));
      }),
      { seed, numRuns: 50 },
    );
  });

  it('is opened where jose opens it in its one spelling, and nowhere else', async () => {
    const names = fc.constantFrom('alg', 'typ', 'crit', 'b64', 'kid', 'x', '\\u0078');
    const values = fc.constantFrom(
      '"ES256"',
      '"none"',
      '["b64"]',
      'false',
      'true',
      '1',
      '"\\ud800"',
    );
    const member = fc.tuple(names, values).map(([name, value]) => `"${name}":${value}`);
    const body = fc.oneof(
      fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(',')}}`),
      fc.constantFrom('{}', '[]', '1', 'null', '""', '{', '\ufeff{}', '{"a":1,"a":1}'),
    );
    const header = fc
      .array(member, { maxLength: 3 })
      .map((members) => `{${['"alg":"ES256"', ...members].join(',')}}`);
    const seen = { both: 0, none: 0 };
    await fc.assert(
      fc.asyncProperty(header, body, async (headerText, payloadText) => {
        const token = await signRaw(headerText, payloadText);
        const [own, joses] = [await open(token), await openWithJose(token)];
        seen[own === undefined ? 'none' : 'both'] += 1;
        // Who uses it compares the header with what is expected there; to verify is not yet to accept.
        const names = Object.keys(own?.header ?? {});
        const isSpecial = names.some((name) => name === 'crit' || name === 'b64');
        const isOfES256 = own?.header.alg === 'ES256';
        if (own !== undefined && isOfES256 && !isSpecial)
          expect(asJson(joses)).toEqual(asJson(own));
        if (own === undefined && joses !== undefined) {
          // Left over: names twice and half surrogates, which JSON.parse lets pass, and payloads that are no objects.
          const isObject = /^\{/.test(payloadText);
          const members = [headerText, payloadText].map((json) =>
            [...json.matchAll(/"([^"]*)":/g)].map(([, name]) => name?.replace('\\u0078', 'x')),
          );
          const isRepeated = members.some((all) => new Set(all).size < all.length);
          const isHalf = `${headerText}${payloadText}`.includes('\\ud800');
          expect(!isObject || isRepeated || isHalf, `${headerText} ${payloadText}`).toBe(true);
        }
      }),
      { seed, numRuns },
    );
    expect(Math.min(seen.both, seen.none)).toBeGreaterThan(numRuns / 20);
  });
});
