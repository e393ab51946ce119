import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorText } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import type { AnswerHead } from './answer-parser.ts';
import { BodyRoom } from './body-room.ts';
import type { ClientFacts } from './client-facts.ts';
import { declaresTooMuch, readBody } from './read-body.ts';
import type { RequestGate } from './request-gate.ts';
import { requestHead } from './request-head.ts';
import { headersForClient, headersForWorkerd } from './request-headers.ts';
import { requestIdOf, sendProblem } from './send-problem.ts';
import type {
  AnswerFailure,
  AnswerReceiver,
  Exchange,
  WorkerdConnections,
} from './workerd-connections.ts';

/** Larger than anything that the broker accepts, so that its own limit and answer come first. */
const maxBodyBytes = 1024 * 1024;
/** Groups and directories are sent whole; no sign-in waits for the room that they take. */
const maxAdministrationBodyBytes = 25 * 1024 * 1024;
const maxBodiesBytes = 64 * 1024 * 1024;

/** Addresses at which administrators and directories are heard. */
const isAdministration = (path: string | undefined): boolean =>
  path !== undefined && /^\/(v1\/admin|scim)\//.test(path);
const lingerMs = 3_000;

export type Upstream = {
  readonly connections: Pick<WorkerdConnections, 'send'>;
  readonly gate: RequestGate;
  readonly isReady: () => boolean;
  readonly log: Log;
};

const startingAgain = 'The broker is being started again.';
const replacing =
  'The broker is being started with other settings, which takes longer than it should.';
/** For the log, and for the client. */
const answerFailures = {
  timed_out: ['the broker did not answer in time', 'The broker did not answer in time.'],
  malformed: ['the broker answered no HTTP', 'The broker did not answer properly.'],
} as const;

function sendUnavailable(response: ServerResponse, detail: string, requestId?: string): void {
  sendProblem(response, 503, 'storage_unavailable', detail, {
    'Retry-After': '1',
    ...(requestId === undefined ? {} : { 'X-Request-ID': requestId }),
  });
}

function sendMalformed(response: ServerResponse, detail: string): void {
  sendProblem(response, 400, 'field_invalid', detail, { Connection: 'close' });
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

/** `waitsForContinue`: the client sends its body only after it was told to (RFC 9110 section 10.1.1). */
export type Forwarder = (
  request: IncomingMessage,
  response: ServerResponse,
  waitsForContinue: boolean,
) => void;

/** Passes requests of one listener on to workerd, and its answers back. */
export function createForwarder(
  upstream: Upstream,
  protocol: 'http' | 'https',
  clientFacts: ClientFacts,
): Forwarder {
  const ordinary = { maxBytes: maxBodyBytes, room: new BodyRoom(maxBodiesBytes) };
  const administration = {
    maxBytes: maxAdministrationBodyBytes,
    room: new BodyRoom(maxBodiesBytes),
  };

  /** A fault of this program: it costs this one request its answer, and no other. */
  const fail = (request: IncomingMessage, response: ServerResponse, error: unknown) => {
    try {
      const requestId = requestIdOf(request);
      upstream.log.write(
        'error',
        'request_failed',
        `the front failed at a request (${errorText(error)})`,
        { request_id: requestId },
      );
      request.resume();
      sendUnavailable(response, 'The front failed; its log has the cause.', requestId);
    } catch {
      response.destroy();
    }
  };

  const refuseAnswer = (response: ServerResponse, failure: AnswerFailure) => {
    if (response.destroyed) return;
    if (failure !== 'timed_out' && failure !== 'malformed') {
      sendUnavailable(response, startingAgain);
      return;
    }
    const requestId = requestIdOf(response.req);
    const [message, detail] = answerFailures[failure];
    upstream.log.write('error', 'answer_failed', message, { failure, request_id: requestId });
    sendUnavailable(response, detail, requestId);
  };

  const exchange = (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    body: Buffer | undefined,
  ) => {
    const { method = 'GET' } = request;
    const head = requestHead(
      method,
      path,
      headersForWorkerd(request.rawHeaders, request.headers.connection, {
        cfBlob: clientFacts(request),
        protocol,
        bodyLength: body?.length,
      }),
    );
    if (head === undefined)
      return sendMalformed(
        response,
        'The request line or a header holds a character that cannot be passed on.',
      );
    const wire = { head, body, isHead: method === 'HEAD' };
    // The last part of an answer goes out together with its end, in one write.
    let part: Buffer | undefined;
    let current: Exchange | undefined;
    const leave = upstream.gate.enter();
    const guarded =
      <Input extends unknown[]>(action: (...input: Input) => unknown) =>
      (...input: Input): boolean => {
        try {
          return action(...input) !== false;
        } catch (error) {
          current?.abandon();
          fail(request, response, error);
          return true;
        }
      };
    const receiver: AnswerReceiver = {
      onHead: guarded(({ status, rawHeaders }: AnswerHead) => {
        response.writeHead(status, headersForClient(rawHeaders));
      }),
      onData: guarded((data: Buffer) => {
        if (part !== undefined) response.write(part);
        part = data;
      }),
      onPart: guarded(() => {
        const isEnough = part !== undefined && !response.write(part);
        part = undefined;
        return !isEnough;
      }),
      onEnd: guarded(() => {
        leave();
        response.end(part);
      }),
      onFailure: guarded((failure: AnswerFailure) => {
        const mayAskAgain = failure === 'stale_connection' && isSafe(method);
        const isUnanswered = !response.destroyed && !response.headersSent;
        if (mayAskAgain && isUnanswered && upstream.isReady()) {
          // The connection was one of an earlier workerd, or had been closed while it was idle.
          current = upstream.connections.send(wire, receiver, true);
        } else {
          leave();
          refuseAnswer(response, failure);
        }
      }),
    };
    response.on('drain', () => current?.resume());
    response.once('close', () => {
      current?.abandon();
      leave();
    });
    current = upstream.connections.send(wire, receiver);
  };

  const handle = async (
    request: IncomingMessage,
    response: ServerResponse,
    waitsForContinue: boolean,
  ) => {
    const path = originForm(request);
    const { maxBytes, room } = isAdministration(path) ? administration : ordinary;
    if (declaresTooMuch(request, maxBytes)) return sendTooLarge(request, response);
    if (path === undefined || !hasOneHost(request)) {
      return sendMalformed(response, 'The request must name a path and exactly one Host.');
    }
    if (!upstream.isReady() && !upstream.gate.isHolding) {
      request.resume();
      return sendUnavailable(response, startingAgain);
    }
    if (waitsForContinue) response.writeContinue();
    const { result, release } = readBody(request, maxBytes, room);
    response.once('close', release);
    const read = await result;
    if (read.ok) {
      if (upstream.gate.isHolding && !(await upstream.gate.wait(response))) {
        return response.destroyed ? undefined : sendUnavailable(response, replacing);
      }
      return exchange(request, response, path, read.body);
    }
    if (read.reason === 'too_large') return sendTooLarge(request, response);
    if (read.reason === 'no_room') return sendNoRoom(request, response);
    response.destroy();
  };

  return (request, response, waitsForContinue) => {
    const failed = (error: unknown) => fail(request, response, error);
    response.on('error', failed);
    handle(request, response, waitsForContinue).catch(failed);
  };
}
