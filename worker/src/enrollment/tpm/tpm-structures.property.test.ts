import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  certifyInfoOf,
  makeAttestationKey,
  makeDeviceKey,
  makeEndorsementKey,
  tpmSignature,
} from '../../testing/fake-tpm.ts';
import { parseCertifyInfo, parseEcdsaSignature } from './certification.ts';
import { nameOf, parsePublicArea } from './public-area.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_122);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 1000);

const device = makeDeviceKey();
const attestation = makeAttestationKey();
const certifyInfo = certifyInfoOf(device, Buffer.alloc(32, 7));

const structures: ReadonlyArray<
  readonly [string, Buffer, (bytes: Uint8Array) => { readonly ok: boolean }]
> = [
  ['the public area of an RSA key', makeEndorsementKey('rsa').publicArea, parsePublicArea],
  ['the public area of a P-256 key', device.publicArea, parsePublicArea],
  ['the public area of a P-384 key', makeEndorsementKey('P-384').publicArea, parsePublicArea],
  ['a certification', certifyInfo, parseCertifyInfo],
  ['a signature', tpmSignature(attestation, certifyInfo), parseEcdsaSignature],
];

describe.each(structures)('%s', (_, valid, parse) => {
  it('is read', () => {
    expect(parse(valid)).toMatchObject({ ok: true });
  });

  it('is refused wherever it is cut off, and with anything behind it', () => {
    for (let length = 0; length < valid.length; length++) {
      expect(parse(valid.subarray(0, length)).ok, `${length} bytes`).toBe(false);
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (more) => {
        expect(parse(Buffer.concat([valid, more])).ok).toBe(false);
      }),
      { seed, numRuns: Math.min(numRuns, 200) },
    );
  });

  it('is read or refused, and nothing else, whatever it is changed to', () => {
    const change = fc.record({
      at: fc.nat(valid.length - 1),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = Buffer.from(valid);
        for (const { at, bytes } of changes) changed.set(bytes.subarray(0, valid.length - at), at);
        expect(typeof parse(changed).ok).toBe('boolean');
      }),
      { seed, numRuns },
    );
  });

  it('is not what any other bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => {
        expect(parse(bytes).ok).toBe(false);
      }),
      { seed, numRuns },
    );
  });
});

it('a name is of one public area alone, whichever bit of it is changed', async () => {
  const area = parsePublicArea(device.publicArea);
  if (!area.ok) throw new Error(area.detail);
  const name = Buffer.from(await nameOf(area.value));
  for (let bit = 0; bit < device.publicArea.length * 8; bit++) {
    const changed = Buffer.from(device.publicArea);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const other = parsePublicArea(changed);
    if (other.ok) expect(name.equals(await nameOf(other.value))).toBe(false);
  }
});
