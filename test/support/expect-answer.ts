import type { DecisionReason, ProblemCode } from '@countersign/protocol';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import { type ProblemDocument, problemDocument } from '@countersign/protocol/problem';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { expect } from 'vitest';

/** What every answer of the broker carries, refusals of any kind included. */
export function expectStandardHeaders(response: Response): void {
  expect({
    cache: response.headers.get('Cache-Control'),
    sniffing: response.headers.get('X-Content-Type-Options'),
    referrer: response.headers.get('Referrer-Policy'),
    requestId: response.headers.get('X-Request-ID'),
  }).toEqual({
    cache: 'no-store',
    sniffing: 'nosniff',
    referrer: 'no-referrer',
    requestId: expect.stringMatching(/^[\x20-\x7e]{1,256}$/),
  });
}

/** A problem document (RFC 9457) with this status and code, as readable by machines as by people. */
export async function expectProblem(
  response: Response,
  status: number,
  code: ProblemCode,
  field?: string,
): Promise<ProblemDocument> {
  const text = await response.text();
  expect(text, `${response.status} of ${response.url}`).toContain(`"code":"${code}"`);
  expectStandardHeaders(response);
  expect(response.headers.get('Content-Type')).toBe('application/problem+json');
  const problem = problemDocument.parse(JSON.parse(text));
  expect(problem).toMatchObject({
    type: `urn:countersign:problem:${code}`,
    title: reasonTexts[code].administrator,
    status,
    code,
    user_text: reasonTexts[code].person,
  });
  expect(problem.field).toBe(field);
  expect(response.status).toBe(status);
  return problem;
}

/** A decision against the device, with its reason. */
export function expectDenied(answer: EvaluationAnswer, reason: DecisionReason): void {
  expect({
    decision: answer.decision,
    trusted: answer.context.device_trusted,
    reason: answer.context.reason_code,
  }).toEqual({ decision: false, trusted: false, reason });
  expect(answer.context.reason_user.en).toBe(reasonTexts[reason].person);
  expect(answer.context.reason_admin.en).toBe(reasonTexts[reason].administrator);
}

export function expectTrusted(answer: EvaluationAnswer): void {
  expect({
    decision: answer.decision,
    trusted: answer.context.device_trusted,
    reason: answer.context.reason_code,
  }).toEqual({ decision: true, trusted: true, reason: 'trusted_device' });
}

/** The body of a decision, whatever it decided; a decision is always 200. */
export async function readDecision(response: Response): Promise<EvaluationAnswer> {
  const text = await response.text();
  expect(response.status, text).toBe(200);
  expectStandardHeaders(response);
  return evaluationAnswer.parse(JSON.parse(text));
}
