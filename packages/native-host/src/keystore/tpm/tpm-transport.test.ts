import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort, listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import koffi from 'koffi';
import { afterEach, describe, expect, it } from 'vitest';
import { TpmError } from './tpm-error.ts';
import { openingFailed, openTransport } from './tpm-transport.ts';

const command = Buffer.from('80010000000c0000014401', 'hex');
const answer = Buffer.concat([Buffer.from('80010000001400000000', 'hex'), Buffer.alloc(10, 7)]);

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
  server = undefined;
});

/** A software TPM whose whole behaviour is what a test says. */
async function simulator(onCommand: (socket: Socket) => void) {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => onCommand(socket));
  });
  const simulatorPort = await listenOnFreePort(server);
  return await openTransport({ device: '/dev/null', simulatorPort });
}

const failure = async (action: Promise<unknown>) => {
  const error = await action.catch((reason: unknown) => reason);
  if (!(error instanceof TpmError)) throw new Error(`no TpmError: ${String(error)}`);
  return { reason: error.reason, detail: error.message };
};

describe('a software TPM', () => {
  it('may answer in pieces, again and again', async () => {
    const transport = await simulator((socket) => {
      for (const byte of answer) socket.write(Buffer.from([byte]));
    });
    for (let count = 0; count < 3; count++) {
      expect(await transport.exchange(command, 2000)).toEqual(answer);
    }
    await transport.close();
  });

  it('that does not answer is given up', async () => {
    const transport = await simulator(() => undefined);
    expect(await failure(transport.exchange(command, 50))).toEqual({
      reason: 'keystore_tpm_failed',
      detail: expect.stringContaining('did not answer within 0.05 s'),
    });
    await transport.close();
  });

  it.each([
    ['goes away', (socket: Socket) => socket.destroy()],
    ['says more than it sends, and goes', (socket: Socket) => socket.end(answer.subarray(0, 12))],
    ['sends more than it says', (socket: Socket) => socket.write(Buffer.concat([answer, answer]))],
    ['says too much', (socket: Socket) => socket.write(Buffer.from('8001ffffffff00000000', 'hex'))],
    [
      'says too little',
      (socket: Socket) => socket.write(Buffer.from('80010000000100000000', 'hex')),
    ],
  ])('that %s is a failure', async (_, onCommand) => {
    const transport = await simulator(onCommand);
    const { reason } = await failure(transport.exchange(command, 2000));
    expect(reason).toBe('keystore_tpm_failed');
    await transport.close();
  });

  it('that is not there is missing', async () => {
    const simulatorPort = await findFreePort();
    const { reason } = await failure(openTransport({ device: '/dev/null', simulatorPort }));
    expect(reason).toBe('keystore_tpm_missing');
  });
});

describe('a device node', () => {
  it('that is not there is missing, one that may not be used is denied', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-tpm-'));
    const device = join(folder, 'tpmrm0');
    expect(await failure(openTransport({ device }))).toEqual({
      reason: 'keystore_tpm_missing',
      detail: `there is no TPM at ${device} (ENOENT)`,
    });
    expect((await failure(openTransport({ device: folder }))).reason).toBe('keystore_tpm_failed');
    rmSync(folder, { recursive: true });
    for (const code of ['EACCES', 'EPERM']) {
      expect(openingFailed(device, code).reason).toBe('keystore_tpm_denied');
    }
  });

  // A terminal without a line discipline: a file that is written to and read from, as a TPM's device node is.
  it.runIf(process.platform === 'linux')('takes commands and gives answers', async () => {
    const terminal = openTerminal();
    const transport = await openTransport({ device: terminal.path });
    for (let count = 0; count < 2; count++) {
      const exchanged = transport.exchange(command, 2000);
      expect(await terminal.receive(command.length)).toEqual(command);
      terminal.send(answer.subarray(0, 5));
      terminal.send(answer.subarray(5));
      expect(await exchanged).toEqual(answer);
    }
    expect(await failure(transport.exchange(command, 50))).toMatchObject({
      reason: 'keystore_tpm_failed',
    });
    await transport.close();
    terminal.close();
  });
});

/** The other end of a pseudo-terminal in raw mode. */
function openTerminal() {
  const libc = koffi.load(null);
  const call = (signature: string) => libc.func(signature);
  const [readWrite, noControllingTerminal, nonBlocking] = [2, 0o400, 0o4000];
  const main = call('int posix_openpt(int)')(readWrite | noControllingTerminal | nonBlocking);
  if (call('int grantpt(int)')(main) !== 0 || call('int unlockpt(int)')(main) !== 0) {
    throw new Error('no terminal');
  }
  const path: unknown = call('str ptsname(int)')(main);
  if (typeof path !== 'string') throw new Error('a terminal without a name');
  const [read, write] = [
    call('long read(int, void *, size_t)'),
    call('long write(int, void *, size_t)'),
  ];
  const settings = Buffer.alloc(256);
  call('int tcgetattr(int, void *)')(main, settings);
  call('void cfmakeraw(void *)')(settings);
  call('int tcsetattr(int, int, void *)')(main, 0, settings);
  return {
    path,
    send: (bytes: Uint8Array) => void write(main, Buffer.from(bytes), bytes.length),
    receive: async (length: number): Promise<Buffer> => {
      let received = Buffer.alloc(0);
      for (let attempt = 0; received.length < length && attempt < 200; attempt++) {
        const chunk = Buffer.alloc(length);
        const count = read(main, chunk, length);
        if (count > 0) received = Buffer.concat([received, chunk.subarray(0, count)]);
        else await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return received;
    },
    close: () => void call('int close(int)')(main),
  };
}
