import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { readClientHello } from './client-hello.ts';

/**
 * Two TLS servers on one port. A server asks for client certificates either always or never, and a browser may show a
 * person a choice of certificates wherever it is asked for one; so the one that asks gets only those clients that
 * called it by its name.
 */

/**
 * Waits for the client's first message and hands the connection on, with all that it has sent. A connection that ends,
 * or is silent for `timeoutMs`, is closed.
 *
 * @param handOver gets the server name in lower case; `undefined` when there is none, or what came is no ClientHello
 */
function readServerName(
  socket: Socket,
  timeoutMs: number,
  handOver: (serverName: string | undefined) => void,
): void {
  let received = Buffer.alloc(0);
  const close = () => socket.destroy();
  const deadline = setTimeout(close, timeoutMs);
  const leave = () => {
    clearTimeout(deadline);
    socket.off('readable', read);
    socket.off('end', close);
    socket.off('error', close);
    socket.off('close', leave);
  };
  const read = () => {
    for (let part: unknown = socket.read(); part !== null; part = socket.read()) {
      if (part instanceof Buffer) received = Buffer.concat([received, part]);
    }
    const hello = readClientHello(received);
    if (!hello.complete) return;
    leave();
    socket.unshift(received);
    handOver(hello.serverName);
  };
  socket.on('readable', read);
  socket.on('end', close);
  socket.on('error', close);
  socket.on('close', leave);
}

/**
 * From now on, connections to `listening` whose client calls `serverName` are `named`'s.
 *
 * @param serverName a host name, lower case
 * @param named need not listen itself
 */
export function splitByServerName(
  listening: TlsServer,
  serverName: string,
  named: TlsServer,
  timeoutMs: number,
): void {
  const ownListeners = listening.listeners('connection');
  listening.removeAllListeners('connection');
  listening.on('connection', (socket: Socket) => {
    readServerName(socket, timeoutMs, (called) => {
      if (called === serverName) named.emit('connection', socket);
      else for (const listener of ownListeners) listener.call(listening, socket);
    });
  });
}
