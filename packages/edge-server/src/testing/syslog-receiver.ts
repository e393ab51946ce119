import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { makeTlsServerCertificate } from '../data-directory/make-certificates.ts';
import { newP256Key } from '../data-directory/private-key.ts';

/** Splits what a connection brought into messages by their lengths (RFC 5425 section 4.3). */
function messagesIn(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const space = bytes.indexOf(0x20, offset);
    const length = Number(bytes.subarray(offset, space).toString('latin1'));
    if (space < 0 || !(length > 0)) throw new Error('not framed by octets');
    messages.push(bytes.subarray(space + 1, space + 1 + length).toString('utf8'));
    offset = space + 1 + length;
  }
  return messages;
}

/** A receiver of syslog over TLS, for tests. `refuse` cuts connections off after they have brought something. */
export async function startSyslogReceiver() {
  const { privateKey, pem } = newP256Key();
  const names = { dnsNames: ['localhost'], ipAddresses: [Uint8Array.of(127, 0, 0, 1)] };
  const certificate = await makeTlsServerCertificate(privateKey, names, Date.now());
  const messages: string[] = [];
  const state = { refuse: false, connections: 0 };
  const sockets = new Set<TLSSocket>();
  const rawSockets = new Set<Socket>();
  const server = createServer({ key: pem, cert: certificate }, (socket) => {
    state.connections += 1;
    sockets.add(socket);
    const chunks: Buffer[] = [];
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (state.refuse) for (const raw of rawSockets) raw.resetAndDestroy();
    });
    socket.on('end', () => {
      if (!state.refuse) messages.push(...messagesIn(Buffer.concat(chunks)));
    });
  });
  server.on('tlsClientError', () => undefined);
  server.on('connection', (raw: Socket) => {
    rawSockets.add(raw);
    raw.on('close', () => rawSockets.delete(raw));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    certificate,
    messages,
    state,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
