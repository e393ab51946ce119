import type { IncomingMessage, ServerResponse } from 'node:http';
import { BodyRoom } from './body-room.ts';
import { cfBlobOf } from './client-facts.ts';
import { declaresTooMuch, readBody } from './read-body.ts';
import { headersForClient, headersForWorkerd } from './request-headers.ts';
import { sendProblem } from './send-problem.ts';
import type { AnswerReceiver, Exchange, WorkerdConnections } from './workerd-connections.ts';

/** Larger than anything that the broker accepts, so that its own limit and answer come first. */
const maxBodyBytes = 1024 * 1024;
const maxBodiesBytes = 64 * 1024 * 1024;
const lingerMs = 3_000;
const lineBreak = /[\r\n\0]/;

export type Upstream = {
  readonly connections: WorkerdConnections;
  readonly isReady: () => boolean;
};

function sendUnavailable(
  response: ServerResponse,
  detail = 'The broker is being started again.',
): void {
  sendProblem(response, 503, 'storage_unavailable', detail, { 'Retry-After': '1' });
}

/**
 * Ends the answer and closes the connection. What the client still sends is read and thrown away for a while: closing
 * with unread data would reset the connection, and the client might never see the answer.
 */
function endAndClose(request: IncomingMessage, response: ServerResponse): void {
  const deadline = setTimeout(() => response.end(), lingerMs);
  const end = () => {
    clearTimeout(deadline);
    response.end();
  };
  request.once('end', end);
  request.once('close', end);
  request.resume();
}

function sendTooLarge(request: IncomingMessage, response: ServerResponse): void {
  const detail = 'The front takes 1 MiB at most.';
  sendProblem(response, 413, 'body_too_large', detail, { Connection: 'close' }, () =>
    endAndClose(request, response),
  );
}

/** There is no memory for this body, or it has been coming for so long that it gave way to others. */
function sendNoRoom(request: IncomingMessage, response: ServerResponse): void {
  const detail = 'The front holds as many request bodies as it can. Send this one again, faster.';
  const headers = { 'Retry-After': '1', Connection: 'close' };
  sendProblem(response, 503, 'storage_unavailable', detail, headers, () =>
    endAndClose(request, response),
  );
}

/**
 * Path and query, or `undefined` for the forms of other uses (RFC 9112 section 3.2: proxies, CONNECT, OPTIONS *) and for
 * anything but visible ASCII, which would not reach the broker as it came.
 */
function originForm(request: IncomingMessage): string | undefined {
  const { url = '' } = request;
  return /^\/[\x21-\x7e]*$/.test(url) ? url : undefined;
}

const hostCharacters = /^[\w.:[\]-]+$/;

/**
 * Two Host fields could be read differently here and there; RFC 9112 section 3.2 wants them refused, and one that is
 * not a host (RFC 9110 section 7.2), of which workerd can make no URL.
 */
function hasOneHost(request: IncomingMessage): boolean {
  let host: string | undefined;
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index];
    if (name?.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (host !== undefined) return false;
    host = request.rawHeaders[index + 1] ?? '';
  }
  return host !== undefined && hostCharacters.test(host) && URL.canParse(`http://${host}/`);
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The parser of Node has refused line ends inside of these; that they cannot add a header is checked here once more. */
function requestHead(method: string, path: string, headers: readonly string[]): string {
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const line = `${headers[index]}: ${headers[index + 1]}`;
    if (lineBreak.test(line)) throw new Error('a header holds a line break');
    head += `${line}\r\n`;
  }
  return `${head}\r\n`;
}

/** `waitsForContinue`: the client sends its body only after it was told to (RFC 9110 section 10.1.1). */
export type Forwarder = (
  request: IncomingMessage,
  response: ServerResponse,
  waitsForContinue: boolean,
) => void;

/** Passes requests of one listener on to workerd, and its answers back. */
export function createForwarder(upstream: Upstream, protocol: 'http' | 'https'): Forwarder {
  const room = new BodyRoom(maxBodiesBytes);

  const exchange = (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    body: Buffer | undefined,
  ) => {
    const { method = 'GET' } = request;
    const wire = {
      head: requestHead(
        method,
        path,
        headersForWorkerd(request.rawHeaders, request.headers.connection, {
          cfBlob: cfBlobOf(request.socket),
          protocol,
          bodyLength: body?.length,
        }),
      ),
      body,
      isHead: method === 'HEAD',
    };
    // The last part of an answer goes out together with its end, in one write.
    let part: Buffer | undefined;
    let current: Exchange | undefined;
    const receiver: AnswerReceiver = {
      onHead: ({ status, rawHeaders }) => response.writeHead(status, headersForClient(rawHeaders)),
      onData: (data) => {
        if (part !== undefined) response.write(part);
        part = data;
      },
      onPart: () => {
        const isEnough = part !== undefined && !response.write(part);
        part = undefined;
        return !isEnough;
      },
      onEnd: () => response.end(part),
      onFailure: (failure) => {
        if (response.destroyed || response.headersSent) response.destroy();
        else if (failure === 'stale_connection' && isSafe(method) && upstream.isReady()) {
          // The connection was one of an earlier workerd, or had been closed while it was idle.
          current = upstream.connections.send(wire, receiver, true);
        } else if (failure === 'timed_out') {
          sendUnavailable(response, 'The broker did not answer in time.');
        } else sendUnavailable(response);
      },
    };
    response.on('drain', () => current?.resume());
    response.once('close', () => current?.abandon());
    current = upstream.connections.send(wire, receiver);
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
      if (read.ok) return exchange(request, response, path, read.body);
      if (read.reason === 'too_large') return sendTooLarge(request, response);
      if (read.reason === 'no_room') return sendNoRoom(request, response);
      response.destroy();
    });
  };
}
