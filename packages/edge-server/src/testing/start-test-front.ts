import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
} from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { makeTlsServerCertificate } from '../data-directory/make-certificates.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { certificateNames } from '../front/server-names.ts';
import { type FrontOptions, startFront } from '../front/start-front.ts';
import type { LogFields } from '../logs.ts';
import { freePort } from './start-test-server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A front with a plain HTTP server in workerd's place. `log` is filled with the events that it logs. */
export async function startTestFront(
  listener: RequestListener,
  changes: Partial<FrontOptions> = {},
) {
  const socketPath = join(temporaryDirectory(), 'upstream.sock');
  const upstream = createServer(listener);
  upstream.listen(socketPath);
  await once(upstream, 'listening');
  const { privateKey, pem } = newP256Key();
  const names = certificateNames(['localhost', '127.0.0.1']);
  const log: Array<LogFields & { event: string; message: string }> = [];
  const front = await startFront({
    host: '127.0.0.1',
    httpPort: await freePort(),
    tlsPort: await freePort(),
    tls: { key: pem, cert: await makeTlsServerCertificate(privateKey, names, Date.now()) },
    clientAuthorities: [],
    socketPath,
    isReady: () => true,
    log: {
      write: (_level, event, message, fields) => void log.push({ event, message, ...fields }),
      passThrough: () => undefined,
    },
    ...changes,
  });
  onTestFinished(async () => {
    await front.stop(0);
    upstream.closeAllConnections();
    upstream.close();
  });
  return { ...front, upstream, log };
}

/** Writes `text` to the port as it is and returns everything that comes back until the other side closes. */
export async function exchangeRaw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('latin1');
  socket.write(text);
  socket.on('error', () => undefined);
  let answer = '';
  socket.on('data', (chunk: string) => {
    answer += chunk;
  });
  await once(socket, 'close');
  return answer;
}

export type SimpleAnswer = {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
};

/** One request on a connection of its own. */
export async function ask(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<SimpleAnswer> {
  const { method = 'GET', path = '/', headers = {}, body } = options;
  const agent = new Agent();
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent });
  sent.end(body);
  const [answer]: [IncomingMessage] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks = await answer.setEncoding('utf8').toArray();
  agent.destroy();
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: chunks.join('') };
}
