// One issuer is rolled over to another while devices go on to sign in, by the commands that an administrator gives.
// OpenSSL judges who has signed what.
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBase64url } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { encodePem } from '@countersign/x509';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readBrokerCertificate } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { askMtls, evidenceIn, keyPairOf, onlyMtls } from '../support/mtls-client.ts';
import { runServerCommand } from '../support/server-command.ts';
import { enrollDevice, evaluateWith, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';
import { Judge } from './x509/judge.ts';

const judge = new Judge();
let broker: TestBroker;
let client: TestClient;
/** Enrolled under the first issuer. */
let old: FakeDevice;
/** The same with the certificate that it had before its renewal. */
let before: FakeDevice;
/** Enrolled under the second issuer. */
let young: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true, publication: true });
  client = await broker.client.registerClient();
  old = await enrollDevice(broker);
});
afterAll(async () => {
  await broker?.stopAndRemove();
  judge.remove();
});

const issuerCommand = (...args: readonly string[]) =>
  runServerCommand('issuer', ...args, '--data', broker.dataDirectory);

async function done(...args: readonly string[]): Promise<string> {
  const { code, output, errors } = await issuerCommand(...args);
  expect([code, errors]).toEqual([0, '']);
  return output;
}

const pemOf = (der: Uint8Array | undefined) => encodePem('CERTIFICATE', der ?? new Uint8Array());
const issuerPem = (name: 'issuer' | 'issuer-2') =>
  readBrokerCertificate(broker.dataDirectory, name).toString();

/** Does OpenSSL find a chain from the certificate over this issuer to the root? */
function chains(certificate: Uint8Array | undefined, issuer: string): boolean {
  const root = readBrokerCertificate(broker.dataDirectory, 'root').toString();
  return judge.ask(
    'openssl',
    ...['verify', '-x509_strict', '-purpose', 'sslclient'],
    ...['-CAfile', judge.write('root.pem', root), '-untrusted', judge.write('via.pem', issuer)],
    judge.write('leaf.pem', pemOf(certificate)),
  ).accepted;
}

async function askForEvidence(device: FakeDevice) {
  const { challenge } = await openTransaction(broker, client);
  return askMtls(broker, { pair: keyPairOf(device), challenge, origin: client.origin });
}

const byMtls = (device: FakeDevice) =>
  evaluateWith(broker, client, async (challenge) => {
    const pair = keyPairOf(device);
    const answer = await askMtls(broker, { pair, challenge, origin: client.origin });
    return onlyMtls(challenge, evidenceIn(answer));
  });

const byExtension = (device: FakeDevice) => broker.client.signIn(client, device);

it('a second issuer comes while the server runs, and no sign-in is refused', async () => {
  expectTrusted(await byExtension(old));
  let isPreparing = true;
  let signIns = 0;
  const signingIn = (async () => {
    while (isPreparing) {
      expectTrusted(await byExtension(old));
      signIns += 1;
    }
  })();
  const output = await done('new').finally(() => {
    isPreparing = false;
  });
  await signingIn;
  expect(signIns).toBeGreaterThan(1);
  expect(output).toContain('The server that runs on this folder trusts it.');
  // The command asks the broker, which trusts it a moment before the server says so.
  await expect
    .poll(() => broker.logLines.join('\n'), { timeout: 20_000 })
    .toContain('"event":"issuers_changed"');
  expect(await done('status')).toMatch(
    /^issuer: issuing\n {2}id \S+\n {2}ends \S+\n {2}certificates that count: 1\nissuer-2: trusted\n {2}id \S+\n {2}ends \S+\n {2}certificates that count: 0\n$/,
  );
  const again = await issuerCommand('new');
  expect([again.code, again.errors]).toEqual([
    1,
    expect.stringContaining('issuer_refused: There are two issuers'),
  ]);
});

it('certificates are issued by the first one until the second is activated, and then by that', async () => {
  expect(chains((await enrollDevice(broker)).certificate, issuerPem('issuer'))).toBe(true);
  expect(await done('activate')).toContain('New certificates are issued by issuer-2');
  expect(await done('activate')).toContain('issued by issuer-2 already');
  young = await FakeDevice.create();
  const answer = await broker.client.enroll(young);
  expect(pemOf(decodeBase64url(answer.issuer_certificate))).toBe(issuerPem('issuer-2'));
  expect(chains(young.certificate, issuerPem('issuer-2'))).toBe(true);
  expect(chains(young.certificate, issuerPem('issuer'))).toBe(false);
});

it('both sign in, by the extension and by mTLS, and each has its own list of revocations', async () => {
  for (const device of [old, young]) {
    expectTrusted(await byMtls(device));
    expectTrusted(await byExtension(device));
  }
  for (const [device, issuer] of [
    [old, 'issuer'],
    [young, 'issuer-2'],
  ] as const) {
    const text = judge.tell(
      'openssl',
      ...['x509', '-noout', '-text', '-in', judge.write('leaf.pem', pemOf(device.certificate))],
    );
    const [, uri = ''] = /URI:(http:\S+\.crl)/.exec(text) ?? [];
    expect(uri.startsWith(`${broker.pkiUrl}/crl/`)).toBe(true);
    const crl = judge.write('list.crl', Buffer.from(await (await fetch(uri)).arrayBuffer()));
    const authority = judge.write('issuer.pem', issuerPem(issuer));
    expect(
      judge.tell('openssl', 'crl', '-inform', 'DER', '-in', crl, '-CAfile', authority, '-noout'),
    ).toContain('verify OK');
  }
  expect((await fetch(`${broker.pkiUrl}/v1/key-set`)).status).toBe(404);
});

it('a renewal moves a device over, long before its certificate ends', async () => {
  const first = old.certificate;
  const { renewed } = await broker.client.renew(old);
  expect(renewed).toBe(true);
  expect(chains(first, issuerPem('issuer'))).toBe(true);
  expect(chains(old.certificate, issuerPem('issuer-2'))).toBe(true);
  before = old.withCertificate(first);
  for (const device of [before, old]) expectTrusted(await byExtension(device));
  expectTrusted(await byMtls(old));
});

it('the first one is not retired while certificates depend on it, and not when it issues', async () => {
  const refused = await issuerCommand('retire', '--issuer', 'issuer');
  expect([refused.code, refused.errors]).toEqual([1, expect.stringContaining('issuer_in_use')]);
  const issuing = await issuerCommand('retire', '--issuer', 'issuer-2', '--override');
  expect([issuing.code, issuing.errors]).toEqual([1, expect.stringContaining('issuer_in_use')]);
  expectTrusted(await byExtension(before));
});

it('it is retired: its key goes, its certificates count no more, and sign-ins go on', async () => {
  const output = await done('retire', '--issuer', 'issuer', '--override');
  expect(output).toContain('issuer is retired, and its key is removed');
  const keyFile = join(broker.dataDirectory, 'keys/issuer.pem');
  await expect.poll(() => existsSync(keyFile), { timeout: 20_000 }).toBe(false);
  expectDenied(await byExtension(before), 'issuer_not_active');
  expect(JSON.parse((await askForEvidence(before)).body)).toMatchObject({
    code: 'mtls_certificate_not_verified',
  });
  for (const device of [old, young]) {
    expectTrusted(await byExtension(device));
    expectTrusted(await byMtls(device));
  }
  expect(await done('status')).toMatch(/^issuer-2: issuing\n/);
});

it('the root key leaves the machine, and the next issuer comes by a request', async () => {
  const rootKey = join(judge.folder, 'root-key.pem');
  renameSync(join(broker.dataDirectory, 'keys/root.pem'), rootKey);
  await broker.stop();
  await broker.startAgain();
  expectTrusted(await byExtension(young));
  const request = join(judge.folder, 'issuer.csr');
  const chain = join(judge.folder, 'chain.pem');
  expect(await done('csr', '--output', request)).toContain('The request of issuer-3');
  const rootCertificate = join(broker.dataDirectory, 'certificates/root.pem');
  const signed = await runServerCommand(
    ...['issuer', 'sign', '--input', request, '--output', chain],
    ...['--root-certificate', rootCertificate, '--root-key', rootKey],
  );
  expect([signed.code, signed.errors]).toEqual([0, '']);
  expect(await done('import', '--input', chain)).toContain('trusts it');
  await done('activate', '--issuer', 'issuer-3');
  const device = await enrollDevice(broker);
  expectTrusted(await byMtls(device));
  expectTrusted(await byMtls(young));
});
