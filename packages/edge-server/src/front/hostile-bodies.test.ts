import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { connect, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, startTestFront } from '../testing/start-test-front.ts';
import { BodyRoom } from './body-room.ts';
import { readBody } from './read-body.ts';

const megabyte = 1024 * 1024;

/** Reads every body to its end and answers with its length. */
const measure: Parameters<typeof startTestFront>[0] = (request, response) => {
  let length = 0;
  request.on('data', (piece: Buffer) => {
    length += piece.length;
  });
  request.on('end', () => response.end(String(length)));
};

/** A connection on which a request was begun. */
function begin(port: number, head: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').write(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`);
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function write(socket: Socket, data: string | Buffer): Promise<void> {
  if (!socket.write(data)) await once(socket, 'drain');
}

describe('bodies of clients that mean harm', () => {
  it('come byte by byte and cost no more memory than others', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const held = () => {
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const request = new IncomingMessage(new Socket());
    request.headers['transfer-encoding'] = 'chunked';
    const { result } = readBody(request, megabyte, new BodyRoom(64 * megabyte));
    const before = held();
    for (let sent = 0; sent < 300_000; sent++) {
      // As the parser gives them: each with memory of its own.
      request.push(Buffer.allocUnsafeSlow(1).fill(sent % 251));
      if (sent % 10_000 === 0) await setImmediate();
    }
    await setImmediate();
    expect((held() - before) / megabyte).toBeLessThan(5);
    request.push(null);
    const read = await result;
    const expected = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    expect(read.ok && read.body?.equals(expected)).toBe(true);
  });

  it('do not end, and keep nobody else out', async () => {
    const front = await startTestFront(measure);
    const almostAll = Buffer.alloc(megabyte - 1, 0x61);
    const dawdlers = Array.from({ length: 70 }, () =>
      begin(front.httpPort, `Content-Length: ${megabyte}`),
    );
    const answers = dawdlers.map(async (socket) => {
      const [text]: unknown[] = await once(socket, 'data');
      return String(text);
    });
    for (const socket of dawdlers) await write(socket, almostAll);

    // The first ones gave way to the last ones, and were told so.
    const [first = ''] = await Promise.all(answers.slice(0, 1));
    expect(first).toMatch(/^HTTP\/1\.1 503 /);
    expect(first).toContain('Retry-After: 1');
    for (const body of ['x', 'x'.repeat(60_000), 'x'.repeat(megabyte)]) {
      const answer = await ask(front.httpPort, { method: 'POST', body });
      expect(answer).toMatchObject({ status: 200, body: String(body.length) });
    }

    // The newest dawdler is still welcome to end its body.
    const last = dawdlers.at(-1);
    last?.write('b');
    expect(await answers.at(-1)).toContain(`\r\n\r\n${megabyte}`);
  });
});
