import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { TpmError } from './tpm-error.ts';
import type { TpmSettings } from './tpm-settings.ts';

/** Brings one command after another to a TPM. */
export interface TpmTransport {
  /** The answer to a command. A transport that failed once is of no use any more. */
  exchange(command: Uint8Array, timeoutMs: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** tag, size, response code (TPM 2.0 Library, part 1 section 16.3). */
const headerBytes = 10;
const maxAnswerBytes = 4096;
const openingTimeoutMs = 10_000;
const betweenAttemptsMs = 50;
const longestPauseMs = 16;

/** Opens the TPM that the configuration names. @throws TpmError */
export function openTransport({ device, simulatorPort }: TpmSettings): Promise<TpmTransport> {
  return simulatorPort === undefined ? openDevice(device) : connectToSimulator(simulatorPort);
}

const codeOf = (error: unknown) =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';

const missingCodes = ['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO', 'ECONNREFUSED'];
const deniedCodes = ['EACCES', 'EPERM'];

/** Why a TPM could not be opened or spoken to, by the code of the system. */
export function openingFailed(where: string, code: string): TpmError {
  if (missingCodes.includes(code)) {
    return new TpmError('keystore_tpm_missing', `there is no TPM at ${where} (${code})`);
  }
  if (deniedCodes.includes(code)) {
    return new TpmError('keystore_tpm_denied', `${where} may not be used (${code})`);
  }
  return new TpmError('keystore_tpm_failed', `${where} cannot be used (${code})`);
}

/**
 * A device node, without waiting in the system: a read that waits there could not be taken back, and would keep the
 * process alive. The driver carries a command out meanwhile; until then there is nothing to read.
 */
async function openDevice(path: string): Promise<TpmTransport> {
  const flags = constants.O_RDWR | (constants.O_NOCTTY ?? 0) | (constants.O_NONBLOCK ?? 0);
  let file: FileHandle;
  const startedAtMs = performance.now();
  for (;;) {
    try {
      file = await open(path, flags);
      break;
    } catch (error) {
      const code = codeOf(error);
      // A device node without a resource manager has one user at a time.
      const mayRepeat = code === 'EBUSY' && performance.now() - startedAtMs < openingTimeoutMs;
      if (!mayRepeat) throw openingFailed(path, code);
      await wait(betweenAttemptsMs);
    }
  }
  return {
    exchange: (command, timeoutMs) =>
      inTime(timeoutMs, path, async (expired) => {
        await file.write(command);
        let answer = Buffer.alloc(0);
        for (let waitMs = 1; missingBytes(answer) > 0 && !expired.aborted; ) {
          const chunk = await readAvailable(file);
          answer = Buffer.concat([answer, chunk]);
          if (chunk.length > 0) continue;
          await wait(waitMs);
          waitMs = Math.min(waitMs * 2, longestPauseMs);
        }
        return answer;
      }),
    close: () => file.close(),
  };
}

/** Nothing where nothing is there yet. */
async function readAvailable(file: FileHandle): Promise<Buffer> {
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(maxAnswerBytes));
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return Buffer.alloc(0);
    throw error;
  }
}

async function connectToSimulator(port: number): Promise<TpmTransport> {
  const where = `port ${port} of this machine`;
  const socket = connect({ host: '127.0.0.1', port });
  await inTime(openingTimeoutMs, where, () => connected(socket)).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  return {
    exchange: (command, timeoutMs) =>
      inTime(timeoutMs, where, async () => {
        socket.write(command);
        let answer = Buffer.alloc(0);
        while (missingBytes(answer) > 0) {
          answer = Buffer.concat([answer, await nextChunk(socket)]);
        }
        return answer;
      }),
    close: async () => {
      socket.destroy();
    },
  };
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject);
  });
}

function nextChunk(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => {
      socket.off('data', onData).off('error', onError).off('close', onClose);
      socket.pause();
      action();
    };
    const onData = (chunk: Buffer) => settle(() => resolve(chunk));
    const onError = (error: Error) => settle(() => reject(error));
    const onClose = () => settle(() => reject(Object.assign(new Error(), { code: 'ECONNRESET' })));
    socket.on('data', onData).on('error', onError).on('close', onClose).resume();
  });
}

/** How much of an answer is still to come, as far as its beginning says. */
function missingBytes(answer: Buffer): number {
  if (answer.length < headerBytes) return headerBytes - answer.length;
  const size = answer.readUInt32BE(2);
  if (size < headerBytes || size > maxAnswerBytes || answer.length > size) {
    throw new TpmError('keystore_tpm_failed', `an answer of ${answer.length} bytes says ${size}`);
  }
  return size - answer.length;
}

async function inTime<Value>(
  timeoutMs: number,
  where: string,
  action: (expired: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const done = new AbortController();
  const expired = new AbortController();
  const limit = wait(timeoutMs, undefined, { signal: done.signal }).then(() => {
    expired.abort();
    const seconds = timeoutMs / 1000;
    throw new TpmError('keystore_tpm_failed', `${where} did not answer within ${seconds} s`);
  });
  try {
    return await Promise.race([action(expired.signal), limit]);
  } catch (error) {
    throw error instanceof TpmError ? error : openingFailed(where, codeOf(error));
  } finally {
    limit.catch(() => undefined);
    done.abort();
  }
}
