import {
  type Agent,
  type IncomingMessage,
  request as requestOverSocket,
  type ServerResponse,
} from 'node:http';
import { cfBlobOf } from './client-facts.ts';
import { type BodyRoom, declaresTooMuch, readBody } from './read-body.ts';
import { headersForClient, headersForWorkerd } from './request-headers.ts';
import { sendProblem } from './send-problem.ts';

/** Larger than anything that the broker accepts, so that its own limit and answer come first. */
const maxBodyBytes = 1024 * 1024;
const maxBodiesBytes = 64 * 1024 * 1024;
const answerTimeoutMs = 30_000;
const lingerMs = 3_000;

export type Upstream = {
  readonly socketPath: string;
  readonly agent: Agent;
  readonly isReady: () => boolean;
};

function sendUnavailable(response: ServerResponse): void {
  sendProblem(response, 503, 'storage_unavailable', 'The broker is being started again.', {
    'Retry-After': '1',
  });
}

/**
 * Answers at once and closes the connection. What the client still sends is read and thrown away for a while: closing
 * with unread data would reset the connection, and the client might never see the answer.
 */
function sendTooLarge(request: IncomingMessage, response: ServerResponse): void {
  sendProblem(
    response,
    413,
    'body_too_large',
    'The front takes 1 MiB at most.',
    { Connection: 'close' },
    () => {
      const deadline = setTimeout(() => response.end(), lingerMs);
      const end = () => {
        clearTimeout(deadline);
        response.end();
      };
      request.once('end', end);
      request.once('close', end);
      request.resume();
    },
  );
}

/** Path and query, or `undefined` for the forms of other uses (RFC 9112 section 3.2): proxies, CONNECT, OPTIONS *. */
function originForm(request: IncomingMessage): string | undefined {
  return request.url?.startsWith('/') ? request.url : undefined;
}

/** Two Host fields could be read differently here and there; RFC 9112 section 3.2 wants them refused. */
function hasOneHost(request: IncomingMessage): boolean {
  return request.headersDistinct.host?.length === 1;
}

function isSafe(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** `waitsForContinue`: the client sends its body only after it was told to (RFC 9110 section 10.1.1). */
export type Forwarder = (
  request: IncomingMessage,
  response: ServerResponse,
  waitsForContinue: boolean,
) => void;

/** Passes requests of one listener on to workerd, and its answers back. */
export function createForwarder(upstream: Upstream, protocol: 'http' | 'https'): Forwarder {
  const room: BodyRoom = { freeBytes: maxBodiesBytes };

  const exchange = (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    body: Buffer | undefined,
    isRetry: boolean,
  ) => {
    const { method } = request;
    const passed = requestOverSocket({
      socketPath: upstream.socketPath,
      agent: upstream.agent,
      ...(method === undefined ? {} : { method }),
      path,
      headers: headersForWorkerd(request.rawHeaders, request.headers.connection, {
        cfBlob: cfBlobOf(request.socket),
        protocol,
        bodyLength: body?.length,
      }),
      setDefaultHeaders: false,
    });
    const onClosed = () => passed.destroy();
    response.once('close', onClosed);
    passed.setTimeout(answerTimeoutMs, () => passed.destroy(new Error('no answer in time')));
    passed.once('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, headersForClient(answer.rawHeaders));
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    passed.once('error', () => {
      response.off('close', onClosed);
      if (response.destroyed || response.headersSent) {
        response.destroy();
      } else if (passed.reusedSocket && !isRetry && isSafe(method) && upstream.isReady()) {
        // workerd closed the connection while it was idle.
        exchange(request, response, path, body, true);
      } else sendUnavailable(response);
    });
    passed.end(body);
  };

  return (request, response, waitsForContinue) => {
    if (declaresTooMuch(request, maxBodyBytes)) return sendTooLarge(request, response);
    const path = originForm(request);
    if (path === undefined || !hasOneHost(request)) {
      return sendProblem(
        response,
        400,
        'field_invalid',
        'The request must name a path and exactly one Host.',
        {
          Connection: 'close',
        },
      );
    }
    if (!upstream.isReady()) {
      request.resume();
      return sendUnavailable(response);
    }
    if (waitsForContinue) response.writeContinue();
    const { result, release } = readBody(request, maxBodyBytes, room);
    response.once('close', release);
    void result.then((read) => {
      if (read.ok) return exchange(request, response, path, read.body, false);
      if (read.reason === 'too_large') return sendTooLarge(request, response);
      if (read.reason === 'no_room') return sendUnavailable(response);
      response.destroy();
    });
  };
}
