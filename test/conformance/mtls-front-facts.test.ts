// #21: the worker beside a front that says anything else than "this certificate, verified": on the socket between them.
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { dirname } from 'node:path';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertOf, keyPairOf } from '../support/mtls-client.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';
import { workerdSocketOf } from '../support/workerd-socket.ts';

let broker: TestBroker;
let client: TestClient;
let socketPath: string;
/** What the front says about a client with a certificate of ours. */
let verified: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true });
  client = await broker.client.registerClient();
  const device = await enrollDevice(broker);
  socketPath = workerdSocketOf(broker);
  verified = {
    certPresented: '1',
    certVerified: 'SUCCESS',
    certRevoked: '0',
    certRFC9440: clientCertOf(keyPairOf(device)),
    certRFC9440TooLarge: false,
  };
});
afterAll(() => broker?.stopAndRemove());

/** The code of the answer to a request with these facts, in the words of the front; `evidence` for evidence. */
async function ask(blob: string | undefined): Promise<string> {
  const { challenge } = await openTransaction(broker, client);
  const sent = request({
    socketPath,
    method: 'POST',
    path: '/v1/mtls-evidence',
    timeout: 10_000,
    headers: {
      Host: new URL(broker.mtlsUrl).host,
      'Content-Type': 'text/plain',
      Origin: client.origin,
      'X-Forwarded-Proto': 'https',
      ...(blob === undefined ? {} : { 'CF-Blob': blob }),
    },
  });
  sent.on('timeout', () => sent.destroy(new Error('no answer')));
  sent.end(JSON.stringify({ challenge }));
  const [answer]: IncomingMessage[] = await once(sent, 'response');
  const body: unknown = JSON.parse(((await answer?.setEncoding('utf8').toArray()) ?? []).join(''));
  return Object.hasOwn(Object(body), 'evidence') ? 'evidence' : problemDocument.parse(body).code;
}

const facts = (changes: object) => JSON.stringify({ tlsClientAuth: { ...verified, ...changes } });

describe('#21 what the front says about a client', () => {
  it('is heard on a socket that only its own user reaches', async () => {
    expect((await stat(dirname(socketPath))).mode & 0o077).toBe(0);
    expect(await ask(facts({}))).toBe('evidence');
  });

  it.each<[string, readonly unknown[], code: string]>([
    ['certPresented', ['0', 1, true, 'true', '', ' 1', null, {}, undefined], 'missing'],
    [
      'certVerified',
      ['NONE', 'FAILED', 'FAILED:self signed certificate', 'success', 'SUCCESS ', true, 1, null],
      'not_verified',
    ],
    ['certVerified', ['', ['SUCCESS'], { SUCCESS: true }, undefined], 'not_verified'],
    ['certRevoked', ['1', '', 0, false, 'no', null, ['0'], undefined], 'not_verified'],
    ['certRFC9440', ['', '::', ':AA', 'AAAA', null, {}, undefined], 'not_verified'],
    ['certRFC9440TooLarge', [true, 'false', null, undefined], 'not_verified'],
  ])(
    'as %s in any other value than that of success is no evidence: %j',
    async (name, values, code) => {
      for (const value of values) {
        expect(await ask(facts({ [name]: value })), JSON.stringify(value)).toBe(
          `mtls_certificate_${code}`,
        );
      }
    },
  );

  it('as nothing, or as something else, is no certificate', async () => {
    for (const blob of ['{}', '{"tlsClientAuth":null}', '{"tlsClientAuth":[]}', undefined]) {
      expect(await ask(blob), blob).toBe('mtls_certificate_missing');
    }
    const placeholder = { certPresented: '0', certVerified: 'NONE', certRevoked: '0' };
    expect(await ask(JSON.stringify({ tlsClientAuth: placeholder }))).toBe(
      'mtls_certificate_missing',
    );
  });
});
