import { readSync, writeSync } from 'node:fs';

const standardInput = 0;
const standardOutput = 1;
const chunkBytes = 16 * 1024;

/**
 * What comes in on standard input, in pieces of any size. For as long as `mayBlock()` says that there is nothing else
 * to do, it is waited for without a stream: making one takes Node longer than the answer to the first message does.
 */
export async function* readStandardInput(mayBlock: () => boolean): AsyncGenerator<Uint8Array> {
  while (mayBlock()) {
    const chunk = readAtOnce();
    if (chunk === undefined) break;
    if (chunk.length === 0) return;
    yield chunk;
  }
  yield* process.stdin;
}

/** Resolves when all bytes are handed on; throws EPIPE when nobody reads them any more. */
export async function writeStandardOutput(bytes: Uint8Array): Promise<void> {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(standardOutput, bytes, written);
  } catch (error) {
    if (!isCode(error, 'EAGAIN')) throw error;
    await writeToStream(bytes.subarray(written));
  }
}

/** Nothing at the end of the input; `undefined` when the input is of the kind that never blocks. */
function readAtOnce(): Uint8Array | undefined {
  const chunk = new Uint8Array(chunkBytes);
  try {
    return chunk.subarray(0, readSync(standardInput, chunk));
  } catch (error) {
    if (isCode(error, 'EAGAIN')) return undefined;
    // How Windows says that the other end of the pipe was closed.
    if (isCode(error, 'EOF')) return chunk.subarray(0, 0);
    throw error;
  }
}

function writeToStream(bytes: Uint8Array): Promise<void> {
  // A reader that has gone is told to the callback; without a listener it would end the process at once.
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
