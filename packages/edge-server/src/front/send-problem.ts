import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { ProblemCode } from '@countersign/protocol';
import type { ProblemDocument } from '@countersign/protocol/problem';
import { reasonTexts } from '@countersign/protocol/reason-texts';

/**
 * Refuses a request in the front itself, in the same form as the broker does (RFC 9457).
 *
 * @param endLater ends the response in place of this function, which has then written all of it
 */
export function sendProblem(
  response: ServerResponse,
  status: number,
  code: ProblemCode,
  title: string,
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
    title,
    status,
    code,
    detail: administrator,
    user_text: person,
  };
  const body = JSON.stringify(problem);
  response.writeHead(status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'X-Request-ID': randomUUID(),
    ...headers,
  });
  if (response.req.method !== 'HEAD') response.write(body);
  if (endLater === undefined) response.end();
  else endLater();
}
