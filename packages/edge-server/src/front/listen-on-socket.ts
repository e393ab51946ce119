import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { EdgeServerError, errorText, systemErrorCode } from '../edge-server-error.ts';

/** Whoever may open the socket is believed about client certificates: this user and its group, nobody else. */
const socketMode = 0o660;

const flag = '--front-socket';

/** Whether some program accepts connections there. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function unavailable(message: string, cause?: unknown): EdgeServerError {
  return new EdgeServerError('address_unavailable', message, { cause });
}

/** Removes the socket that a killed server left behind, and nothing else. */
async function removeLeftSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw unavailable(`${flag}: ${path} is there and is no socket`);
  if (await isServed(path)) throw unavailable(`${flag}: another program serves ${path}`);
  unlinkSync(path);
}

/**
 * Listens on a unix socket. A file that is there is replaced only when it is a socket that nobody serves.
 *
 * @param path absolute; its folder must be there
 * @throws EdgeServerError `address_unavailable`
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  try {
    await removeLeftSocket(path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    chmodSync(path, socketMode);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    throw unavailable(`${flag}: cannot listen on ${path} (${errorText(error)})`, error);
  }
}
