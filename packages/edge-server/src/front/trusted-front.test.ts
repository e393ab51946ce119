import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { makeClientCertificate } from '../testing/make-client-certificate.ts';
import { startTestFront } from '../testing/start-test-front.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { describeCertificate } from './client-facts.ts';
import { listenOnSocket } from './listen-on-socket.ts';

const dayMs = 86_400_000;
const nowMs = Date.now();
const current = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + dayMs };

async function frontWithSocket() {
  const settings = { brokerUrl: 'http://127.0.0.1:8780', nowMs: nowMs - 30 * dayMs };
  const [ours, foreign] = await Promise.all(
    ['ours', 'foreign'].map((name) =>
      ensureDataDirectory(join(temporaryDirectory(), name), settings),
    ),
  );
  if (ours === undefined || foreign === undefined) throw new Error('two folders');
  const trustedSocket = join(temporaryDirectory(), 'front.sock');
  const front = await startTestFront(
    (received, response) => response.end(JSON.stringify(received.rawHeaders)),
    { clientAuthorities: [ours.certificatePem('issuer'), ours.rootCertificatePem], trustedSocket },
  );
  return { front, trustedSocket, ours, foreign };
}

/** Everything that workerd receives of a request that the trusted front passes on. */
async function received(socketPath: string, headers: readonly string[]): Promise<string[]> {
  const sent = request({ socketPath, path: '/', headers: ['Host', 'mtls.test', ...headers] });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return JSON.parse((await answer.setEncoding('utf8').toArray()).join(''));
}

async function factsFor(socketPath: string, headers: readonly string[]) {
  const rawHeaders = await received(socketPath, headers);
  expect(rawHeaders.filter((text) => /^(client-cert|x-forwarded-for)$/i.test(text))).toEqual([]);
  const at = rawHeaders.map((text) => text.toLowerCase()).indexOf('cf-blob');
  expect(rawHeaders[rawHeaders.lastIndexOf('X-Forwarded-Proto') + 1]).toBe('https');
  return JSON.parse(rawHeaders[at + 1] ?? '');
}

const rfc9440 = (pem: string) => `:${new X509Certificate(pem).raw.toString('base64')}:`;
const none = describeCertificate(undefined, undefined);

it('believes the certificate of the trusted front, and says what it thinks of it', async () => {
  const { trustedSocket, ours, foreign } = await frontWithSocket();
  const issue = async (from: typeof ours, validity: typeof current) =>
    rfc9440(
      (
        await makeClientCertificate(
          from.certificatePem('issuer'),
          from.privateKey('issuer'),
          validity,
        )
      ).cert,
    );
  const cases: Array<[string, string]> = [
    [await issue(ours, current), 'SUCCESS'],
    [await issue(foreign, current), 'FAILED:unable to verify the first certificate'],
    [
      await issue(ours, { notBeforeMs: nowMs - 3 * dayMs, notAfterMs: nowMs - dayMs }),
      'FAILED:certificate has expired',
    ],
    [
      await issue(ours, { notBeforeMs: nowMs + dayMs, notAfterMs: nowMs + 3 * dayMs }),
      'FAILED:certificate is not yet valid',
    ],
  ];
  for (const [certRFC9440, certVerified] of cases) {
    const { tlsClientAuth } = await factsFor(trustedSocket, ['Client-Cert', certRFC9440]);
    expect(tlsClientAuth).toMatchObject({ certPresented: '1', certVerified, certRFC9440 });
  }
});

it('knows other authorities from the moment on in which it is told of them', async () => {
  const { front, trustedSocket, ours, foreign } = await frontWithSocket();
  const of = async ({ certificatePem, privateKey }: typeof ours) =>
    rfc9440(
      (await makeClientCertificate(certificatePem('issuer'), privateKey('issuer'), current)).cert,
    );
  const [one, other] = [await of(ours), await of(foreign)];
  const verdictOn = async (value: string) =>
    String((await factsFor(trustedSocket, ['Client-Cert', value])).tlsClientAuth.certVerified);
  front.replaceClientAuthorities([ours, foreign].map((each) => each.certificatePem('issuer')));
  expect([await verdictOn(one), await verdictOn(other)]).toEqual(['SUCCESS', 'SUCCESS']);
  front.replaceClientAuthorities([foreign.certificatePem('issuer')]);
  expect(await verdictOn(one)).toBe('FAILED:unable to verify the first certificate');
  expect(await verdictOn(other)).toBe('SUCCESS');
});

it('takes no certificate from anything but one readable Client-Cert', async () => {
  const { front, trustedSocket, ours } = await frontWithSocket();
  const { cert } = await makeClientCertificate(
    ours.certificatePem('issuer'),
    ours.privateKey('issuer'),
    current,
  );
  const value = rfc9440(cert);
  const trailing = `:${Buffer.concat([new X509Certificate(cert).raw, Buffer.alloc(3)]).toString('base64')}:`;
  const failed = { ...none, certPresented: '1', certVerified: 'FAILED' };
  const cases: Array<[string[], object]> = [
    [[], none],
    [['client_cert', value, 'X-SSL-Client-Cert', value, 'CF-Blob', '{}'], none],
    [['Client-Cert', value, 'client-cert', value], failed],
    [['Client-Cert', `${value}, ${value}`], failed],
    [['Client-Cert', value.slice(1, -1)], failed],
    [['Client-Cert', value.slice(0, -1)], failed],
    [['Client-Cert', '::'], failed],
    [['Client-Cert', ''], failed],
    [['Client-Cert', value.replace(':M', ': M')], failed],
    [['Client-Cert', `:${value}:`], failed],
    [['Client-Cert', trailing], failed],
    [['Client-Cert', `:${Buffer.from(cert).toString('base64')}:`], failed],
    [['Client-Cert', `:${'A'.repeat(10_240)}:`], { ...failed, certRFC9440TooLarge: true }],
  ];
  for (const [headers, expected] of cases) {
    const { tlsClientAuth } = await factsFor(trustedSocket, headers);
    expect(tlsClientAuth, JSON.stringify(headers)).toEqual(expected);
  }
  expect(front.log).toEqual([]);
});

it("takes the client's address that the front has added, and no text that is none", async () => {
  const { trustedSocket } = await frontWithSocket();
  const ip = async (...values: string[]) =>
    (
      await factsFor(
        trustedSocket,
        values.flatMap((value) => ['X-Forwarded-For', value]),
      )
    ).clientIp;
  expect(await ip('203.0.113.7')).toBe('203.0.113.7');
  expect(await ip('10.0.0.1, 2001:db8::1')).toBe('2001:db8::1');
  expect(await ip('10.0.0.1', '203.0.113.8')).toBe('203.0.113.8');
  expect(await ip('unknown')).toBe('');
  expect(await ip()).toBe('');
});

it('is a socket for this user and group, which goes with the server', async () => {
  const { front, trustedSocket } = await frontWithSocket();
  expect(statSync(trustedSocket).mode & 0o777).toBe(0o660);
  await front.stop(0);
  expect(existsSync(trustedSocket)).toBe(false);
});

it('replaces a socket that nobody serves, and nothing else', async () => {
  const folder = temporaryDirectory();
  const [file, served] = [join(folder, 'file'), join(folder, 'served.sock')];
  const open = async (path: string) => {
    const server = createServer();
    onTestFinished(() => void server.close());
    await listenOnSocket(server, path);
    return server;
  };
  writeFileSync(file, 'precious');
  await expect(open(file)).rejects.toMatchObject({ failure: 'address_unavailable' });
  await open(served);
  await expect(open(served)).rejects.toThrow(/another program serves/);
  await expect(open(join(folder, 'missing', 'a.sock'))).rejects.toThrow(/--front-socket/);

  // What a killed server leaves: the socket's file, and nobody behind it.
  const left = join(folder, 'left.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(left)}, () => console.log('up'))`;
  const killed = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect(existsSync(left)).toBe(true);
  await open(left);
  expect(readFileSync(file, 'utf8')).toBe('precious');
});
