// Requests made by openssl and @peculiar/x509, given to our parser; and ours, given to them.
import 'reflect-metadata';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
  createLeafTemplate,
  decodePem,
  encodePem,
  identifyPublicKey,
  parseCertificationRequest,
  verifyProofOfPossession,
  type X509FailureReason,
} from '@countersign/x509';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { viewCertificate } from './x509/certificate-view.ts';
import { Judge } from './x509/judge.ts';
import { identified, makeChain, makeKey, must, pemOf, signWith } from './x509/make-chain.ts';
import { type OpensslKeyName, opensslKeys } from './x509/openssl-keys.ts';

const judge = new Judge();
afterAll(() => judge.remove());
const chain = await makeChain();
const config = judge.write('plain.cnf', '[req]\ndistinguished_name=dn\n[dn]\n');
const bmpConfig = judge.write(
  'bmp.cnf',
  '[req]\ndistinguished_name=dn\nstring_mask=MASK:0x0800\n[dn]\n',
);

const made = new Set<OpensslKeyName>();
function keyFile(name: OpensslKeyName): string {
  const file = `${name.replaceAll(' ', '-')}.key`;
  if (!made.has(name)) judge.tell('openssl', 'genpkey', ...opensslKeys[name], '-out', file);
  made.add(name);
  return file;
}

/** DER of a request that openssl made. */
function requestOf(name: OpensslKeyName, ...args: readonly string[]): Uint8Array {
  const base = ['-new', '-config', config, '-subj', '/CN=laptop', '-key', keyFile(name)];
  const pem = judge.tell('openssl', 'req', ...base, ...args);
  return must(decodePem(pem, 'CERTIFICATE REQUEST'));
}

async function outcome(der: Uint8Array): Promise<X509FailureReason | 'proven'> {
  const request = parseCertificationRequest(der);
  if (!request.ok) return request.reason;
  const proof = await verifyProofOfPossession(request.value);
  return proof.ok ? 'proven' : proof.reason;
}

describe('requests of openssl', () => {
  it.each<[OpensslKeyName, X509FailureReason | 'proven']>([
    ['P-256', 'proven'],
    ['P-384', 'proven'],
    ['RSA-2048', 'proven'],
    ['RSA-3072', 'proven'],
    ['RSA-4096', 'proven'],
    ['RSA-1024', 'rsa_key_too_small'],
    ['RSA-2047', 'rsa_key_too_small'],
    ['RSA with exponent 3', 'rsa_exponent_not_allowed'],
    ['RSA-PSS', 'key_algorithm_not_allowed'],
    ['Ed25519', 'key_algorithm_not_allowed'],
    ['Ed448', 'key_algorithm_not_allowed'],
    ['P-224', 'curve_not_allowed'],
    ['P-521', 'curve_not_allowed'],
    ['secp256k1', 'curve_not_allowed'],
    ['brainpool', 'curve_not_allowed'],
    ['P-256 with explicit parameters', 'curve_not_allowed'],
  ])('with a key %s: %s', async (name, expected) => {
    expect(await outcome(requestOf(name))).toBe(expected);
  });

  it.each<[string, OpensslKeyName, X509FailureReason | 'proven', string[]]>([
    ['SHA-384', 'P-256', 'proven', ['-sha384']],
    ['SHA-512', 'P-384', 'proven', ['-sha512']],
    ['SHA-512', 'RSA-2048', 'proven', ['-sha512']],
    ['SHA-1', 'P-256', 'signature_algorithm_not_allowed', ['-sha1']],
    ['SHA-1', 'RSA-2048', 'signature_algorithm_not_allowed', ['-sha1']],
    ['SHA-224', 'RSA-2048', 'signature_algorithm_not_allowed', ['-sha224']],
    ['SHA3-256', 'P-256', 'signature_algorithm_not_allowed', ['-sha3-256']],
    ['MD5', 'RSA-2048', 'signature_algorithm_not_allowed', ['-md5']],
    ['PSS', 'RSA-2048', 'signature_algorithm_not_allowed', ['-sigopt', 'rsa_padding_mode:pss']],
  ])('signed with %s by %s: %s', async (_, name, expected, args) => {
    expect(await outcome(requestOf(name, ...args))).toBe(expected);
  });

  it('with a compressed point', async () => {
    const compressed = ['-in', keyFile('P-256'), '-conv_form', 'compressed'];
    judge.tell('openssl', 'ec', ...compressed, '-out', 'compressed.key');
    const args = ['-new', '-config', config, '-subj', '/CN=x', '-key', 'compressed.key'];
    const der = must(decodePem(judge.tell('openssl', 'req', ...args), 'CERTIFICATE REQUEST'));
    expect(await outcome(der)).toBe('point_format_not_allowed');
  });

  it.each<[string, string[]]>([
    ['an empty subject', ['-subj', '/']],
    [
      'a subject of many attributes',
      ['-utf8', '-subj', '/C=DE/O=Ä/OU=b+CN=c/emailAddress=d@e.example'],
    ],
    ['a BMPString as common name', ['-config', bmpConfig]],
  ])('with %s are taken', async (_, args) => {
    expect(await outcome(requestOf('P-256', ...args))).toBe('proven');
  });
});

/** What a hostile request asks for; none of it may come back in a certificate. */
const wishes = [
  'basicConstraints=critical,CA:TRUE',
  'keyUsage=critical,keyCertSign,cRLSign',
  'extendedKeyUsage=serverAuth,anyExtendedKeyUsage',
  'subjectAltName=URI:urn:countersign:device:another-devices-id,DNS:sso.example,email:a@b.example,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:admin@corp.example',
  'subjectKeyIdentifier=00:11:22',
  'crlDistributionPoints=URI:http://evil.example/crl',
  'nameConstraints=critical,permitted;DNS:.example',
  '1.3.6.1.4.1.99999.1=critical,ASN1:UTF8String:wish',
].flatMap((extension) => ['-addext', extension]);

describe('a request that asks for more than a key', () => {
  it('gets the same certificate, byte for byte, as one that asks for nothing', async () => {
    const template = must(createLeafTemplate(chain.issuingCa));
    const certificates = [];
    for (const der of [requestOf('P-384', ...wishes), requestOf('P-384')]) {
      const key = must(await verifyProofOfPossession(must(parseCertificationRequest(der))));
      const subjectPublicKey = await identifyPublicKey(key);
      const built = template({ ...chain.leafFields, subjectPublicKey });
      certificates.push(must(built).toBeSigned);
    }
    expect(certificates[0]).toEqual(certificates[1]);
  });

  it('finds none of it in the certificate', async () => {
    const der = requestOf('P-256', '-subj', '/CN=sso.example/O=evil', ...wishes);
    const key = must(await verifyProofOfPossession(must(parseCertificationRequest(der))));
    const template = must(createLeafTemplate(chain.issuingCa));
    const subjectPublicKey = await identifyPublicKey(key);
    const built = template({ ...chain.leafFields, subjectPublicKey });
    const leaf = await signWith(chain.issuingKey, built);
    const { text } = viewCertificate(judge, judge.write('asked.pem', pemOf(leaf)));
    expect(text).toContain('CA:FALSE');
    expect(text).not.toMatch(
      /CA:TRUE|Certificate Sign|Server|Any |another-devices|sso\.example|email|othername|00:11:22|evil|wish/i,
    );
  });
});

describe('our requests', () => {
  it.each(['P-256', 'P-384'] as const)(
    'are taken by openssl and @peculiar/x509: %s',
    async (curve) => {
      const key = await makeKey(curve);
      const info = must(buildCertificationRequestInfo(key.publicKey, 'Gerät 7'));
      const hash = curve === 'P-256' ? 'SHA-256' : 'SHA-384';
      const signature = await crypto.subtle.sign({ name: 'ECDSA', hash }, key.privateKey, info);
      const der = must(
        assembleCertificationRequest(info, new Uint8Array(signature), key.publicKey),
      );
      const file = judge.write('ours.csr', encodePem('CERTIFICATE REQUEST', der));
      const text = judge.tell('openssl', 'req', '-in', file, '-verify', '-noout', '-text');
      expect(text).toMatch(/verify OK/);
      const theirs = new peculiar.Pkcs10CertificateRequest(der);
      expect(await theirs.verify()).toBe(true);
      expect(theirs.subjectName.getField('CN')).toEqual(['Gerät 7']);
      expect(judge.tell('certtool', '--crq-info', '--infile', file)).toMatch(/Subject: CN=Ger/);
    },
  );
});

describe('requests of @peculiar/x509', () => {
  it.each<[string, object, object]>([
    ['P-256', { name: 'ECDSA', namedCurve: 'P-256' }, { name: 'ECDSA', hash: 'SHA-256' }],
    ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }, { name: 'ECDSA', hash: 'SHA-384' }],
    [
      'RSA-2048',
      {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        publicExponent: new Uint8Array([1, 0, 1]),
        modulusLength: 2048,
      },
      { name: 'RSASSA-PKCS1-v1_5' },
    ],
  ])('are taken: %s', async (_, keyAlgorithm, signingAlgorithm) => {
    const pair = (await crypto.subtle.generateKey(keyAlgorithm as EcKeyGenParams, true, [
      'sign',
      'verify',
    ])) as CryptoKeyPair;
    const request = await peculiar.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=laptop, O=Example',
      keys: pair,
      signingAlgorithm: signingAlgorithm as EcdsaParams,
      extensions: [new peculiar.BasicConstraintsExtension(true, 2, true)],
      attributes: [new peculiar.ChallengePasswordAttribute('secret')],
    });
    const der = new Uint8Array(request.rawData);
    expect(await outcome(der)).toBe('proven');
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
    expect(must(parseCertificationRequest(der)).subjectPublicKey.spki).toEqual(
      (await identified(spki)).spki,
    );
  });
});

describe('two parsers over changed requests', () => {
  it('never take a request as proven that @peculiar/x509 finds unsigned', async () => {
    const valid = requestOf('P-256', ...wishes);
    const change = fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 2 }), async (changes) => {
        const mutant = new Uint8Array(valid);
        for (const [at, octet] of changes) mutant[at] = octet;
        if ((await outcome(mutant)) !== 'proven') return;
        expect(await new peculiar.Pkcs10CertificateRequest(mutant).verify()).toBe(true);
        expect(mutant).toEqual(valid);
      }),
      { numRuns: 500, seed: 20_261_121 },
    );
  });

  it('ours refuses the trailing byte and the long length that @peculiar/x509 takes', async () => {
    const valid = requestOf('P-256');
    const trailing = new Uint8Array([...valid, 0]);
    // 30 82 xx xx … or 30 81 xx …, one octet longer than needed.
    const long = valid[1] === 0x82 ? [0x30, 0x83, 0] : [0x30, 0x82, 0];
    const padded = new Uint8Array([...long, ...valid.subarray(2)]);
    for (const der of [trailing, padded]) {
      expect(await new peculiar.Pkcs10CertificateRequest(der).verify()).toBe(true);
      expect(parseCertificationRequest(der).ok).toBe(false);
    }
  });
});
