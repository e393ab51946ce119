// What we write, we read the same; what we read, others read the same. Node's X509Certificate (OpenSSL) is the judge.
import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
} from './build-certification-request.ts';
import { type Bytes, concatBytes, hexOf } from './bytes.ts';
import { parseCertificate } from './certificate.ts';
import { parseCertificationRequest, verifyProofOfPossession } from './certification-request.ts';
import { readDeviceUri } from './device-uri.ts';
import { createLeafTemplate } from './leaf-certificate.ts';
import { serialNumberFromRandom } from './serial-number.ts';
import { importVerifyKey } from './subject-public-key.ts';
import { encodeHeader, encodeTree, nodesOf, parseTree } from './testing/der-tree.ts';
import {
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  signRaw,
} from './testing/make-certificates.ts';
import { assembleCertificate } from './to-be-signed.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 300);

const authority = await makeAuthority();
const keys = await Promise.all((['ec-p256', 'ec-p384', 'rsa'] as const).map(makeKey));
const device = keys[0] ?? (await makeKey());
const template = must(
  createLeafTemplate(authority.issuingCa, { ocspUri: 'http://ca.example/ocsp' }),
);

const commonName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => text.isWellFormed() && !/\p{Cc}/u.test(text) && [...text].length <= 64);
const serialNumber = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .filter((random) => random.some((octet) => octet !== 0))
  .map((random) => serialNumberFromRandom(new Uint8Array(random)));
const { notBeforeMs: from, notAfterMs: to } = authority.issuingCa;
const timeMs = fc.integer({ min: from, max: to });
const deviceId = fc.stringMatching(/^[A-Za-z0-9_-]{16,86}$/);
const fields = fc
  .record({
    commonName,
    serialNumber,
    notBeforeMs: timeMs,
    notAfterMs: timeMs,
    deviceId,
    subjectPublicKey: fc.constantFrom(...keys.map(({ publicKey }) => publicKey)),
    crlDistributionPoint: fc.constantFrom('http://ca.example/crl/7', 'http://ca.example/'),
  })
  .filter(({ notBeforeMs, notAfterMs }) => notBeforeMs <= notAfterMs);

const wholeSecond = (ms: number) => Math.floor(ms / 1000) * 1000;
/** A signature that nothing here looks at: 64 octets that are no zeros. */
const anySignature = new Uint8Array(64).fill(0x11);

/** Node's view, when it takes exactly these bytes; OpenSSL passes over what follows a certificate. */
function readWithNode(der: Bytes): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der);
    return Buffer.from(der).equals(certificate.raw) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function spkiByNode(certificate: X509Certificate): Buffer | undefined {
  try {
    return certificate.publicKey.export({ format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

describe('a certificate', () => {
  it('is read with the fields that it was written with, here and by OpenSSL', () => {
    fc.assert(
      fc.property(fields, (written) => {
        const { toBeSigned } = must(template(written));
        const der = must(
          assembleCertificate(toBeSigned, anySignature, authority.issuingKey.publicKey),
        );
        const read = must(parseCertificate(der));
        expect({
          serialNumber: read.serialNumber,
          commonName: read.subject.commonName,
          notBeforeMs: read.notBeforeMs,
          notAfterMs: read.notAfterMs,
          spki: hexOf(read.subjectPublicKey.spki),
          deviceId: must(readDeviceUri(read)),
          der: hexOf(read.der),
          toBeSigned: hexOf(read.toBeSigned),
        }).toEqual({
          serialNumber: hexOf(written.serialNumber),
          commonName: written.commonName,
          notBeforeMs: wholeSecond(written.notBeforeMs),
          notAfterMs: wholeSecond(written.notAfterMs),
          spki: hexOf(written.subjectPublicKey.spki),
          deviceId: written.deviceId,
          der: hexOf(der),
          toBeSigned: hexOf(toBeSigned),
        });
        const judged = readWithNode(der);
        expect(judged?.serialNumber.toLowerCase()).toBe(hexOf(written.serialNumber));
        expect(judged?.validFromDate.getTime()).toBe(read.notBeforeMs);
        expect(judged?.validToDate.getTime()).toBe(read.notAfterMs);
        expect(judged?.subjectAltName).toContain(`URI:urn:countersign:device:${written.deviceId}`);
        expect(judged?.publicKey.export({ format: 'der', type: 'spki' })).toEqual(
          Buffer.from(written.subjectPublicKey.spki),
        );
      }),
      { seed, numRuns },
    );
  });

  it('that was changed is refused, or is what OpenSSL makes of it too', async () => {
    const leaf = await makeLeaf(authority, leafFields(device.publicKey));
    const original = must(parseCertificate(leaf));
    const originalNames = [original.issuer, original.subject].map(({ der }) => hexOf(der));
    const nodes = nodesOf(parseTree(leaf));
    const octets = fc
      .array(fc.tuple(fc.nat(leaf.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
      .map((changes) => {
        const mutant = new Uint8Array(leaf);
        for (const [at, octet] of changes) mutant[at] = octet;
        return mutant;
      });
    // Well-formed all the way down, with one element that says something else.
    const element = fc
      .tuple(fc.nat(nodes.length - 1), fc.uint8Array({ maxLength: 24 }), fc.boolean())
      .map(([index, content, keepsContent]) => {
        let at = -1;
        return encodeTree(parseTree(leaf), (node, old) => {
          at += 1;
          // Children are written before their parents: any order will do to pick one.
          if (at !== index) return undefined;
          const bytes = keepsContent ? concatBytes(old, content) : new Uint8Array(content);
          return encodeHeader(node.tag, bytes, 'short');
        });
      });
    const seen = { taken: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.oneof(octets, element), async (mutant) => {
        const read = parseCertificate(mutant);
        seen[read.ok ? 'taken' : 'refused'] += 1;
        if (!read.ok) return;
        const { value } = read;
        expect(encodeTree(parseTree(mutant))).toEqual(mutant);
        const judged = readWithNode(mutant);
        if (judged === undefined) {
          // OpenSSL wants every attribute of a name to be a string; here names are compared and never taken apart.
          const names = [value.issuer, value.subject].map(({ der }) => hexOf(der));
          expect(names).not.toEqual(originalNames);
          return;
        }
        const digits = judged.serialNumber.toLowerCase();
        expect(BigInt(`0x${digits}`)).toBe(BigInt(`0x${value.serialNumber}`));
        expect(judged.validFromDate.getTime()).toBe(value.notBeforeMs);
        expect(judged.validToDate.getTime()).toBe(value.notAfterMs);
        // A point off the curve is well-formed; it is refused where it would become a key, there as here.
        const imported = await importVerifyKey(value.subjectPublicKey);
        const judgedKey = spkiByNode(judged);
        expect(judgedKey).toEqual(
          imported.ok ? Buffer.from(value.subjectPublicKey.spki) : undefined,
        );
        const uris = value.extensions.subjectAltName?.uris ?? [];
        const judgedNames = judged.subjectAltName ?? '';
        for (const uri of uris)
          if (/^[\w:]+$/.test(uri)) expect(judgedNames).toContain(`URI:${uri}`);
      }),
      { seed, numRuns: numRuns * 20 },
    );
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(20);
  });
});

describe('a certification request', () => {
  it('is read with the name and key that it was written with, and proves the key', async () => {
    const key = fc.constantFrom(...keys);
    await fc.assert(
      fc.asyncProperty(commonName, key, async (name, { publicKey, privateKey }) => {
        const info = must(buildCertificationRequestInfo(publicKey, name));
        const signature = await signRaw(privateKey, info, publicKey.kind);
        const der = must(assembleCertificationRequest(info, signature, publicKey));
        const read = must(parseCertificationRequest(der));
        expect(read.der).toEqual(der);
        expect(read.subject.commonName).toBe(name);
        const proven = must(await verifyProofOfPossession(read));
        expect(proven.spki).toEqual(publicKey.spki);
      }),
      { seed, numRuns: 100 },
    );
  });
});

describe('bytes of the longest length that is looked at', () => {
  const size = 16_384;
  const fill = (pattern: readonly number[]) =>
    new Uint8Array(size).map((_, at) => pattern[at % pattern.length] ?? 0);
  /** What this process had to compute, whatever else the machine does. */
  const microsecondsSince = (began: NodeJS.CpuUsage) => {
    const { user, system } = process.cpuUsage(began);
    return user + system;
  };

  it('are answered at once', () => {
    const pattern = fc.oneof(
      fc.constantFrom(
        [0x30, 0x80],
        [0x30, 0x82, 0x3f, 0xfc],
        [0x31, 0x00],
        [0x06, 0x01, 0x80],
        [0xff],
      ),
      fc.array(fc.nat(255), { minLength: 1, maxLength: 8 }),
    );
    fc.assert(
      fc.property(pattern, fc.boolean(), (octets, isWrapped) => {
        const input = fill(octets);
        if (isWrapped) input.set([0x30, 0x82, (size - 4) >> 8, (size - 4) & 0xff]);
        const began = process.cpuUsage();
        expect(parseCertificate(input).ok).toBe(false);
        expect(parseCertificationRequest(input).ok).toBe(false);
        expect(microsecondsSince(began)).toBeLessThan(500_000);
      }),
      { seed, numRuns },
    );
  });

  it('that nest as deeply as fits are answered at once', () => {
    fc.assert(
      fc.property(fc.constantFrom(0x30, 0x31, 0xa0, 0x04, 0x24), (tag) => {
        let nested: Bytes = new Uint8Array();
        while (nested.length < size - 8) nested = encodeHeader(tag, nested, 'short');
        const request = encodeHeader(0x30, nested, 'short');
        const began = process.cpuUsage();
        expect(parseCertificate(request).ok).toBe(false);
        expect(parseCertificationRequest(request).ok).toBe(false);
        expect(microsecondsSince(began)).toBeLessThan(500_000);
      }),
      { seed, numRuns: 5 },
    );
  });
});
