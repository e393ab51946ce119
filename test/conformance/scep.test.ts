// SCEP as clients speak it, over the network of a running broker.
import { execFile } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestClient } from '@countersign/testkit/broker-client';
import {
  makePkiMessage,
  makeScepIdentity,
  makeScepRequest,
  openCertRep,
} from '@countersign/testkit/fake-scep-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askMtls, evidenceIn, onlyMtls } from '../support/mtls-client.ts';
import { ScepclientGateway, StrongswanClient } from '../support/scep-clients.ts';
import { ScepWorld } from '../support/scep-world.ts';
import { evaluateWith } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const run = promisify(execFile);

let folder: string;
let broker: TestBroker;
let world: ScepWorld;
let client: TestClient;

const serialNumbers = ['C02SCEP0001', 'C02SCEP0002', 'C02SCEP0003', 'C02SCEP0004', 'C02SCEP0005'];
const uuid = '5e8f7749-f56c-4e38-9c41-eb8795c714e8';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-scep-'));
  broker = await TestBroker.start({ mtls: true });
  world = await ScepWorld.create(broker, serialNumbers, [uuid]);
  client = await broker.client.registerClient();
});
afterAll(async () => {
  await broker?.stopAndRemove();
  rmSync(folder, { recursive: true, force: true });
});

/** openssl's judgement of a certificate under issuer and root. */
async function verifyByOpenssl(certificateFile: string): Promise<string> {
  const [, issuer, root] = world.certificates.map((certificate) =>
    new X509Certificate(certificate).toString(),
  );
  const files = { issuer: join(folder, 'issuer.pem'), root: join(folder, 'root.pem') };
  writeFileSync(files.issuer, issuer ?? '');
  writeFileSync(files.root, root ?? '');
  const { stdout } = await run('openssl', [
    ...['verify', '-x509_strict', '-purpose', 'sslclient'],
    ...['-CAfile', files.root, '-untrusted', files.issuer, certificateFile],
  ]);
  return stdout.trim();
}

/** A sign-in with the certificate alone, as a browser presents it. */
const signIn = (pair: { readonly key: string; readonly cert: string }, subject: string) =>
  evaluateWith(
    broker,
    client,
    async (challenge) => {
      const answer = await askMtls(broker, { pair, challenge, origin: client.origin });
      return onlyMtls(challenge, evidenceIn(answer));
    },
    subject,
  );

describe('the authority', () => {
  it('says what it can, and nothing that it refuses', async () => {
    const answer = await broker.client.request(`${world.path}?operation=GetCACaps`);
    expect(answer.headers.get('Content-Type')).toMatch(/^text\/plain/);
    const capabilities = (await answer.text()).trim().split('\n');
    expect(capabilities.sort()).toEqual([
      'AES',
      'POSTPKIOperation',
      'Renewal',
      'SCEPStandard',
      'SHA-256',
      'SHA-384',
      'SHA-512',
    ]);
  });

  it('has a certificate of its own, with another key than any other authority', async () => {
    const [authority, issuer, root] = world.certificates.map((der) => new X509Certificate(der));
    expect(world.certificates).toHaveLength(3);
    expect(authority?.checkIssued(issuer ?? authority)).toBe(true);
    expect(issuer?.checkIssued(root ?? issuer)).toBe(true);
    expect(authority?.publicKey.asymmetricKeyType).toBe('rsa');
    expect(authority?.ca).toBe(false);
  });

  it.each(['/pkiclient.exe', ''])('is found at %j below the integration', async (suffix) => {
    const answer = await broker.client.request(`${world.path}${suffix}?operation=GetCACert`);
    expect(answer.headers.get('Content-Type')).toBe('application/x-x509-ca-ra-cert');
  });

  it.each([
    ['GET', '?operation=GetNextCACert', 400, 'scep_operation_unknown'],
    ['GET', '', 400, 'scep_operation_unknown'],
    ['GET', '?operation=PKIOperation', 400, 'scep_operation_unknown'],
    ['GET', '?operation=PKIOperation&message=%25%25', 400, 'scep_message_malformed'],
    ['POST', '?operation=GetCACert', 400, 'scep_operation_unknown'],
    ['POST', '?operation=PKIOperation', 400, 'scep_message_malformed'],
    ['PUT', '?operation=PKIOperation', 405, 'method_not_allowed'],
  ])('answers %s %j with %i', async (method, search, status, code) => {
    const answer = await broker.client.request(`${world.path}${search}`, { method });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ code });
  });

  it('is not there for an integration that has not switched SCEP on', async () => {
    const other = `/scep/int_${'A'.repeat(22)}?operation=GetCACaps`;
    expect((await broker.client.request(other)).status).toBe(404);
  });
});

describe('a client', () => {
  it('of strongSwan enrolls, renews to another key, and signs in with either', async () => {
    const [serialNumber = ''] = serialNumbers;
    const challenge = await world.token({ serial_number: serialNumber });
    const strongswan = new StrongswanClient(world, folder);
    const distinguishedName = `CN=mac, serialNumber=${serialNumber}`;
    const enrolled = await strongswan.run({ name: 'first', distinguishedName, challenge });
    expect(await verifyByOpenssl(enrolled)).toBe(`${enrolled}: OK`);
    const pairOf = (name: string) => ({
      key: readFileSync(join(folder, `${name}.key`), 'utf8'),
      cert: readFileSync(join(folder, `${name}.pem`), 'utf8'),
    });
    expect((await signIn(pairOf('first'), 'ada')).decision).toBe(true);
    const renewed = await strongswan.run({ name: 'next', distinguishedName, renewing: 'first' });
    expect(await verifyByOpenssl(renewed)).toBe(`${renewed}: OK`);
    expect((await signIn(pairOf('next'), 'ada')).decision).toBe(true);
    const { subjectAltName } = new X509Certificate(readFileSync(renewed));
    expect(subjectAltName).toMatch(/^URI:urn:countersign:device:/);
  });

  it('of micromdm enrolls and renews, its message packed anew; as it comes it is refused for DES and SHA-1', async () => {
    const gateway = await ScepclientGateway.start(world, folder);
    try {
      const challenge = await world.token({ hardware_uuid: uuid });
      gateway.repacks = false;
      await expect(gateway.run({ commonName: uuid, challenge })).rejects.toThrow('CertRep');
      // Lines of the log come through a pipe, behind the answer.
      await expect
        .poll(() => broker.logLines.join(''), { timeout: 5_000 })
        .toContain('scep_algorithm_not_allowed');
      gateway.repacks = true;
      expect(await gateway.run({ commonName: uuid, challenge })).toContain('pkiStatus=SUCCESS');
      const { certificateFile, keyPem } = gateway;
      expect(await verifyByOpenssl(certificateFile)).toBe(`${certificateFile}: OK`);
      const first = readFileSync(certificateFile, 'utf8');
      expect((await signIn({ key: keyPem, cert: first }, 'grace')).decision).toBe(true);
      expect(await gateway.run({ commonName: uuid })).toContain('pkiStatus=SUCCESS');
      // The same key, and long before its time: the certificate on record comes again.
      expect(readFileSync(certificateFile, 'utf8')).toBe(first);
    } finally {
      await gateway.stop();
    }
  });

  it('that can only GET sends its message in the address, with plus signs as they are', async () => {
    const [, serialNumber = ''] = serialNumbers;
    const identity = makeScepIdentity();
    const challenge = await world.token({ serial_number: serialNumber });
    const csr = makeScepRequest(identity, { challenge, serialNumber });
    const message = Buffer.from(makePkiMessage(identity, world.authorityCertificate, csr));
    const text = message.toString('base64').replaceAll('=', '%3D');
    const answer = await broker.client.request(
      `${world.path}?operation=PKIOperation&message=${text}`,
    );
    expect(answer.status).toBe(200);
    expect(openCertRep(new Uint8Array(await answer.arrayBuffer()), identity).status).toBe('0');
  });
});

describe('openssl', () => {
  it('makes a request and an envelope that are opened, in BER too, and opens the answer', async () => {
    const [, , , , serialNumber = ''] = serialNumbers;
    const challenge = await world.token({ serial_number: serialNumber });
    const file = (name: string) => join(folder, `openssl-${name}`);
    const openssl = (...words: string[]) => run('openssl', words, { timeout: 10_000 });
    writeFileSync(
      file('cnf'),
      [
        ...['[req]', 'prompt = no', 'distinguished_name = dn', 'attributes = attributes'],
        ...['[dn]', 'CN = mac', `serialNumber = ${serialNumber}`],
        ...['[attributes]', `challengePassword = ${challenge}`],
      ].join('\n'),
    );
    await openssl('genrsa', '-out', file('key'), '2048');
    const request = ['req', '-new', '-key', file('key'), '-config', file('cnf'), '-outform', 'DER'];
    await openssl(...request, '-out', file('csr'));
    await openssl(
      ...['req', '-x509', '-key', file('key'), '-subj', '/CN=mac', '-outform', 'DER'],
      ...['-out', file('self')],
    );
    const recipient = new X509Certificate(world.authorityCertificate).toString();
    writeFileSync(file('authority.pem'), recipient);
    const encrypt = ['cms', '-encrypt', '-binary', '-aes128', '-stream', '-outform', 'DER'];
    await openssl(...encrypt, '-in', file('csr'), '-out', file('envelope'), file('authority.pem'));
    const privateKey = createPrivateKey(readFileSync(file('key')));
    const certificate = Uint8Array.from(readFileSync(file('self')));
    const identity = { privateKey, publicKey: createPublicKey(privateKey), certificate };
    const envelope = readFileSync(file('envelope'));
    // Indefinite lengths: openssl streams.
    expect(envelope.subarray(0, 2).toString('hex')).toBe('3080');
    const message = makePkiMessage(identity, world.authorityCertificate, new Uint8Array(), {
      envelope,
    });
    const answer = await world.post(message);
    writeFileSync(file('answer'), Buffer.from(await answer.arrayBuffer()));
    const verify = ['cms', '-verify', '-noverify', '-binary', '-inform', 'DER'];
    await openssl(...verify, '-in', file('answer'), '-out', file('answer.envelope'));
    await openssl(
      ...['cms', '-decrypt', '-binary', '-inform', 'DER', '-in', file('answer.envelope')],
      ...['-inkey', file('key'), '-out', file('degenerate')],
    );
    const { stdout } = await openssl(
      ...['pkcs7', '-inform', 'DER', '-in', file('degenerate'), '-print_certs'],
    );
    writeFileSync(file('issued.pem'), stdout);
    expect(await verifyByOpenssl(file('issued.pem'))).toBe(`${file('issued.pem')}: OK`);
  });
});

describe('#33 over the network', () => {
  it('a token is good for one key, and a lost answer comes again', async () => {
    const [, , serialNumber = ''] = serialNumbers;
    const challenge = await world.token({ serial_number: serialNumber });
    const identity = makeScepIdentity();
    const names = { challenge, serialNumber };
    const transactionId = 'lost';
    const first = await world.send(identity, names, { transactionId });
    const again = await world.send(identity, names, { transactionId });
    expect(first.status).toBe('0');
    expect(again.certificate).toEqual(first.certificate);
    const thief = await world.send(makeScepIdentity(), names);
    expect(thief).toMatchObject({ status: '2', failInfo: '2', certificate: undefined });
    const reused = await world.send(makeScepIdentity(), names, { transactionId });
    expect(reused).toMatchObject({ status: '2', failInfo: '2', certificate: undefined });
  });

  it('neither a message of 2 MB nor one in the address is read', async () => {
    const posted = await world.post(Buffer.alloc(2 * 1024 * 1024));
    expect(posted.status).toBe(413);
    const message = 'A'.repeat(60 * 1024);
    const got = broker.client.request(`${world.path}?operation=PKIOperation&message=${message}`);
    expect((await got).status).toBeGreaterThanOrEqual(400);
    expect((await got).status).toBeLessThan(500);
  });

  it('a renewal under the certificate of another integration is refused', async () => {
    const [, , , serialNumber = ''] = serialNumbers;
    const other = await ScepWorld.create(broker, [serialNumber]);
    const identity = makeScepIdentity();
    const challenge = await other.token({ serial_number: serialNumber });
    const { certificate } = await other.send(identity, { challenge, serialNumber });
    if (certificate === undefined) throw new Error('not enrolled');
    const signer = { ...identity, certificate };
    const renewal = await world.send(identity, {}, { messageType: '17', signer });
    expect(renewal).toMatchObject({ status: '2', failInfo: '2', certificate: undefined });
  });

  it('a certificate that was revoked is not renewed, nor its key enrolled again', async () => {
    const serialNumber = 'C02SCEP0004';
    const identity = makeScepIdentity();
    const names = { challenge: await world.token({ serial_number: serialNumber }), serialNumber };
    const { certificate } = await world.send(identity, names);
    if (certificate === undefined) throw new Error('not enrolled');
    const { subjectAltName = '', fingerprint256 } = new X509Certificate(certificate);
    const deviceId = subjectAltName.replace(/^URI:urn:countersign:device:/, '');
    const sha256 = Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');
    await broker.client.revoke(deviceId, sha256);
    const signer = { ...identity, certificate };
    const other = makeScepIdentity();
    for (const renewed of [identity, other]) {
      const renewal = await world.send(renewed, {}, { messageType: '17', signer });
      expect(renewal).toMatchObject({ status: '2', certificate: undefined });
    }
    const again = { challenge: await world.token({ serial_number: serialNumber }), serialNumber };
    expect(await world.send(identity, again)).toMatchObject({
      status: '2',
      certificate: undefined,
    });
    expect(await world.send(other, again)).toMatchObject({ status: '0' });
  });

  it('every refusal is an event, and whoever is wrong too often is not listened to', async () => {
    const identity = makeScepIdentity();
    const [serialNumber = ''] = serialNumbers.slice(4);
    const csr = makeScepRequest(identity, { challenge: 'guess', serialNumber });
    const message = makePkiMessage(identity, world.authorityCertificate, csr);
    let last = await world.post(message);
    for (let i = 0; i < 40 && last.status === 200; i++) last = await world.post(message);
    expect(last.status).toBe(429);
    expect(Number(last.headers.get('Retry-After'))).toBeGreaterThan(0);
    const events = await Promise.all(
      Array.from({ length: broker.shardCount }, (_, shard) => broker.client.decisions(shard)),
    );
    const records = events.flatMap(({ rows }) => rows.map(({ record }) => record));
    const refusals = records.filter((record) => record.includes('enrollment_token_invalid'));
    expect(refusals.length).toBeGreaterThan(5);
    for (const record of refusals) {
      expect(JSON.parse(record)).toMatchObject({
        kind: 'event',
        event_type: 'user.credential.enroll',
        outcome: 'FAILURE',
        integration_id: world.integrationId,
      });
    }
  });
});
