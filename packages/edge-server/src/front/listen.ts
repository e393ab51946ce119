import type { Server } from 'node:net';
import { EdgeServerError, errorText, systemErrorCode } from '../edge-server-error.ts';

/**
 * Listens on exactly this address.
 *
 * @param flag the option that chooses this port, for the message
 * @returns the port, which the system chose when 0 was asked for
 * @throws EdgeServerError `port_in_use`, `address_unavailable`
 */
export function listenOn(
  server: Server,
  host: string,
  port: number,
  flag: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const code = systemErrorCode(error);
      reject(
        code === 'EADDRINUSE'
          ? new EdgeServerError(
              'port_in_use',
              `port ${port} is in use by another program; choose another with ${flag}`,
              { cause: error },
            )
          : new EdgeServerError(
              'address_unavailable',
              `cannot listen on ${host} port ${port} (${errorText(error)}); choose others with --host and ${flag}`,
              { cause: error },
            ),
      );
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
