import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { frame } from './syslog-message.ts';
import type { SyslogReceiver } from './syslog-options.ts';

const defaultTimeoutMs = 30_000;

/**
 * Sends messages over one TLS connection. Syslog acknowledges nothing: that the receiver has read to the end shows by its
 * closing the connection after this side has, without an error. Anything else fails, and all of them are sent again.
 *
 * @throws the error of the connection
 */
export function sendToSyslog(
  { host, port, authorities }: SyslogReceiver,
  messages: readonly string[],
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { timeoutMs = defaultTimeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(authorities === undefined ? {} : { ca: [...authorities] }),
    });
    let isEnded = false;
    let failure: Error | undefined;
    const stop = (error: Error) => {
      failure ??= error;
      socket.destroy();
    };
    const deadline = setTimeout(() => stop(new Error('the receiver took too long')), timeoutMs);
    const onAbort = () => stop(new Error('the server ends'));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    socket.on('error', stop);
    socket.on('secureConnect', () => {
      socket.end(messages.map(frame).join(''), () => {
        isEnded = true;
      });
    });
    // A receiver says nothing; what it says all the same must be read, or its end does not come.
    socket.resume();
    socket.on('close', () => {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
      if (failure !== undefined) reject(failure);
      else if (isEnded) resolve();
      else reject(new Error('the receiver closed the connection'));
    });
  });
}
