import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { freePort } from '../testing/start-test-server.ts';
import { readClientHello } from './client-hello.ts';

/** The first flight of Node's own TLS client. */
async function helloOf(options: { servername?: string; maxVersion?: 'TLSv1.2' }): Promise<Buffer> {
  const server = createServer();
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port, ...options });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** The same handshake message in records of at most `size` bytes (RFC 8446 section 5.1 allows it). */
function inRecordsOf(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 0xff]), fragment);
  }
  return Buffer.concat(records);
}

it.each(['TLSv1.2', undefined] as const)(
  'reads the name, whatever the version (%s)',
  async (max) => {
    const version = max === undefined ? {} : { maxVersion: max };
    const named = await helloOf({ servername: 'MTLS.corp.test', ...version });
    expect(readClientHello(named)).toEqual({ complete: true, serverName: 'mtls.corp.test' });
    const unnamed = await helloOf(version);
    expect(readClientHello(unnamed)).toEqual({ complete: true, serverName: undefined });
  },
);

it('waits for every byte of it, in one record or in many', async () => {
  const whole = await helloOf({ servername: 'mtls.corp.test' });
  for (const hello of [whole, inRecordsOf(whole, 1), inRecordsOf(whole, 100)]) {
    for (let length = 0; length < hello.length; length++) {
      expect(readClientHello(hello.subarray(0, length))).toEqual({ complete: false });
    }
    expect(readClientHello(hello)).toEqual({ complete: true, serverName: 'mtls.corp.test' });
  }
});

it('hands on what is no ClientHello, and does not wait for one that is endless', async () => {
  const noName = { complete: true, serverName: undefined };
  const hello = await helloOf({ servername: 'mtls.corp.test' });
  const changed = (offset: number, value: number) => {
    const bytes = Buffer.from(hello);
    bytes[offset] = value;
    return bytes;
  };
  expect(readClientHello(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toEqual(noName);
  expect(readClientHello(changed(0, 23))).toEqual(noName);
  expect(readClientHello(changed(5, 2))).toEqual(noName);
  expect(readClientHello(Buffer.from([22, 3, 1, 0, 0]))).toEqual(noName);
  // The length of the session id points beyond the end.
  expect(readClientHello(changed(5 + 4 + 34, 255))).toEqual(noName);
  const endless = Buffer.concat([Buffer.from([22, 3, 1, 0x3f, 0xff, 1, 0xff, 0xff, 0xff])]);
  expect(readClientHello(endless)).toEqual({ complete: false });
  const large = Buffer.concat([endless, Buffer.alloc(16 * 1024)]);
  expect(readClientHello(large)).toEqual(noName);
});

it('takes any bytes without failing, changed anywhere', async () => {
  const hello = await helloOf({ servername: 'mtls.corp.test' });
  for (let offset = 0; offset < hello.length; offset++) {
    for (const value of [0, 1, 127, 255]) {
      const bytes = Buffer.from(hello);
      bytes[offset] = value;
      expect(typeof readClientHello(bytes).complete).toBe('boolean');
    }
  }
});
