import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
} from './build-certification-request.ts';
import { type Bytes, concatBytes } from './bytes.ts';
import { parseCertificate, verifyCertificateSignature } from './certificate.ts';
import { parseCertificationRequest, verifyProofOfPossession } from './certification-request.ts';
import { readDeviceUri } from './device-uri.ts';
import { ecdsaSignatureToRaw } from './ecdsa-signature.ts';
import { parseOcspRequest } from './ocsp-request.ts';
import { parseCrl } from './parse-crl.ts';
import { decodePem } from './pem.ts';
import type { X509Result } from './result.ts';
import { parseSubjectPublicKeyInfo } from './subject-public-key.ts';
import {
  type DerNode,
  encodeHeader,
  encodeTree,
  type LengthForm,
  nodesOf,
  parseTree,
} from './testing/der-tree.ts';
import {
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  signRaw,
  start,
} from './testing/make-certificates.ts';
import { crlFields, entriesOf, signCrl } from './testing/make-crl.ts';
import { certificateIdOf, ocspRequestOf } from './testing/make-ocsp-request.ts';

// The same inputs in every run: a failure is never a matter of luck, and always comes back.
fc.configureGlobal({ seed: 20_261_121 });

const authority = await makeAuthority();
const device = await makeKey();
const leaf = await makeLeaf(
  authority,
  leafFields(device.publicKey, { crlDistributionPoint: 'http://ca.example/crl/7' }),
  { ocspUri: 'http://ca.example/ocsp' },
);
const requestInfo = must(buildCertificationRequestInfo(device.publicKey, 'laptop'));
const request = must(
  assembleCertificationRequest(
    requestInfo,
    await signRaw(device.privateKey, requestInfo),
    device.publicKey,
  ),
);

const crl = await signCrl(
  authority,
  crlFields({
    entries: entriesOf([
      { serialNumber: '01ff', revokedAtMs: start - 1000, reason: 'keyCompromise' },
      { serialNumber: '01fe', revokedAtMs: start, reason: 'unspecified' },
    ]),
  }),
);
const ocspRequest = ocspRequestOf({
  certificateIds: [await certificateIdOf(authority.issuingCa, '01ff')],
  nonce: new Uint8Array(32).fill(7),
});

type Parser = (input: Bytes) => X509Result<unknown>;
const parsers: Record<string, [Parser, Bytes]> = {
  certificate: [parseCertificate, leaf],
  request: [parseCertificationRequest, request],
  'public key': [parseSubjectPublicKeyInfo, device.publicKey.spki],
  CRL: [parseCrl, crl],
  'OCSP request': [parseOcspRequest, ocspRequest],
};

describe.each(Object.entries(parsers))('the parser of a %s', (_, [parse, valid]) => {
  const nodes = nodesOf(parseTree(valid));
  const anyNode = fc.constantFrom(...nodes);
  const rewritten = (target: DerNode, rewrite: (content: Bytes) => Bytes) =>
    encodeTree(parseTree(valid), (node, content) =>
      nodes.findIndex(sameAs(node)) === nodes.indexOf(target) ? rewrite(content) : undefined,
    );
  const sameAs = (node: DerNode) => (candidate: DerNode) =>
    candidate.content.byteOffset === node.content.byteOffset &&
    candidate.tag === node.tag &&
    candidate.content.length === node.content.length;

  it('takes the valid one, taken apart and put together again', () => {
    expect(encodeTree(parseTree(valid))).toEqual(valid);
    expect(parse(valid).ok).toBe(true);
  });

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(parse(new Uint8Array(bytes)).ok).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < valid.length; length++) {
      expect(parse(valid.slice(0, length)).ok).toBe(false);
    }
  });

  it('refuses every valid one with something behind it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (tail) => {
        expect(parse(concatBytes(valid, tail))).toMatchObject({ reason: 'trailing_bytes' });
      }),
    );
  });

  it.each<LengthForm>(['one-octet-more', 'indefinite'])(
    'refuses a length written as %s, wherever it is',
    (form) => {
      for (const node of nodes) {
        const der = rewritten(node, (content) => encodeHeader(node.tag, content, form));
        expect(parse(der).ok).toBe(false);
      }
    },
  );

  it('refuses a padded integer, a loose boolean and a string cut in pieces', () => {
    fc.assert(
      fc.property(anyNode, (node) => {
        const changes: Record<number, (content: Bytes) => Bytes> = {
          2: (content) => encodeHeader(2, concatBytes(new Uint8Array(1), content), 'short'),
          1: () => new Uint8Array([1, 1, 1]),
          3: (content) => encodeHeader(0x23, encodeHeader(3, content, 'short'), 'short'),
          4: (content) => encodeHeader(0x24, encodeHeader(4, content, 'short'), 'short'),
        };
        const change = changes[node.tag];
        fc.pre(change !== undefined && !(node.tag === 2 && (node.content[0] ?? 0) >= 0x80));
        if (change !== undefined) expect(parse(rewritten(node, change)).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('takes only canonical encodings, whatever octets are changed', () => {
    const change = fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const mutant = new Uint8Array(valid);
        for (const [at, octet] of changes) mutant[at] = octet;
        if (parse(mutant).ok) expect(encodeTree(parseTree(mutant))).toEqual(mutant);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a changed octet', () => {
  it('in a certificate is refused by the parser or by the signature', async () => {
    for (let at = 0; at < leaf.length; at++) {
      const mutant = new Uint8Array(leaf);
      mutant[at] = (mutant[at] ?? 0) ^ (1 << (at & 7));
      const certificate = parseCertificate(mutant);
      if (!certificate.ok) continue;
      const verified = await verifyCertificateSignature(
        certificate.value,
        authority.issuingCa.subjectPublicKey,
      );
      expect(verified.ok).toBe(false);
      readDeviceUri(certificate.value);
    }
  });

  it('in a request is refused by the parser or by the proof of possession', async () => {
    for (let at = 0; at < request.length; at++) {
      const mutant = new Uint8Array(request);
      mutant[at] = (mutant[at] ?? 0) ^ (1 << (at & 7));
      const parsed = parseCertificationRequest(mutant);
      if (parsed.ok) expect((await verifyProofOfPossession(parsed.value)).ok).toBe(false);
    }
  });
});

describe('other inputs', () => {
  it('never make the signature or PEM parser throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.string({ maxLength: 200 }),
        (bytes, text) => {
          const raw = ecdsaSignatureToRaw(bytes, 'P-256');
          expect(raw.ok ? raw.value.length : 64).toBe(64);
          expect(decodePem(text, 'CERTIFICATE').ok).toBe(false);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('say in their detail nothing that came from the input', () => {
    const change = fc.tuple(fc.nat({ max: leaf.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const mutant = new Uint8Array(leaf);
        for (const [at, octet] of changes) mutant[at] = octet;
        const result = parseCertificate(mutant);
        expect(result.ok || result.detail).toSatisfy(
          (detail) => detail === true || /^[A-Za-z0-9 .,:'-]{1,100}$/.test(String(detail)),
        );
      }),
      { numRuns: 2000 },
    );
  });
});
