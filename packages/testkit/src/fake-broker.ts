import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { DecisionReason, ProblemCode } from '@countersign/protocol';
import { packEvidence, unpackEvidence } from '@countersign/protocol';
import { challengeAnswer, challengeRequest } from '@countersign/protocol/challenge';
import {
  completionRequest,
  type EvaluationAnswer,
  type EvaluationRequest,
  evaluationRequest,
} from '@countersign/protocol/evaluation';
import { challengeTtlSeconds } from '@countersign/protocol/limits';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { parseFields } from '@countersign/protocol/schemas';
import { type JWK, jwtVerify } from 'jose';
import { makeFakeBrokerKeys, sha256Text } from './fake-broker-keys.ts';
import { listenOnFreePort } from './listen-on-free-port.ts';

export type FakeBrokerSettings = {
  readonly clientId: string;
  /** Origins of the client's sign-in pages. */
  readonly origins: readonly string[];
  readonly application: string;
  readonly clientSecret?: string;
  /** Public keys, with `kid`, for `private_key_jwt`. */
  readonly clientKeys?: readonly JWK[];
  /** Milliseconds since 1970. */
  readonly now?: () => number;
};

export type ReceivedRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
};

export type FakeBroker = {
  readonly url: string;
  /** Everything that arrived, interrupted requests included, oldest first. */
  readonly requests: readonly ReceivedRequest[];
  /** Has the next request to `path` handled by `handler` instead; several calls queue up. */
  interruptNext(path: string, handler: Handler): void;
  /** What the extension of a managed browser would answer to this challenge. */
  respondAsManagedDevice(challenge: string): Promise<string>;
  /** Evidence as the page of a managed browser makes it, with a challenge from `POST /v1/challenges`. */
  attestAsManagedDevice(page: { origin: string; transaction: string }): Promise<string>;
  stop(): Promise<void>;
};

export type Handler = (received: ReceivedRequest, response: ServerResponse) => Promise<void> | void;

/**
 * A broker for tests of everything on the sign-in side: the real HTTP interface with real challenge and decision keys,
 * client authentication and answers from the record. Devices are not part of it: a response is only checked to be its
 * own `respondAsManagedDevice()`.
 */
export async function startFakeBroker(settings: FakeBrokerSettings): Promise<FakeBroker> {
  const { now = Date.now } = settings;
  const keys = await makeFakeBrokerKeys();
  const requests: ReceivedRequest[] = [];
  const interruptions: { path: string; handler: Handler }[] = [];
  const records = new Map<string, { clientBody: string; answer: EvaluationAnswer }>();
  const seenAssertions = new Set<string>();
  let decisions = 0;
  let url = '';

  const issueChallenge: Handler = async (received, response) => {
    const origin = received.headers.origin ?? '';
    const request = parseFields(challengeRequest, parseJson(received.body));
    if (!request.ok) return sendProblem(response, 400, 'field_invalid', request.field);
    if (request.value.client_id !== settings.clientId) {
      return sendProblem(response, 400, 'client_unknown');
    }
    if (!settings.origins.includes(origin)) {
      return sendProblem(response, 403, 'origin_not_registered');
    }
    const challenge = await keys.signChallenge({
      issuer: url,
      clientId: settings.clientId,
      transaction: request.value.transaction,
      origins: [...settings.origins],
      nowSeconds: Math.floor(now() / 1000),
    });
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Vary', 'Origin');
    sendJson(response, 200, { challenge, expires_in_seconds: challengeTtlSeconds });
  };

  const isClient = async (authorization: string): Promise<boolean> => {
    const { clientId, clientSecret, clientKeys = [] } = settings;
    if (clientSecret !== undefined) {
      return authorization === `Basic ${btoa(`${clientId}:${clientSecret}`)}`;
    }
    try {
      const { payload } = await jwtVerify(
        authorization.replace('Bearer ', ''),
        (header) => clientKeys.find((key) => key.kid === header.kid) ?? new Uint8Array(),
        { issuer: clientId, subject: clientId, audience: url, algorithms: ['ES256'] },
      );
      const { iat = 0, exp = 0, jti = '' } = payload;
      const isFresh = exp - iat <= 300 && jti !== '' && !seenAssertions.has(jti);
      seenAssertions.add(jti);
      return isFresh;
    } catch {
      return false;
    }
  };

  const evaluate: Handler = async (received, response) => {
    if (!(await isClient(received.headers.authorization ?? ''))) {
      return sendProblem(response, 401, 'client_authentication_failed');
    }
    const request = parseFields(evaluationRequest, parseJson(received.body));
    if (!request.ok) return sendProblem(response, 400, 'field_invalid', request.field);
    sendJson(response, 200, await decide(request.value, received.body));
  };

  /** Nothing is ever pending here. */
  const complete: Handler = async (received, response) => {
    const request = parseFields(completionRequest, parseJson(received.body));
    if (!request.ok) return sendProblem(response, 400, 'field_invalid', request.field);
    sendJson(response, 200, await answerWith('not_pending', request.value));
  };

  const decide = async (
    request: EvaluationRequest,
    clientBody: string,
  ): Promise<EvaluationAnswer> => {
    const parts = unpackEvidence(request.context.evidence ?? '');
    const challenge = parts && (await keys.openChallenge(parts.unverifiedChallenge));
    const isOurs =
      challenge?.client_id === settings.clientId &&
      challenge.transaction_hash === sha256Text(request.context.transaction);
    if (parts === undefined || challenge === undefined || !isOurs) {
      const missing = request.context.evidence === undefined;
      return answerWith(missing ? 'evidence_missing' : 'challenge_wrong_transaction', request);
    }
    const record = records.get(challenge.jti);
    if (record !== undefined) {
      if (record.clientBody === clientBody) return record.answer;
      return answerWith('challenge_already_used', request);
    }
    const response = parts.unverifiedResponse;
    const isTrusted = response !== undefined && (await keys.isResponseTo(response, challenge.jti));
    const refusal = parts.reportedUnavailable ?? 'response_undecryptable';
    const answer = await answerWith(isTrusted ? 'trusted_device' : refusal, request, true);
    records.set(challenge.jti, { clientBody, answer });
    return answer;
  };

  const answerWith = async (
    reason: DecisionReason,
    request: EvaluationRequest,
    isOpened = false,
  ): Promise<EvaluationAnswer> => {
    const isTrusted = reason === 'trusted_device';
    decisions += 1;
    const decisionId = `0.${decisions}`;
    const token = await keys.signDecisionToken({
      iss: url,
      aud: settings.clientId,
      sub: request.subject.id,
      iat: Math.floor(now() / 1000),
      application: request.resource.id,
      action: request.action.name,
      transaction_hash: sha256Text(request.context.transaction),
      decision: isTrusted,
      reason_code: reason,
      device_trusted: isTrusted,
      decision_id: decisionId,
    });
    return {
      decision: isTrusted,
      context: {
        reason_code: reason,
        reason_admin: { en: reasonTexts[reason].administrator },
        reason_user: { en: reasonTexts[reason].person },
        decision_id: decisionId,
        policy: { version: 1, rule: isTrusted ? 'allow' : 'default_deny' },
        device_trusted: isTrusted,
        ...(isOpened ? { decision_token: token } : {}),
      },
    };
  };

  const routes: Record<string, Handler> = {
    'POST /v1/challenges': issueChallenge,
    'POST /access/v1/evaluation': evaluate,
    'POST /v1/completions': complete,
    'GET /.well-known/jwks.json': (_, response) => sendJson(response, 200, keys.jwks),
  };

  const server = createServer((request, response) => {
    void readBody(request).then(async (body) => {
      const { method = '', headers } = request;
      const path = request.url ?? '';
      const received = { method, path, headers, body };
      requests.push(received);
      const next = interruptions.findIndex((interruption) => interruption.path === path);
      const [interruption] = next === -1 ? [] : interruptions.splice(next, 1);
      response.setHeader('X-Request-ID', headers['x-request-id'] ?? 'none');
      const handler = interruption?.handler ?? routes[`${method} ${path}`];
      if (handler === undefined) return sendProblem(response, 404, 'not_found');
      await handler(received, response);
    });
  });
  url = `http://127.0.0.1:${await listenOnFreePort(server)}`;

  const respondAsManagedDevice = async (challenge: string) => {
    const claims = await keys.openChallenge(challenge);
    if (claims === undefined) throw new Error('not a challenge of this broker');
    return keys.makeResponse(claims.jti);
  };

  return {
    url,
    requests,
    interruptNext: (path, handler) => interruptions.push({ path, handler }),
    respondAsManagedDevice,
    attestAsManagedDevice: async ({ origin, transaction }) => {
      const answer = await fetch(`${url}/v1/challenges`, {
        method: 'POST',
        headers: { Origin: origin, 'Content-Type': 'text/plain' },
        body: JSON.stringify({ client_id: settings.clientId, transaction }),
      });
      const { challenge } = challengeAnswer.parse(await answer.json());
      return packEvidence({
        unverifiedChallenge: challenge,
        unverifiedResponse: await respondAsManagedDevice(challenge),
      });
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(value));
}

/** Sends an RFC 9457 problem document. */
export function sendProblem(
  response: ServerResponse,
  status: number,
  code: ProblemCode,
  field?: string,
): void {
  response.writeHead(status, { 'Content-Type': 'application/problem+json' });
  const title = code.replaceAll('_', ' ');
  const userText = reasonTexts[code].person;
  response.end(
    JSON.stringify({ type: 'about:blank', title, status, code, field, user_text: userText }),
  );
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
