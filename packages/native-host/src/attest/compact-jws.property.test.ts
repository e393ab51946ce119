import { createPublicKey } from 'node:crypto';
import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { signRawToken } from '@countersign/testkit/fake-organization';
import fc from 'fast-check';
import { CompactSign, compactVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { parseCompactJws, verifyEs256 } from './compact-jws.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 400);

const key = makeTestKey();
const publicKey = createPublicKey(key.privateKey);
const headerSchema = z.strictObject({ alg: z.literal('ES256'), typ: z.string(), kid: z.string() });

/** The payload when the token is well-formed and signed by the key. */
function open(token: string): Uint8Array | undefined {
  const jws = parseCompactJws(token, headerSchema);
  return jws.ok && verifyEs256(jws.value, publicKey) ? jws.value.unverifiedPayload : undefined;
}

async function openWithJose(token: string): Promise<Uint8Array | undefined> {
  try {
    return (await compactVerify(token, publicKey, { algorithms: ['ES256'] })).payload;
  } catch {
    return undefined;
  }
}

const payload = fc.uint8Array({ minLength: 1, maxLength: 60 });
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const token = fc.tuple(payload, text, text).map(([bytes, typ, kid]) =>
  new CompactSign(bytes)
    .setProtectedHeader({ alg: 'ES256', typ, kid })
    .sign(key.privateKey)
    .then((compact) => ({ compact, bytes })),
);

describe('a compact JWS', () => {
  it('of jose is opened, and is the only spelling of what it says', async () => {
    await fc.assert(
      fc.asyncProperty(token, async (made) => {
        const { compact, bytes } = await made;
        expect(open(compact)).toEqual(bytes);
        const jws = parseCompactJws(compact, headerSchema);
        if (!jws.ok) throw new Error(jws.detail);
        const { signingInput, unverifiedPayload, signature } = jws.value;
        const parts = [unverifiedPayload, signature].map((part) =>
          Buffer.from(part).toString('base64url'),
        );
        const written = Buffer.from(signingInput).toString();
        expect(`${written}.${parts[1]}`).toBe(compact);
        expect(written.split('.')[1]).toBe(parts[0]);
      }),
      { seed, numRuns },
    );
  });

  it('is not opened when any of its characters is another, missing or doubled', async () => {
    const compact = signRawToken('{"alg":"ES256","typ":"t","kid":"k"}', '{"a":1}', key.privateKey);
    expect(open(compact)).toBeDefined();
    const characters = fc.constantFrom(...'ABab01-_.=+/ \n', 'é');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(compact.length - 1),
        characters,
        fc.nat(2),
        async (at, character, how) => {
          const rest = compact.slice(at + (how === 0 ? 0 : 1));
          const changed = `${compact.slice(0, at)}${how === 2 ? '' : character}${rest}`;
          fc.pre(changed !== compact);
          expect(open(changed)).toBeUndefined();
        },
      ),
      { seed, numRuns: numRuns * 4 },
    );
  });

  it('is never opened where jose refuses it', async () => {
    const names = fc.constantFrom('alg', 'typ', 'kid', 'crit', 'b64', 'jwk', 'zip', '__proto__');
    const values = fc.oneof(
      fc.constantFrom<unknown>('ES256', 'none', 'es256', 'HS256', 'ES384', false, ['b64'], {}),
      text,
    );
    const header = fc
      .array(fc.tuple(names, values), { maxLength: 5 })
      .map((members) => [['alg', 'ES256'], ['typ', 't'], ['kid', 'k'], ...members])
      .map((members) =>
        members
          .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
          .join(','),
      );
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(header, fc.string({ minLength: 1 }), async (members, content) => {
        const raw = signRawToken(`{${members}}`, content, key.privateKey);
        const own = open(raw);
        if (own === undefined) return;
        opened += 1;
        expect(await openWithJose(raw)).toEqual(new Uint8Array(own));
      }),
      { seed, numRuns },
    );
    expect(opened).toBeGreaterThan(0);
  });

  it('of any text gets an answer', () => {
    const parts = fc.array(fc.base64String({ maxLength: 12 }), { maxLength: 5 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          parts.map((all) => all.join('.')),
        ),
        (input) => {
          expect(parseCompactJws(input, headerSchema).ok).toBe(false);
        },
      ),
      { seed, numRuns },
    );
  });
});
