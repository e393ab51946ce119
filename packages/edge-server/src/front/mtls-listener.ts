import { constants } from 'node:crypto';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TlsKeyPair } from './tls-certificate.ts';

/** The one host name on which clients are asked for a certificate. */
export type MtlsListener = {
  /** Not listening: it is handed its connections. */
  readonly server: Server;
  readonly replaceTls: (pair: TlsKeyPair) => void;
  readonly replaceClientAuthorities: (clientAuthorities: readonly string[]) => void;
};

/**
 * A connection to this listener lives for one request. Whoever uses it proves possession of the key for each evidence
 * anew: no session is resumed and no connection is kept, so that neither outlives a certificate, and neither is worth
 * stealing. TLS 1.3, because TLS 1.2 sends the client's certificate, and with it the device's id, in the clear.
 *
 * @param clientAuthorities PEM; their names tell browsers which certificates to offer, so that somebody who has none of
 *   ours is not asked
 * @param longestMs after which a connection is closed, whatever it is doing
 */
export function createMtlsListener(
  http: ServerOptions,
  pair: TlsKeyPair,
  clientAuthorities: readonly string[],
  longestMs: number,
): MtlsListener {
  let current = { pair, clientAuthorities };
  const secureContext = () => ({
    ...current.pair,
    ca: [...current.clientAuthorities],
    minVersion: 'TLSv1.3' as const,
    // Without tickets sessions would be kept here, and this program keeps none.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  const server = createServer({
    ...http,
    ...secureContext(),
    requestCert: true,
    // Refusing here would leave the page without a reason; the broker answers with one.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  // Says so to the client, and refuses what it had sent behind its request already; the header closes.
  server.maxRequestsPerSocket = 1;
  server.prependListener('request', (_request, response) => {
    response.setHeader('Connection', 'close');
  });

  // A server that does not listen does not watch over its connections either.
  server.on('connection', (socket: Socket) => {
    const deadline = setTimeout(() => socket.destroy(), longestMs);
    socket.once('close', () => clearTimeout(deadline));
  });
  return {
    server,
    replaceTls: (next) => {
      current = { ...current, pair: next };
      server.setSecureContext(secureContext());
    },
    replaceClientAuthorities: (next) => {
      current = { ...current, clientAuthorities: next };
      server.setSecureContext(secureContext());
    },
  };
}
