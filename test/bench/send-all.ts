import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

export type HttpCall = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type LoadResult = {
  readonly requests: number;
  readonly perSecond: number;
  /** Server CPU, user and system, in microseconds per request. */
  readonly cpuMicroseconds: number;
  /** Answers that were not what was expected. */
  readonly failures: number;
  /** The first of them, as it came. */
  readonly failure?: string;
};

const ticksPerSecond = 100;

/** CPU time that a process has used, all threads, in seconds (proc(5)). */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** A call as bytes on the wire. */
export function encodeCall(call: HttpCall): Buffer {
  const lines = [
    `${call.method} ${call.path} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...Object.entries(call.headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(call.body)}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${call.body}`);
}

/** End of the first complete answer in `text`, or -1: Content-Length and chunked bodies, as workerd sends them. */
function endOfAnswer(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return -1;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head + 2));
  if (length !== null) {
    const end = head + 4 + Number(length[1]);
    return text.length >= end ? end : -1;
  }
  const end = text.indexOf('\r\n0\r\n\r\n', head);
  return end < 0 ? -1 : end + 7;
}

/**
 * Sends each request once, over keep-alive connections, each waiting for its answer (closed loop).
 *
 * @param isExpected judges a whole answer, head and body
 */
export async function sendAll(options: {
  readonly port: number;
  readonly pid: number;
  readonly requests: readonly Buffer[];
  readonly connections?: number;
  readonly isExpected: (answer: string) => boolean;
}): Promise<LoadResult> {
  const { port, pid, requests, connections = 16, isExpected } = options;
  let next = 0;
  let failures = 0;
  let failure: string | undefined;
  const cpuBefore = cpuSecondsOf(pid);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: connections }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const socket = connect(port, '127.0.0.1');
      let received = '';
      const send = () => {
        const request = requests[next++];
        if (request === undefined) {
          socket.end();
          resolve();
        } else {
          socket.write(request);
        }
      };
      socket.setNoDelay(true);
      socket.setEncoding('latin1');
      socket.on('connect', send);
      socket.on('error', reject);
      socket.on('data', (chunk: string) => {
        received += chunk;
        const end = endOfAnswer(received);
        if (end < 0) return;
        const answer = received.slice(0, end);
        if (!isExpected(answer)) {
          failures += 1;
          failure ??= answer;
        }
        received = received.slice(end);
        send();
      });
      return promise;
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
  return {
    requests: requests.length,
    perSecond: requests.length / seconds,
    cpuMicroseconds: (cpuSeconds / requests.length) * 1e6,
    failures,
    ...(failure === undefined ? {} : { failure }),
  };
}
