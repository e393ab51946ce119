import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildCrlToBeSigned } from './build-crl.ts';
import { CrlEntries } from './crl-entries.ts';
import { parseCrl, type RevokedCertificate, verifyCrlSignature } from './parse-crl.ts';
import { type RevocationReason, revocationReasonCode } from './revocation-reason.ts';
import { day, makeAuthority, must, start } from './testing/make-certificates.ts';
import { crlFields, distributionPoint, entriesOf, signCrl } from './testing/make-crl.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 300);
const authority = await makeAuthority();
const { issuingCa } = authority;
const reasons = Object.keys(revocationReasonCode) as RevocationReason[];
const year2050Ms = Date.UTC(2050, 0, 1);

const revokedCertificate = (latestMs: number): fc.Arbitrary<RevokedCertificate> =>
  fc.record({
    serialNumber: fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .filter(([first]) => first !== 0)
      .map((bytes) => Buffer.from(bytes).toString('hex')),
    revokedAtMs: fc
      .integer({ min: Date.UTC(1950, 0, 1) / 1000, max: Math.floor(latestMs / 1000) })
      .map((seconds) => seconds * 1000),
    reason: fc.constantFrom(...reasons),
  });

describe('a certificate revocation list', () => {
  it('is read with what it was written with', async () => {
    const update = fc.constantFrom(start, year2050Ms - 1000, year2050Ms, year2050Ms + 40 * day);
    const number = fc.maxSafeNat();
    await fc.assert(
      fc.asyncProperty(
        update.chain((thisUpdateMs) =>
          fc.tuple(
            fc.constant(thisUpdateMs),
            fc.uniqueArray(revokedCertificate(thisUpdateMs), {
              selector: ({ serialNumber }) => serialNumber,
              maxLength: 40,
            }),
          ),
        ),
        number,
        async ([thisUpdateMs, revoked], count) => {
          const entries = entriesOf(revoked);
          const nextUpdateMs = thisUpdateMs + day;
          const fields = crlFields({ number: count, thisUpdateMs, nextUpdateMs, entries });
          const crl = must(parseCrl(await signCrl(authority, fields)));
          expect(crl).toMatchObject({ thisUpdateMs, nextUpdateMs, number: BigInt(count) });
          expect(crl.entries).toEqual(revoked);
          expect(crl.distributionPoints).toEqual([distributionPoint]);
          expect(crl.issuer.der).toEqual(issuingCa.subject.der);
          expect(crl.authorityKeyIdentifier).toEqual(issuingCa.extensions.subjectKeyIdentifier);
          must(await verifyCrlSignature(crl, issuingCa.subjectPublicKey));
        },
      ),
      { seed, numRuns: Math.min(numRuns, 100) },
    );
  });

  it('is not of another issuer', async () => {
    const stranger = await makeAuthority();
    const crl = must(parseCrl(await signCrl(authority, crlFields())));
    const verified = await verifyCrlSignature(crl, stranger.issuingCa.subjectPublicKey);
    expect(verified).toMatchObject({ ok: false, reason: 'signature_invalid' });
  });

  it('has no list of entries when there is none', async () => {
    const empty = must(parseCrl(await signCrl(authority, crlFields())));
    const one = [{ serialNumber: '01', revokedAtMs: start, reason: 'unspecified' }] as const;
    const full = must(parseCrl(await signCrl(authority, crlFields({ entries: entriesOf(one) }))));
    // The list, the entry, a serial number of 3 octets, a time of 15.
    expect(full.toBeSigned.length - empty.toBeSigned.length).toBe(2 + 2 + 3 + 15);
    expect(empty.entries).toEqual([]);
  });

  it('names every distribution point that its certificates may name', async () => {
    const distributionPoints = [distributionPoint, 'http://old.example/crl/issuer/7.crl'];
    const crl = must(parseCrl(await signCrl(authority, crlFields({ distributionPoints }))));
    expect(crl.distributionPoints).toEqual(distributionPoints);
  });

  it('can be had again after one more entry, in whole', async () => {
    const entries = new CrlEntries();
    for (let i = 1; i <= 300; i++) {
      entries.append(Uint8Array.of(1, i >> 8, i & 0xff), start - i * 1000, 'superseded');
    }
    const before = must(parseCrl(await signCrl(authority, crlFields({ entries }))));
    entries.append(Uint8Array.of(0xff), start, 'keyCompromise');
    const after = must(parseCrl(await signCrl(authority, crlFields({ entries, number: 2 }))));
    expect(after.entries.slice(0, -1)).toEqual(before.entries);
    expect(after.entries.at(-1)).toEqual({
      serialNumber: 'ff',
      revokedAtMs: start,
      reason: 'keyCompromise',
    });
  });

  it.each([
    ['nextUpdateMs', { nextUpdateMs: start }],
    ['nextUpdateMs', { nextUpdateMs: start + 999 }],
    ['number', { number: 1.5 }],
    ['number', { number: -1 }],
    ['number', { number: 2 ** 53 }],
    ['distributionPoints', { distributionPoints: [] }],
    ['distributionPoints', { distributionPoints: ['ldap://ca.example/'] }],
    ['update', { nextUpdateMs: Date.UTC(10_000, 0, 1) }],
    [
      'entries',
      {
        entries: entriesOf([
          { serialNumber: '01', revokedAtMs: start + 1000, reason: 'superseded' },
        ]),
      },
    ],
  ])('is not built with another %s', (field, overrides) => {
    const built = buildCrlToBeSigned(crlFields(overrides), issuingCa);
    expect(built).toMatchObject({ ok: false, reason: 'field_not_allowed' });
    expect(!built.ok && built.detail).toContain(`${field}:`);
  });

  it('takes no serial number that no certificate has', () => {
    const entries = new CrlEntries();
    for (const serial of [new Uint8Array(), Uint8Array.of(0, 1), new Uint8Array(21).fill(1)]) {
      expect(() => entries.append(serial, start, 'superseded')).toThrow('serialNumber');
    }
    expect(() => entries.append(Uint8Array.of(1), Number.NaN, 'superseded')).toThrow('revokedAt');
    expect(entries.count).toBe(0);
  });

  it('is not built under a certificate that may not sign lists', async () => {
    const { extensions } = issuingCa;
    const keyCertSignOnly = { ...extensions, keyUsage: ['keyCertSign'] as const };
    const built = buildCrlToBeSigned(crlFields(), { ...issuingCa, extensions: keyCertSignOnly });
    expect(built).toMatchObject({ ok: false, reason: 'issuer_not_allowed' });
  });
});
