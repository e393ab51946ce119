import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ProblemCode } from '@countersign/protocol';
import type { ProblemDocument } from '@countersign/protocol/problem';
import { reasonTexts } from '@countersign/protocol/reason-texts';

/** The caller's own where it is harmless in a log, as the broker does it. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\x20-\x7e]{1,256}$/.test(given) ? given : randomUUID();
}

/**
 * Refuses a request in the front itself, in the same form as the broker does (RFC 9457).
 *
 * @param endLater ends the response in place of this function, which has then written all of it
 */
export function sendProblem(
  response: ServerResponse,
  status: number,
  code: ProblemCode,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  endLater?: () => void,
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { administrator, person } = reasonTexts[code];
  const problem: ProblemDocument = {
    type: `urn:countersign:problem:${code}`,
    title: administrator,
    status,
    code,
    user_text: person,
    detail,
  };
  const body = JSON.stringify(problem);
  response.writeHead(status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'X-Request-ID': requestIdOf(response.req),
    ...headers,
  });
  if (response.req.method !== 'HEAD') response.write(body);
  if (endLater === undefined) response.end();
  else endLater();
}
