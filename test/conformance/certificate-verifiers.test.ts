// What verifiers that other people wrote make of the certificates: accepted for their purpose, refused for any other.
import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import {
  createLeafTemplate,
  decodePem,
  type ParsedCertificate,
  parseCertificate,
  readDeviceUri,
  verifyCertificateSignature,
  verifyIssuedBy,
} from '@countersign/x509';
import * as peculiar from '@peculiar/x509';
import { afterAll, describe, expect, it } from 'vitest';
import { Judge } from './x509/judge.ts';
import {
  deviceId,
  makeChain,
  makeLocalServer,
  must,
  newSerialNumber,
  pemOf,
  privateKeyPem,
  signWith,
} from './x509/make-chain.ts';

const judge = new Judge();
afterAll(() => judge.remove());
const chain = await makeChain();
const { root, issuingCa, issuingKey, leaf, leafFields, signer } = chain;
const stranger = await makeChain();
const p384Chain = await makeChain('P-384');

const fileOf = (name: string, ...certificates: readonly ParsedCertificate[]) =>
  judge.write(name, certificates.map(pemOf).join(''));
const rootFile = fileOf('root.pem', root);
const issuingFile = fileOf('issuing.pem', issuingCa);
const leafFile = fileOf('leaf.pem', leaf);
const signerFile = fileOf('signer.pem', signer);

/** A certificate that a device would make if its key could issue: its own leaf as issuer. */
async function makeForgedLeaf(): Promise<ParsedCertificate> {
  const pretended = { ...issuingCa, subject: leaf.subject, extensions: issuingCa.extensions };
  const template = must(createLeafTemplate(pretended));
  return signWith(chain.deviceKey, template({ ...leafFields, serialNumber: newSerialNumber() }));
}

describe('openssl verify', () => {
  const verify = (purpose: string, ...args: readonly string[]) =>
    judge.ask('openssl', 'verify', '-x509_strict', '-purpose', purpose, ...args);
  const underIssuing = ['-CAfile', rootFile, '-untrusted', issuingFile];

  it('accepts a leaf as TLS client', () => {
    expect(verify('sslclient', ...underIssuing, leafFile)).toMatchObject({ accepted: true });
  });

  it('accepts a chain of P-384 keys', () => {
    const p384Root = fileOf('p384-root.pem', p384Chain.root);
    const p384Issuing = fileOf('p384-issuing.pem', p384Chain.issuingCa);
    const p384Leaf = fileOf('p384-leaf.pem', p384Chain.leaf);
    expect(
      verify('sslclient', '-CAfile', p384Root, '-untrusted', p384Issuing, p384Leaf),
    ).toMatchObject({ accepted: true });
  });

  it.each(['sslserver', 'smimesign', 'smimeencrypt', 'crlsign', 'timestampsign'])(
    'refuses a leaf for %s',
    (purpose) => {
      expect(verify(purpose, ...underIssuing, leafFile).accepted).toBe(false);
    },
  );

  it('refuses a leaf under a foreign root of the same name', () => {
    const foreign = fileOf('foreign-root.pem', stranger.root);
    const args = ['-CAfile', foreign, '-untrusted', issuingFile, leafFile];
    expect(verify('sslclient', ...args).accepted).toBe(false);
  });

  it('refuses a certificate that a device key signed', async () => {
    const forged = fileOf('forged.pem', await makeForgedLeaf());
    const bundle = fileOf('bundle.pem', issuingCa, leaf);
    const args = ['-CAfile', rootFile, '-untrusted', bundle, forged];
    expect(verify('sslclient', ...args).accepted).toBe(false);
  });

  it('accepts the key-set signer under the root, but for no purpose that TLS has', () => {
    expect(verify('any', '-CAfile', rootFile, signerFile)).toMatchObject({ accepted: true });
    for (const purpose of ['sslclient', 'sslserver']) {
      expect(verify(purpose, '-CAfile', rootFile, signerFile).accepted).toBe(false);
    }
  });

  it('accepts the local server certificate as a server that is trusted by itself', async () => {
    const file = fileOf('server.pem', (await makeLocalServer()).certificate);
    const names = ['-verify_hostname', 'localhost'];
    expect(verify('sslserver', '-CAfile', file, ...names, file)).toMatchObject({ accepted: true });
    expect(verify('sslclient', '-CAfile', file, file).accepted).toBe(false);
  });

  it('refuses a leaf after its end', () => {
    const later = String(Math.floor(leaf.notAfterMs / 1000) + 2);
    expect(verify('sslclient', '-attime', later, ...underIssuing, leafFile).accepted).toBe(false);
  });
});

describe('certtool of GnuTLS', () => {
  const certtool = (purpose: string, ...certificates: readonly ParsedCertificate[]) => {
    const file = fileOf('certtool.pem', ...certificates);
    const args = ['--load-ca-certificate', rootFile, '--infile', file];
    return judge.ask('certtool', '--verify', '--verify-purpose', purpose, ...args);
  };
  const clientAuth = '1.3.6.1.5.5.7.3.2';
  const serverAuth = '1.3.6.1.5.5.7.3.1';

  it('accepts a leaf with its issuer as TLS client and nothing else', () => {
    expect(certtool(clientAuth, leaf, issuingCa)).toMatchObject({ accepted: true });
    expect(certtool(serverAuth, leaf, issuingCa).accepted).toBe(false);
  });

  it('refuses a leaf with a foreign issuer', () => {
    expect(certtool(clientAuth, leaf, stranger.issuingCa).accepted).toBe(false);
  });

  it('refuses the key-set signer as TLS client', () => {
    expect(certtool(clientAuth, signer).accepted).toBe(false);
  });
});

describe('@peculiar/x509', () => {
  const read = (certificate: ParsedCertificate) => new peculiar.X509Certificate(certificate.der);

  it('reads in a leaf what our parser reads', () => {
    const theirs = read(leaf);
    expect(theirs.serialNumber).toBe(leaf.serialNumber);
    expect(theirs.notBefore.getTime()).toBe(leaf.notBeforeMs);
    expect(theirs.notAfter.getTime()).toBe(leaf.notAfterMs);
    expect(new Uint8Array(theirs.publicKey.rawData)).toEqual(leaf.subjectPublicKey.spki);
    expect(theirs.subjectName.getField('CN')).toEqual([leaf.subject.commonName]);
    const names = theirs.getExtension(peculiar.SubjectAlternativeNameExtension)?.names;
    expect(names?.toJSON()).toEqual([{ type: 'url', value: `urn:countersign:device:${deviceId}` }]);
    expect(must(readDeviceUri(leaf))).toBe(deviceId);
  });

  it('verifies each signature with the key of the issuer', async () => {
    const links = [
      [leaf, issuingCa],
      [issuingCa, root],
      [root, root],
      [signer, root],
      [p384Chain.leaf, p384Chain.issuingCa],
    ] as const;
    for (const [certificate, issuer] of links) {
      const publicKey = await read(issuer).publicKey.export();
      expect(await read(certificate).verify({ publicKey, signatureOnly: true })).toBe(true);
    }
    const foreign = await read(stranger.issuingCa).publicKey.export();
    expect(await read(leaf).verify({ publicKey: foreign, signatureOnly: true })).toBe(false);
  });
});

describe('our verifier, given certificates of openssl', () => {
  const [rootKeyFile, issuingKeyFile, leafKeyFile] = ['r.key', 'i.key', 'l.key'];
  const curve = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  for (const file of [rootKeyFile, issuingKeyFile, leafKeyFile]) {
    judge.tell('openssl', 'genpkey', ...curve, '-out', file);
  }
  const make = (name: string, key: string, issuer: readonly string[], ...extensions: string[]) => {
    const added = extensions.flatMap((extension) => ['-addext', extension]);
    const config = judge.write('plain.cnf', '[req]\ndistinguished_name=dn\n[dn]\n');
    const args = ['-x509', '-new', '-config', config, '-subj', `/CN=${name}`, '-days', '9'];
    const pem = judge.tell('openssl', 'req', ...args, '-key', key, ...issuer, ...added);
    judge.write(`${name}.crt`, pem);
    return must(parseCertificate(must(decodePem(pem, 'CERTIFICATE'))));
  };
  const ca = (pathLength: number) => [
    `basicConstraints=critical,CA:TRUE,pathlen:${pathLength}`,
    'keyUsage=critical,keyCertSign,cRLSign',
    'subjectKeyIdentifier=hash',
  ];
  const keyId = 'authorityKeyIdentifier=keyid';
  const theirRoot = make('r', rootKeyFile, [], ...ca(1));
  const underRoot = ['-CA', 'r.crt', '-CAkey', rootKeyFile];
  const underIssuing = ['-CA', 'i.crt', '-CAkey', issuingKeyFile];
  const fence = 'extendedKeyUsage=clientAuth,OCSPSigning';
  const theirIssuing = make('i', issuingKeyFile, underRoot, ...ca(0), keyId, fence);
  const leafOf = (name: string, ...extensions: string[]) =>
    make(name, leafKeyFile, underIssuing, keyId, 'subjectKeyIdentifier=hash', ...extensions);
  const profile = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature'];
  const clientAuth = 'extendedKeyUsage=clientAuth';
  const now = Date.now() + 1000;
  const outcome = async (certificate: ParsedCertificate) => {
    const result = await verifyIssuedBy(certificate, theirIssuing, 'device', now);
    return result.ok ? 'verified' : result.reason;
  };

  it('accepts a chain of the same profile', async () => {
    const names = `subjectAltName=URI:urn:countersign:device:${deviceId}`;
    const theirLeaf = leafOf('good', ...profile, clientAuth, names);
    expect((await verifyIssuedBy(theirIssuing, theirRoot, 'issuing-ca', now)).ok).toBe(true);
    expect(await outcome(theirLeaf)).toBe('verified');
    expect(must(readDeviceUri(theirLeaf))).toBe(deviceId);
  });

  it.each<[string, string[]]>([
    ['a server', [...profile, 'extendedKeyUsage=serverAuth']],
    ['client and server', [...profile, 'extendedKeyUsage=clientAuth,serverAuth']],
    ['any purpose', [...profile, 'extendedKeyUsage=anyExtendedKeyUsage']],
    ['no purpose', profile],
    ['an authority', [...ca(0).slice(0, 1), 'keyUsage=critical,digitalSignature', clientAuth]],
    [
      'another key usage',
      [...profile.slice(0, 1), 'keyUsage=critical,keyEncipherment', clientAuth],
    ],
  ])('refuses a leaf that is %s', async (name, extensions) => {
    expect(await outcome(leafOf(name.replaceAll(' ', '-'), ...extensions))).toBe(
      'purpose_not_allowed',
    );
  });
});

describe('a TLS handshake', () => {
  it('with a leaf as client certificate succeeds, and shows the device URI', async () => {
    const local = await makeLocalServer();
    const serverPem = pemOf(local.certificate);
    const server = createTlsServer({
      key: await privateKeyPem(local.key),
      cert: serverPem,
      ca: [pemOf(root)],
      requestCert: true,
      rejectUnauthorized: true,
    });
    const accepted = once(server, 'secureConnection');
    const client = connect({
      port: await listenOnFreePort(server),
      host: '127.0.0.1',
      servername: 'localhost',
      ca: [serverPem],
      key: await privateKeyPem(chain.deviceKey),
      cert: pemOf(leaf) + pemOf(issuingCa),
    });
    try {
      const [socket] = (await accepted) as [TLSSocket];
      expect(socket.authorized).toBe(true);
      expect(socket.getPeerCertificate().subjectaltname).toBe(
        `URI:urn:countersign:device:${deviceId}`,
      );
      expect(new Uint8Array(socket.getPeerCertificate().raw)).toEqual(leaf.der);
      expect(client.authorized).toBe(true);
    } finally {
      client.destroy();
      server.close();
    }
  });

  it('with a leaf as server certificate fails', async () => {
    const server = createServer({
      key: await privateKeyPem(chain.deviceKey),
      cert: pemOf(leaf) + pemOf(issuingCa),
    });
    const client = connect({
      port: await listenOnFreePort(server),
      host: '127.0.0.1',
      ca: [pemOf(root)],
    });
    try {
      const [error] = await once(client, 'error').catch((reason: unknown) => [reason]);
      expect(String(error)).toMatch(/purpose|unsuitable/i);
    } finally {
      client.destroy();
      server.close();
    }
  });
});

describe('signatures', () => {
  it('of a hundred leaves verify, whatever zeros their values begin with', async () => {
    const issuerKey = new X509Certificate(pemOf(issuingCa)).publicKey;
    for (let i = 0; i < 100; i++) {
      const one = await chain.issueLeaf({});
      expect(new X509Certificate(pemOf(one)).verify(issuerKey)).toBe(true);
      expect((await verifyCertificateSignature(one, issuingKey.publicKey)).ok).toBe(true);
    }
  });
});
