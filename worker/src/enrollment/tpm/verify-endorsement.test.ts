import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type FakeAuthorityOptions,
  FakeEndorsementAuthority,
  type FakeEndorsementOptions,
  unknownExtension,
} from '../../testing/fake-endorsement-authority.ts';
import {
  ecdsaSha256,
  endorsementAttributes,
  type FakeTpmKey,
  makeEndorsementKey,
  type PublicAreaOptions,
  publicAreaOf,
} from '../../testing/fake-tpm.ts';
import { verifyEndorsement } from './verify-endorsement.ts';

const nowMs = Date.UTC(2026, 10, 22);
const dayMs = 86_400_000;
const root = FakeEndorsementAuthority.root('TPM Maker Root', nowMs);
const authority = root.under('TPM Maker CA 1');
const rsa = makeEndorsementKey('rsa');
const p256 = makeEndorsementKey('P-256');

const spkiOf = ({ spki }: FakeTpmKey) => new Uint8Array(spki);

type Changes = Partial<Parameters<typeof verifyEndorsement>[0]> & {
  readonly roots?: readonly string[];
  readonly atMs?: number;
};

function verify({ roots = [root.pem], atMs = nowMs, ...changes }: Changes = {}) {
  const unverified = {
    certificate: authority.certify(spkiOf(rsa)),
    intermediates: [authority.certificate],
    publicArea: rsa.publicArea,
    ...changes,
  };
  return verifyEndorsement(unverified, roots, atMs);
}

const code = async (changes: Changes) => {
  const result = await verify(changes);
  return result.ok ? 'ok' : result.code;
};

describe('an endorsement key of a maker that the integration knows', () => {
  it('is named by the SHA-256 of its key', async () => {
    const result = await verify();
    expect(result).toMatchObject({ ok: true });
    const expected = createHash('sha256').update(rsa.spki).digest();
    expect(result.ok && expected.equals(result.keySha256)).toBe(true);
  });

  it.each([
    ['P-256', p256],
    ['P-384', makeEndorsementKey('P-384')],
  ])('may be on %s', async (_, key) => {
    const certificate = authority.certify(spkiOf(key), { usages: ['keyAgreement'] });
    expect(await code({ certificate, publicArea: key.publicArea })).toBe('ok');
  });

  it('may have an authority as its root, need no intermediate, and be one of several makers', async () => {
    const other = FakeEndorsementAuthority.root('Other Maker', nowMs);
    expect(await code({ intermediates: [], roots: [other.pem, authority.pem] })).toBe('ok');
    expect(await code({ certificate: root.certify(spkiOf(rsa)), intermediates: [] })).toBe('ok');
  });

  it('may stand under several authorities, given in any order with others between', async () => {
    const second = authority.under('TPM Maker CA 2');
    const certificate = second.certify(spkiOf(rsa));
    const stranger = FakeEndorsementAuthority.root('Stranger', nowMs);
    const intermediates = [second, stranger, authority].map((each) => each.certificate);
    expect(await code({ certificate, intermediates })).toBe('ok');
  });

  it('may have extensions beside that mean nothing here', async () => {
    const certificate = authority.certify(spkiOf(rsa), { extensions: [unknownExtension(false)] });
    expect(await code({ certificate })).toBe('ok');
  });
});

describe('certificates that are refused', () => {
  it.each<[string, FakeEndorsementOptions, string]>([
    ['no purpose', { purposes: undefined }, 'untrusted'],
    ['an empty list of purposes', { purposes: [] }, 'malformed'],
    ['another purpose', { purposes: ['1.3.6.1.5.5.7.3.2'] }, 'untrusted'],
    ['any purpose', { purposes: ['2.5.29.37.0'] }, 'untrusted'],
    ['the purpose of an attestation key', { purposes: ['2.23.133.8.3'] }, 'untrusted'],
    ['the purpose twice', { purposes: ['2.23.133.8.1', '2.23.133.8.1'] }, 'malformed'],
    ['a usage that is not for it', { usages: ['digitalSignature'] }, 'untrusted'],
    ['the usage of the other kind of key', { usages: ['keyAgreement'] }, 'untrusted'],
    ['an authority', { isCa: true }, 'untrusted'],
    ['no TPM in its name', { hasTpmName: false }, 'untrusted'],
    [
      'a critical extension that nobody knows',
      { extensions: [unknownExtension(true)] },
      'malformed',
    ],
    ['past its end', { notAfterMs: nowMs - dayMs / 2 }, 'expired'],
    ['before its beginning', { notBeforeMs: nowMs + dayMs }, 'expired'],
  ])('%s', async (_, options, reason) => {
    const certificate = authority.certify(spkiOf(rsa), options);
    expect(await code({ certificate })).toBe(`endorsement_certificate_${reason}`);
  });

  it.each([
    ['no certificate', new Uint8Array()],
    ['something else', new Uint8Array(300)],
    ['one with bytes behind it', Buffer.concat([authority.certify(spkiOf(rsa)), Buffer.alloc(1)])],
    ['one that is cut off', authority.certify(spkiOf(rsa)).subarray(0, -1)],
    ['one that is too large', new Uint8Array(20_000)],
  ])('%s', async (_, certificate) => {
    expect(await code({ certificate })).toBe('endorsement_certificate_malformed');
  });

  it('one whose signature was made for another', async () => {
    const certificate = Buffer.from(authority.certify(spkiOf(rsa)));
    certificate[certificate.length - 1] = (certificate.at(-1) ?? 0) ^ 1;
    expect(await code({ certificate })).toBe('endorsement_certificate_untrusted');
  });
});

describe('ways that do not lead to a root', () => {
  const untrusted = 'endorsement_certificate_untrusted';

  it('#34 that of another maker, of somebody with the same name, of nobody', async () => {
    const impostor = FakeEndorsementAuthority.root('TPM Maker Root', nowMs).under('TPM Maker CA 1');
    const certificate = impostor.certify(spkiOf(rsa));
    expect(await code({ certificate, intermediates: [impostor.certificate] })).toBe(untrusted);
    expect(await code({ certificate })).toBe(untrusted);
    expect(await code({ intermediates: [] })).toBe(untrusted);
    expect(await code({ roots: [] })).toBe(untrusted);
    expect(await code({ roots: ['-----BEGIN CERTIFICATE-----\n'] })).toBe(untrusted);
    // Signed by itself, and named as the root in the request.
    expect(await code({ roots: [rootOf('Another').pem] })).toBe(untrusted);
  });

  const rootOf = (name: string) => FakeEndorsementAuthority.root(name, nowMs);

  it.each<[string, FakeAuthorityOptions, string]>([
    ['no authority', { isCa: false }, untrusted],
    ['an authority that may not sign certificates', { maySign: false }, untrusted],
    ['an authority for other purposes', { purposes: ['1.3.6.1.5.5.7.3.1'] }, untrusted],
    [
      'an authority past its end',
      { notAfterMs: nowMs - dayMs / 2 },
      'endorsement_certificate_expired',
    ],
    ['an authority for this purpose', { purposes: ['2.23.133.8.1'] }, 'ok'],
    ['an authority for any purpose', { purposes: ['2.5.29.37.0'] }, 'ok'],
  ])('%s', async (_, options, expected) => {
    const middle = root.under('TPM Maker CA X', options);
    const certificate = middle.certify(spkiOf(rsa));
    expect(await code({ certificate, intermediates: [middle.certificate] })).toBe(expected);
  });

  it('longer than the root allows', async () => {
    const short = FakeEndorsementAuthority.root('Short', nowMs, { pathLength: 0 });
    const middle = short.under('Middle');
    const roots = [short.pem];
    const direct = { certificate: short.certify(spkiOf(rsa)), intermediates: [], roots };
    expect(await code(direct)).toBe('ok');
    const certificate = middle.certify(spkiOf(rsa));
    expect(await code({ certificate, intermediates: [middle.certificate], roots })).toBe(untrusted);
  });

  it('over the certificate of an endorsement key, which issues nothing', async () => {
    const leaf = root.under('Leaf', { isCa: false, maySign: false });
    const certificate = leaf.certify(spkiOf(rsa));
    expect(await code({ certificate, intermediates: [leaf.certificate] })).toBe(untrusted);
  });

  it('after the root has ended', async () => {
    expect(await code({ atMs: nowMs + 4000 * dayMs })).toBe('endorsement_certificate_expired');
  });
});

describe('public areas that are refused', () => {
  const publicKey = (key: FakeTpmKey, options: PublicAreaOptions) =>
    publicAreaOf(keyObjectOf(key), {
      attributes: endorsementAttributes,
      symmetric: rsa.publicArea.subarray(10, 16),
      ...options,
    });
  const keyObjectOf = ({ privateKey }: FakeTpmKey) => privateKey;
  const without = (bit: number) => ({ attributes: endorsementAttributes & ~(1 << bit) });

  it.each<[string, PublicAreaOptions]>([
    ['a key that may be copied to another TPM', without(1)],
    ['a key that may be copied to another parent', without(4)],
    ['a key that was brought along', without(5)],
    ['a key that decrypts for anybody', without(16)],
    ['a key that does not decrypt', without(17)],
    ['a key that signs', { attributes: endorsementAttributes | (1 << 18) }],
    ['a bit without a meaning', { attributes: endorsementAttributes | (1 << 30) }],
    ['no algorithm to protect others with', { symmetric: Buffer.from([0, 0x10]) }],
    ['a scheme', { scheme: Buffer.concat([Buffer.from([0, 0x17, 0, 0x0b])]) }],
    ['a hash that is not strong', { nameAlg: 4 }],
    ['an algorithm that is not AES', { symmetric: Buffer.from([0, 3, 0, 128, 0, 0x43]) }],
    ['a mode that is not CFB', { symmetric: Buffer.from([0, 6, 0, 128, 0, 0x42]) }],
    ['a scheme of the other kind of key', { scheme: ecdsaSha256 }],
  ])('%s', async (_, options) => {
    expect(await code({ publicArea: publicKey(rsa, options) })).toBe('endorsement_key_mismatch');
  });

  it('#34 that of another key than the one in the certificate', async () => {
    for (const other of [makeEndorsementKey('rsa'), p256]) {
      expect(await code({ publicArea: other.publicArea })).toBe('endorsement_key_mismatch');
    }
  });
});
