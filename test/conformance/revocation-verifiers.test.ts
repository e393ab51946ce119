// What programs that other people wrote make of lists and OCSP answers: they read them, and refuse what is revoked.
import {
  assembleCertificationRequest,
  assembleCrl,
  assembleOcspResponse,
  buildCrlToBeSigned,
  buildIssuingCaRequestInfo,
  buildOcspResponderToBeSigned,
  buildOcspResponseData,
  CrlEntries,
  createLeafTemplate,
  decodePem,
  encodePem,
  type OcspStatus,
  type ParsedCertificate,
  parseCertificate,
  parseCrl,
  parseOcspRequest,
  verifyIssuingChain,
} from '@countersign/x509';
import { afterAll, describe, expect, it } from 'vitest';
import { Judge } from './x509/judge.ts';
import {
  identified,
  makeChain,
  makeKey,
  must,
  newSerialNumber,
  pemOf,
  privateKeyPem,
  signWith,
} from './x509/make-chain.ts';

const judge = new Judge();
afterAll(() => judge.remove());
const chain = await makeChain();
const { root, rootKey, issuingCa, issuingKey } = chain;
/** Nobody listens there: judges that ask online find out at once. */
const nowhere = 'http://127.0.0.1:9';
const crlUri = `${nowhere}/crl/3.crl`;
const template = must(createLeafTemplate(issuingCa, { ocspUri: `${nowhere}/ocsp` }));
const issueLeaf = (serialNumber: Uint8Array) =>
  signWith(
    issuingKey,
    template({ ...chain.leafFields, serialNumber, crlDistributionPoint: crlUri }),
  );
const leaf = await issueLeaf(newSerialNumber());
const revoked = await issueLeaf(newSerialNumber());
const now = Date.now();
const hour = 3_600_000;
const ecdsa = { name: 'ECDSA', hash: 'SHA-256' };

const rootFile = judge.write('root.pem', pemOf(root));
const issuingFile = judge.write('issuing.pem', pemOf(issuingCa));
const leafFile = judge.write('leaf.pem', pemOf(leaf));
const revokedFile = judge.write('revoked.pem', pemOf(revoked));
const chainFile = judge.write('chain.pem', pemOf(issuingCa) + pemOf(root));

async function makeCrl(distributionPoint: string, ...listed: ParsedCertificate[]) {
  const entries = new CrlEntries();
  for (const { serialNumber } of listed) {
    entries.append(Buffer.from(serialNumber, 'hex'), now - hour, 'keyCompromise');
  }
  const fields = {
    number: now,
    thisUpdateMs: now - 1000,
    nextUpdateMs: now + hour,
    distributionPoints: [distributionPoint],
    entries,
  };
  const toBeSigned = must(buildCrlToBeSigned(fields, issuingCa));
  const signature = await crypto.subtle.sign(ecdsa, issuingKey.privateKey, toBeSigned);
  return must(assembleCrl(toBeSigned, new Uint8Array(signature), issuingCa));
}

const crl = await makeCrl(crlUri, revoked);
const crlFile = judge.write('list.crl', crl);
const crlPem = judge.write(
  'list.pem',
  `-----BEGIN X509 CRL-----\n${Buffer.from(crl)
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END X509 CRL-----\n`,
);

describe('a revocation list', () => {
  const verify = (crls: string, file: string) =>
    judge.ask(
      'openssl',
      'verify',
      '-x509_strict',
      '-crl_check',
      ...['-CAfile', rootFile, '-untrusted', issuingFile, '-CRLfile', crls, file],
    );

  it('is read by openssl, which finds number, scope and entry', () => {
    const args = ['crl', '-inform', 'DER', '-in', crlFile, '-noout', '-text', '-CAfile', chainFile];
    const text = judge.tell('openssl', ...args);
    expect(text).toContain('verify OK');
    expect(text).toContain('Version 2 (0x1)');
    expect(text).toMatch(/Issuing Distribution Point: critical\s+Full Name:\s+URI:http/);
    expect(text).toContain(crlUri);
    expect(text).toContain('Only User Certificates');
    expect(text).toContain(revoked.serialNumber.toUpperCase());
    expect(text).toContain('Key Compromise');
    expect(text).toMatch(/X509v3 CRL Number:/);
  });

  it('has openssl verify refuse what is on it and accept what is not', async () => {
    expect(verify(crlPem, leafFile)).toMatchObject({ accepted: true });
    const refused = verify(crlPem, revokedFile);
    expect(refused.accepted).toBe(false);
    expect(refused.text).toContain('certificate revoked');
  });

  it('counts for the certificates of its own distribution point alone', async () => {
    const other = await makeCrl('http://127.0.0.1:9/crl/4.crl', revoked);
    const base64 = Buffer.from(other).toString('base64');
    const otherPem = judge.write(
      'other.pem',
      `-----BEGIN X509 CRL-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END X509 CRL-----\n`,
    );
    expect(verify(otherPem, leafFile).text).toContain('different CRL scope');
  });

  it('is read by certtool', () => {
    const args = ['--crl-info', '--inder', '--infile', crlFile];
    const text = judge.tell('certtool', ...args);
    expect(text).toContain(revoked.serialNumber);
    expect(text).toContain('Version: 2');
  });

  it('is read by pki of strongSwan, which refuses what is on it', () => {
    const verifyArgs = ['--verify', '--cacert', rootFile, '--cacert', issuingFile];
    const withCrl = [...verifyArgs, '--crl', crlFile];
    expect(judge.tell('pki', '--print', '--type', 'crl', '--in', crlFile)).toContain(
      '1 revoked certificate:',
    );
    expect(judge.ask('pki', ...withCrl, '--in', leafFile)).toMatchObject({ accepted: true });
    const refused = judge.ask('pki', ...withCrl, '--in', revokedFile);
    expect(refused.accepted).toBe(false);
    expect(refused.text).toMatch(/revoked/);
  });

  it('of openssl with the same entry is read here, and says the same', () => {
    const keyFile = 'issuing-key.pem';
    const configuration = judge.write(
      'ca.cnf',
      `[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\nissuingDistributionPoint=critical,@p\n[p]\nfullname=URI:${crlUri}\nonlyuser=TRUE\n`,
    );
    judge.write('crlnumber', '1234\n');
    const serial = revoked.serialNumber.toUpperCase();
    judge.write(
      'index.txt',
      `R\t300101000000Z\t260101000000Z,keyCompromise\t${serial}\tunknown\t/CN=x\n`,
    );
    return privateKeyPem(issuingKey).then((pem) => {
      judge.write(keyFile, pem);
      const signing = ['-config', configuration, '-keyfile', keyFile, '-cert', issuingFile];
      judge.tell('openssl', 'ca', '-gencrl', ...signing, '-out', 'theirs.pem');
      judge.tell('openssl', 'crl', '-in', 'theirs.pem', '-outform', 'DER', '-out', 'theirs.crl');
      const theirs = must(parseCrl(judge.read('theirs.crl')));
      const ours = must(parseCrl(crl));
      expect(theirs.number).toBe(0x1234n);
      expect(theirs.entries).toEqual([{ ...ours.entries[0], revokedAtMs: Date.UTC(2026, 0, 1) }]);
      expect(theirs.distributionPoints).toEqual(ours.distributionPoints);
      expect(theirs.authorityKeyIdentifier).toEqual(ours.authorityKeyIdentifier);
    });
  });
});

describe('an OCSP answer', async () => {
  const key = await makeKey();
  const responder = await signWith(
    issuingKey,
    buildOcspResponderToBeSigned(
      {
        serialNumber: newSerialNumber(),
        commonName: 'OCSP responder',
        notBeforeMs: now - hour,
        notAfterMs: now + 24 * hour,
        subjectPublicKey: key.publicKey,
      },
      issuingCa,
    ),
  );
  const bits = key.publicKey.publicKeyBits;
  const responderKeyHash = new Uint8Array(await crypto.subtle.digest('SHA-1', bits));

  async function answer(requestFile: string, ...statuses: OcspStatus[]): Promise<string> {
    const request = must(parseOcspRequest(judge.read(requestFile)));
    const fields = {
      responderKeyHash,
      producedAtMs: now - 1000,
      nextUpdateMs: now + hour,
      answers: request.certificateIds.map((certificateId, i) => ({
        certificateId,
        status: statuses[i] ?? { status: 'unknown' as const },
      })),
      nonce: request.nonce,
    };
    const data = must(buildOcspResponseData(fields, responder));
    const signature = new Uint8Array(await crypto.subtle.sign(ecdsa, key.privateKey, data));
    return judge.write('response.der', must(assembleOcspResponse(data, signature, responder)));
  }

  const isRevoked: OcspStatus = {
    status: 'revoked',
    revokedAtMs: now - hour,
    reason: 'keyCompromise',
  };

  it.each([['-sha1'], ['-sha256']])('is taken by openssl ocsp %s', async (hash) => {
    const question = [hash, '-issuer', issuingFile, '-cert', leafFile, hash, '-cert', revokedFile];
    const request = 'request.der';
    judge.tell('openssl', 'ocsp', ...question, '-reqout', request);
    const response = await answer(request, { status: 'good' }, isRevoked);
    // Without -no_nonce it would make a nonce of its own for the request that it reads.
    const files = ['-reqin', request, '-respin', response, '-CAfile', chainFile];
    const check = ['ocsp', '-no_nonce', ...files];
    const text = judge.tell('openssl', ...check, ...question);
    expect(text).toContain('Response verify OK');
    expect(text).not.toMatch(/[Nn]once/);
    expect(text).toMatch(/leaf\.pem: good/);
    expect(text).toMatch(/revoked\.pem: revoked[\s\S]*Reason: keyCompromise/);
  });

  it('is not taken by openssl for another nonce', async () => {
    const question = ['-issuer', issuingFile, '-cert', leafFile];
    judge.tell('openssl', 'ocsp', ...question, '-reqout', 'first.der');
    judge.tell('openssl', 'ocsp', ...question, '-reqout', 'second.der');
    const response = await answer('first.der', { status: 'good' });
    const files = ['-reqin', 'second.der', '-respin', response, '-CAfile', chainFile];
    const check = ['ocsp', ...files];
    expect(judge.ask('openssl', ...check, ...question).text).toContain('Nonce Verify error');
  });

  it('is taken by ocsptool of GnuTLS', async () => {
    const question = ['--load-issuer', issuingFile, '--load-cert', revokedFile];
    judge.tell('ocsptool', '--generate-request', ...question, '--outfile', 'theirs.der');
    const response = await answer('theirs.der', isRevoked);
    const trust = ['--load-trust', chainFile];
    const text = judge.tell('ocsptool', '--verify-response', ...trust, '--infile', response);
    expect(text).toContain('Success');
    const info = judge.tell('ocsptool', '--response-info', '--infile', response);
    expect(info).toContain('Certificate Status: revoked');
    expect(info).toContain(revoked.serialNumber);
  });
});

describe('the request for an issuing authority', () => {
  it('is answered by openssl with the profile that it asks for, which is then taken', async () => {
    const key = await makeKey();
    const info = must(buildIssuingCaRequestInfo(key.publicKey, 'MTLS Certificate Authority 2'));
    const signature = new Uint8Array(await crypto.subtle.sign(ecdsa, key.privateKey, info));
    const der = must(assembleCertificationRequest(info, signature, key.publicKey));
    const request = judge.write('ca.csr', encodePem('CERTIFICATE REQUEST', der));
    const rootKeyFile = judge.write('root-key.pem', await privateKeyPem(rootKey));
    // What openssl adds on its own where it signs requests: the two key identifiers.
    const extensions = judge.write(
      'extensions.cnf',
      'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n',
    );
    const signing = ['-CA', rootFile, '-CAkey', rootKeyFile, '-set_serial', '0x77', '-days', '365'];
    const copying = ['-copy_extensions', 'copyall', '-extfile', extensions];
    judge.tell('openssl', 'x509', '-req', '-in', request, ...signing, ...copying, '-out', 'ca.pem');
    const pem = Buffer.from(judge.read('ca.pem')).toString();
    const issued = must(parseCertificate(must(decodePem(pem, 'CERTIFICATE'))));
    const publicKey = await identified(key.publicKey.spki);
    const verified = must(await verifyIssuingChain([issued, root], publicKey, Date.now() + 1000));
    expect(verified.issuingCa).toBe(issued);
  });
});
