import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeySetExpectations, verifyKeySet } from './verify-key-set.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 200);

const nowMs = Date.UTC(2030, 0, 1);
const organization = await FakeOrganization.create('https://broker.example.com', nowMs);
const expected: KeySetExpectations = {
  rootCertificate: organization.root.certificate.der,
  organizationId: organization.organizationId,
  brokerUrl: organization.brokerUrl,
  lowestVersion: 1,
  signerValidAtSeconds: nowMs / 1000,
};

const keys = Array.from({ length: 4 }, makeTestKey).map(({ publicJwk, kid }) => ({
  ...publicJwk,
  kid,
  alg: 'ES256',
  use: 'sig',
  purpose: 'challenge',
}));
const version = fc.integer({ min: 1, max: 2 ** 31 });

describe('a key set', () => {
  it('is accepted with any keys of this organization, and never an older one than was seen', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.subarray(keys, { minLength: 1 }),
        version,
        version,
        async (chosen, offered, seen) => {
          const keySet = await organization.signKeySet({
            claims: { keys: chosen, version: offered },
          });
          const verified = verifyKeySet(keySet, { ...expected, lowestVersion: seen });
          expect(verified.ok).toBe(offered >= seen);
          if (verified.ok) expect(verified.value).toMatchObject({ keys: chosen, version: offered });
        },
      ),
      { seed, numRuns },
    );
  });

  it('is refused when any of its characters is another, missing or doubled', async () => {
    const keySet = await organization.signKeySet();
    const characters = fc.constantFrom(...'ABab01-_.=+/ \n');
    fc.assert(
      fc.property(fc.nat(keySet.length - 1), characters, fc.nat(2), (at, character, how) => {
        const rest = keySet.slice(at + (how === 0 ? 0 : 1));
        const changed = `${keySet.slice(0, at)}${how === 2 ? '' : character}${rest}`;
        fc.pre(changed !== keySet);
        expect(verifyKeySet(changed, expected)).toMatchObject({
          ok: false,
          reason: 'key_set_invalid',
        });
      }),
      { seed, numRuns: numRuns * 4 },
    );
  });

  it('is refused with a key that is named by another thumbprint', async () => {
    const other = fc.constantFrom(...keys.map(({ kid }) => kid));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...keys), other, async (key, kid) => {
        const keySet = await organization.signKeySet({ claims: { keys: [{ ...key, kid }] } });
        expect(verifyKeySet(keySet, expected).ok).toBe(kid === key.kid);
      }),
      { seed, numRuns: 40 },
    );
  });

  it('of any text gets an answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(verifyKeySet(text, expected).ok).toBe(false);
      }),
      { seed, numRuns },
    );
  });
});
