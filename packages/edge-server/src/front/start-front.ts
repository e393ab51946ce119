import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Log } from '../logs.ts';
import { factsOfConnection, factsOfMtlsConnection } from './client-facts.ts';
import { createForwarder, type Forwarder, type Upstream } from './forward-request.ts';
import { listenOn } from './listen.ts';
import { listenOnSocket } from './listen-on-socket.ts';
import { createMtlsListener, type MtlsListener } from './mtls-listener.ts';
import { publicationOnly } from './publication.ts';
import { type HoldLimits, RequestGate } from './request-gate.ts';
import { splitByServerName } from './split-by-server-name.ts';
import type { TlsKeyPair } from './tls-certificate.ts';
import { trustedFrontFacts } from './trusted-front.ts';
import { type ConnectionTiming, WorkerdConnections } from './workerd-connections.ts';

export type FrontOptions = {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly tls: TlsKeyPair;
  /** PEM. A client certificate under these counts as verified; browsers offer only such ones. */
  readonly clientAuthorities: readonly string[];
  /** Origin, on the TLS port, at which clients are asked for a certificate. Nobody is asked when there is none. */
  readonly mtlsUrl?: string;
  /** Where revocation is published by plain HTTP, and nothing else is served. */
  readonly publication?: ListenAddress;
  /** Path of a unix socket for a TLS front that is believed about its clients. */
  readonly trustedSocket?: string;
  /** workerd's socket. */
  readonly socketPath: string;
  readonly isReady: () => boolean;
  readonly log: Log;
  readonly timeouts?: Timeouts;
  /** Of the connections to workerd. */
  readonly connectionTiming?: ConnectionTiming;
  readonly holdLimits?: Partial<HoldLimits>;
};

/** Port 0 lets the system choose. */
export type ListenAddress = { readonly host: string; readonly port: number };

export type Front = {
  readonly httpPort: number;
  readonly tlsPort: number;
  /** `undefined` when nothing is published by plain HTTP at a port of its own. */
  readonly publicationPort: number | undefined;
  readonly replaceTls: (pair: TlsKeyPair) => void;
  /** For connections from now on. */
  readonly replaceClientAuthorities: (authorities: readonly string[]) => void;
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

/** A listening server, with what it takes to end it. */
class Listener {
  readonly #server: HttpServer;
  readonly #sockets = new Set<Socket>();

  /** @param server after everything that listens for its connections has been added */
  constructor(server: HttpServer) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async close(graceMs: number): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const deadline = setTimeout(() => {
      // Those too that have not come as far as a request.
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(deadline);
  }
}

/** The origin that asks for certificates, on the port of `tls`. */
function openMtls(
  tls: ReturnType<typeof createTlsServer>,
  mtlsUrl: string,
  options: FrontOptions,
  upstream: Upstream,
  timeouts: Timeouts,
): MtlsListener {
  const { handshakeMs, headersMs, requestMs } = timeouts;
  const http = { ...serverOptions(timeouts), handshakeTimeout: handshakeMs };
  const longestMs = handshakeMs + headersMs + requestMs;
  const mtls = createMtlsListener(http, options.tls, options.clientAuthorities, longestMs);
  serve(mtls.server, createForwarder(upstream, 'https', factsOfMtlsConnection(mtlsUrl)));
  splitByServerName(tls, new URL(mtlsUrl).hostname, mtls.server, handshakeMs);
  return mtls;
}

/** Opens the listeners. @throws EdgeServerError when an address is taken; nothing is left open then */
export async function startFront(options: FrontOptions): Promise<Front> {
  const connections = new WorkerdConnections(options.socketPath, options.connectionTiming);
  const gate = new RequestGate(options.holdLimits);
  const upstream: Upstream = { connections, gate, isReady: options.isReady, log: options.log };

  const timeouts = options.timeouts ?? defaultTimeouts;
  const plain = createServer(serverOptions(timeouts));
  serve(plain, createForwarder(upstream, 'http', factsOfConnection));

  const secureContext = (pair: TlsKeyPair) => ({ ...pair, minVersion: 'TLSv1.2' as const });
  const tls = createTlsServer({
    ...serverOptions(timeouts),
    ...secureContext(options.tls),
    handshakeTimeout: timeouts.handshakeMs,
    ALPNProtocols: ['http/1.1'],
  });
  tls.on('secureConnection', (socket) => socket.disableRenegotiation());
  serve(tls, createForwarder(upstream, 'https', factsOfConnection));
  const { mtlsUrl, trustedSocket } = options;
  const mtls =
    mtlsUrl === undefined ? undefined : openMtls(tls, mtlsUrl, options, upstream, timeouts);

  const trusted = createServer(serverOptions(timeouts));
  const trustedFront = trustedFrontFacts(options.clientAuthorities, Date.now);
  serve(trusted, createForwarder(upstream, 'https', trustedFront.facts));

  const publication = createServer(serverOptions(timeouts));
  serve(publication, publicationOnly(createForwarder(upstream, 'http', factsOfConnection)));

  const listeners = [plain, tls, trusted, publication].map((server) => new Listener(server));
  const stop = async (graceMs: number) => {
    gate.release();
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
    connections.destroy();
  };
  try {
    const httpPort = await listenOn(plain, options.host, options.httpPort, '--http-port');
    const tlsPort = await listenOn(tls, options.host, options.tlsPort, '--tls-port');
    if (trustedSocket !== undefined) await listenOnSocket(trusted, trustedSocket);
    const { publication: published } = options;
    const publicationPort =
      published === undefined
        ? undefined
        : await listenOn(publication, published.host, published.port, '--pki-listen');
    return {
      httpPort,
      tlsPort,
      publicationPort,
      replaceTls: (pair) => {
        tls.setSecureContext(secureContext(pair));
        mtls?.replaceTls(pair);
      },
      replaceClientAuthorities: (authorities) => {
        mtls?.replaceClientAuthorities(authorities);
        trustedFront.replaceClientAuthorities(authorities);
      },
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
