// Requests that HAProxy and the edge server might read differently, sent by a client without a certificate.
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BehindHaproxy,
  haproxyNames,
  type RunningHaproxy,
  startBehindHaproxy,
} from '../support/haproxy.ts';
import { clientCertOf, keyPairOf } from '../support/mtls-client.ts';
import { openTransaction } from '../support/sign-in-attempt.ts';
import type { TestBroker } from '../support/test-broker.ts';

let behind: BehindHaproxy;
let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let haproxy: RunningHaproxy;
let ask: BehindHaproxy['ask'];

beforeAll(async () => {
  behind = await startBehindHaproxy();
  ({ broker, client, device, haproxy, ask } = behind);
});
afterAll(() => behind?.stop());

describe('#22 a request hidden in another one', () => {
  /** All that comes back on a connection of a client without a certificate that calls the broker's own name. */
  const exchange = async (bytes: string) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: haproxy.port,
      servername: haproxyNames.broker,
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    const deadline = setTimeout(() => socket.destroy(), 600);
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => {
      text += String(part);
    });
    socket.write(bytes, 'latin1');
    if (!socket.closed) await once(socket, 'close');
    clearTimeout(deadline);
    return text;
  };

  it('with a certificate that the front did not see gets nothing, and spoils nobody else', async () => {
    const { challenge } = await openTransaction(broker, client);
    const body = JSON.stringify({ challenge });
    const hidden = [
      'POST /v1/mtls-evidence HTTP/1.1',
      `Host: ${haproxyNames.mtls}`,
      `Origin: ${client.origin}`,
      'Content-Type: text/plain',
      `Client-Cert: ${clientCertOf(keyPairOf(device))}`,
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
    const chunk = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    const outer = (...lines: string[]) =>
      [`POST /v1/challenges HTTP/1.1`, `Host: ${haproxyNames.broker}`, ...lines, '', ''].join(
        '\r\n',
      );
    const attempts = [
      `${outer('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n${hidden}`,
      outer(`Content-Length: ${chunk.length}`, 'Transfer-Encoding: chunked') + chunk + hidden,
      `${outer('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: xchunked', `Content-Length: 5`)}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding : chunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: \vchunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding:\tchunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: chunked')}0;x=\n\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: chunked')}0\n\n${hidden}`,
      `${outer('Transfer-Encoding: chunked')}00000000000000000000\r\n\r\n${hidden}`,
      outer('Content-Length: 0', `Content-Length: ${hidden.length}`) + hidden,
      outer('Content-Length: +0') + hidden,
      outer('Content-Length: 0x0') + hidden,
      outer('Content-Length: 0, 0') + hidden,
      outer('Content-Length: 0', 'Connection: Content-Length') + hidden,
      outer('Content-Length: 0', 'Upgrade: websocket', 'Connection: Upgrade') + hidden,
      outer('Content-Length: 0', 'Expect: 100-continue') + hidden,
      `GET /healthz HTTP/1.1\r\nHost: ${haproxyNames.broker}\r\nX: a\rX: b\r\n\r\n${hidden}`,
      `GET /healthz HTTP/1.1\nHost: ${haproxyNames.broker}\n\n${hidden}`,
      `GET /healthz\r\n${hidden}`,
    ];
    for (const attempt of attempts) {
      const text = await exchange(attempt);
      expect(text, JSON.stringify(attempt.slice(0, 200))).not.toContain('"evidence"');
      // Whoever comes next over the same connection to the broker gets his own answer.
      const next = await ask({
        called: haproxyNames.broker,
        host: haproxyNames.broker,
        method: 'GET',
        path: '/healthz',
        pair: undefined,
      });
      expect([next.status, next.body]).toEqual([200, expect.stringContaining('"status":"ok"')]);
    }
  });
});
