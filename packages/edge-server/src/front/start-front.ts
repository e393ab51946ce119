import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Log } from '../logs.ts';
import { createForwarder, type Forwarder, type Upstream } from './forward-request.ts';
import { listenOn } from './listen.ts';
import { type HoldLimits, RequestGate } from './request-gate.ts';
import type { TlsKeyPair } from './tls-certificate.ts';
import { type ConnectionTiming, WorkerdConnections } from './workerd-connections.ts';

export type FrontOptions = {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly tls: TlsKeyPair;
  /** PEM. A client certificate under these counts as verified; browsers offer only such ones. */
  readonly clientAuthorities: readonly string[];
  /** workerd's socket. */
  readonly socketPath: string;
  readonly isReady: () => boolean;
  readonly log: Log;
  readonly timeouts?: Timeouts;
  /** Of the connections to workerd. */
  readonly connectionTiming?: ConnectionTiming;
  readonly holdLimits?: Partial<HoldLimits>;
};

export type Front = {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly replaceTls: (pair: TlsKeyPair) => void;
  /**
   * Holds new requests back and lets those under way end, so that workerd can be replaced. @returns whether all did
   */
  readonly hold: () => Promise<boolean>;
  /** Passes on those that were held back. */
  readonly release: () => void;
  /** Takes no more requests; those under way get `graceMs` to end. */
  readonly stop: (graceMs: number) => Promise<void>;
};

/** A client that dawdles is cut off: over its handshake, its headers, its whole request, or between two requests. */
export type Timeouts = {
  readonly handshakeMs: number;
  readonly headersMs: number;
  readonly requestMs: number;
  readonly idleMs: number;
};

const defaultTimeouts: Timeouts = {
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 30_000,
};

function serverOptions({ headersMs, requestMs, idleMs }: Timeouts) {
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: Math.min(1_000, headersMs / 2),
    maxHeaderSize: 16 * 1024,
    insecureHTTPParser: false,
    requireHostHeader: true,
  } satisfies ServerOptions;
}
const maxConnections = 4_096;
const maxHeaders = 100;

type HttpServer = ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>;

function serve(server: HttpServer, forward: Forwarder): void {
  server.maxConnections = maxConnections;
  server.maxHeadersCount = maxHeaders;
  server.on('request', (request, response) => forward(request, response, false));
  server.on('checkContinue', (request, response) => forward(request, response, true));
  // Without a listener an upgrade is answered like any other request; CONNECT has nothing to connect to.
  server.on('connect', (_request: IncomingMessage, socket) => socket.destroy());
}

async function closeServer(server: HttpServer, graceMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const deadline = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(deadline);
}

/** Opens both listeners. @throws EdgeServerError when a port is taken; nothing is left open then */
export async function startFront(options: FrontOptions): Promise<Front> {
  const connections = new WorkerdConnections(options.socketPath, options.connectionTiming);
  const gate = new RequestGate(options.holdLimits);
  const upstream: Upstream = { connections, gate, isReady: options.isReady, log: options.log };

  const timeouts = options.timeouts ?? defaultTimeouts;
  const plain = createServer(serverOptions(timeouts));
  serve(plain, createForwarder(upstream, 'http'));

  const secureContext = (pair: TlsKeyPair) => ({
    ...pair,
    ca: [...options.clientAuthorities],
    minVersion: 'TLSv1.2' as const,
  });
  const tls = createTlsServer({
    ...serverOptions(timeouts),
    ...secureContext(options.tls),
    requestCert: true,
    // Refusing here would leave a person with a browser's error page; the broker answers with a reason.
    rejectUnauthorized: false,
    handshakeTimeout: timeouts.handshakeMs,
    ALPNProtocols: ['http/1.1'],
  });
  // The certificate is read once per connection, so it must not change in the middle of one.
  tls.on('secureConnection', (socket: TLSSocket) => socket.disableRenegotiation());
  serve(tls, createForwarder(upstream, 'https'));

  const stop = async (graceMs: number) => {
    gate.release();
    await Promise.all([closeServer(plain, graceMs), closeServer(tls, graceMs)]);
    connections.destroy();
  };
  try {
    const httpPort = await listenOn(plain, options.host, options.httpPort, '--http-port');
    const tlsPort = await listenOn(tls, options.host, options.tlsPort, '--tls-port');
    return {
      httpPort,
      tlsPort,
      replaceTls: (pair) => tls.setSecureContext(secureContext(pair)),
      hold: async () => {
        const drained = await gate.hold();
        // They lead to the workerd that is about to end; a request sent over one would be lost.
        connections.closeIdle();
        return drained;
      },
      release: () => gate.release(),
      stop,
    };
  } catch (error) {
    await stop(0);
    throw error;
  }
}
