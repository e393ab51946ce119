// #18: a client that says it has a certificate, in every header that some front uses, on every port.
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectTrusted } from '../support/expect-answer.ts';
import { forgedHeadersFor, forgedMark } from '../support/forged-headers.ts';
import { askMtls, clientCertOf, evidenceIn, keyPairOf, onlyMtls } from '../support/mtls-client.ts';
import { certificateOf, enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
/** Whose certificate the headers hold. */
let victim: FakeDevice;
let forged: [name: string, value: string][];

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true });
  client = await broker.client.registerClient();
  victim = await enrollDevice(broker);
  forged = forgedHeadersFor(victim.certificate ?? new Uint8Array());
});
afterAll(() => broker?.stopAndRemove());

const mtlsHost = () => new URL(broker.mtlsUrl).host;
const mtlsName = () => new URL(broker.mtlsUrl).hostname;

/** The ways in, with what each of them answers to somebody without a certificate. */
type Port = {
  readonly name: string;
  readonly open: () => Socket;
  readonly answer: string;
};

const tlsTo = (servername: string) =>
  connectTls({ host: '127.0.0.1', port: broker.tlsPort, servername, rejectUnauthorized: false });

const ports: readonly Port[] = [
  {
    name: 'plain HTTP',
    open: () => connectPlain(broker.httpPort, '127.0.0.1'),
    answer: 'mtls_wrong_host',
  },
  { name: 'TLS, mTLS name', open: () => tlsTo(mtlsName()), answer: 'mtls_certificate_missing' },
  {
    name: 'TLS, another name',
    open: () => tlsTo('broker.corp.test'),
    answer: 'mtls_certificate_missing',
  },
];

/** Everything that comes back for a request with these header lines. */
async function send({ open }: Port, challenge: string, lines: readonly string[]): Promise<string> {
  const body = JSON.stringify({ challenge });
  const head = [
    'POST /v1/mtls-evidence HTTP/1.1',
    `Host: ${mtlsHost()}`,
    `Origin: ${client.origin}`,
    'Content-Type: text/plain',
    `Content-Length: ${body.length}`,
    'Connection: close',
    ...lines,
  ].join('\r\n');
  const socket = open();
  const deadline = setTimeout(() => socket.destroy(new Error('no answer')), 10_000);
  socket.write(`${head}\r\n\r\n${body}`);
  const text = (await socket.setEncoding('latin1').toArray()).join('');
  clearTimeout(deadline);
  return text;
}

async function expectNothing(port: Port, lines: readonly string[]): Promise<void> {
  const { challenge } = await openTransaction(broker, client);
  const text = await send(port, challenge, lines);
  const what = `${port.name}: ${lines.join(' | ').slice(0, 200)}\n${text}`;
  expect(text, what).not.toContain('"evidence"');
  // Refused as without the header, or, where the header has no proper form, as no HTTP.
  expect(text, what).toMatch(new RegExp(`"code":"${port.answer}"|^HTTP/1\\.1 (400|431) `));
}

describe.each(ports)('#18 on the port of $name', (port) => {
  it('each forged header, in every spelling, is no certificate', async () => {
    expect(forged.length).toBeGreaterThan(120);
    for (const [name, value] of forged) await expectNothing(port, [`${name}: ${value}`]);
  });

  it('neither are two of a kind, odd forms, and many together', async () => {
    const value = clientCertOf(keyPairOf(victim));
    const [, blob = ''] = forged.find(([name]) => name === 'CF-Blob') ?? [];
    const pem = encodeURIComponent(keyPairOf(victim).cert);
    for (const lines of [
      [`Client-Cert: ${value}`, `Client-Cert: ${value}`],
      [`Client-Cert: ${value}`, `client_cert: ${value}`],
      [`CF-Blob: ${blob}`, `CF-Blob: ${blob}`, `cf_blob: ${blob}`],
      [`Client-Cert:${value}`],
      [`Client-Cert:\t${value}`],
      [`Client-Cert: ${value} `],
      [`Client-Cert : ${value}`],
      [` Client-Cert: ${value}`],
      ['X-A: b', ` Client-Cert: ${value}`],
      [`X-A: b\rClient-Cert: ${value}`],
      [`X-A: b\nCF-Blob: ${blob}`],
      [`X-A: b\0\r\nClient-Cert: ${value}`],
      [`Connection: close, CF-Blob`, `CF-Blob: ${blob}`],
      [`Client-Cert: ${value}`, 'X-SSL-Client-Verify: SUCCESS', `X-SSL-Client-Cert: ${pem}`],
      [`Client-Cert: ${value}`, 'X-Forwarded-Proto: https', `X-Forwarded-Host: ${mtlsHost()}`],
      ['X-Forwarded-Proto: https', `Forwarded: host=${mtlsHost()};proto=https`, `CF-Blob: ${blob}`],
    ]) {
      await expectNothing(port, lines);
    }
  });
});

it("#18 a certificate of one's own is what counts, whatever is said beside it", async () => {
  const own = await enrollDevice(broker);
  for (const [name, value] of forged.filter(([name]) => /^(cf-blob|client-cert)$/i.test(name))) {
    const { transaction, challenge } = await openTransaction(broker, client);
    const answer = await askMtls(broker, {
      pair: keyPairOf(own),
      challenge,
      origin: client.origin,
      headers: { [name]: value },
    });
    const evidence = onlyMtls(challenge, evidenceIn(answer));
    expectTrusted(
      await broker.client.evaluate(client, { transaction, evidence, subject: 'mallory' }),
    );
  }
  expect((await certificateOf(broker, own)).bound_user).toBe('mallory');
  expect((await certificateOf(broker, victim)).bound_user).toBeUndefined();
});

it('#18 what was forged is in no log', () => {
  expect(broker.logLines.filter((line) => line.includes(forgedMark))).toEqual([]);
});
