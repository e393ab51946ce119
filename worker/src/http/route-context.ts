import { type Problem, problemResponse } from './problem.ts';
import { isScimPath, scimErrorResponse } from './scim-error.ts';

/** What a route needs beside the broker: the request, and a way to refuse it that also reaches the log. */
export type RouteContext = {
  readonly request: Request;
  readonly requestId: string;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly refuse: (problem: Problem) => Response;
  /** Path parameter by name, still percent-decoded text from outside. */
  readonly parameter: (name: string) => string;
};

/** One JSON line per event, without secrets, evidence or tokens. */
export function logEvent(event: string, fields: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ event, ...fields }));
}

/** A `refuse` that logs the rich side of a refusal and answers the generic one. */
export function refuseWithLog(request: Request, requestId: string) {
  return (problem: Problem): Response => {
    const path = new URL(request.url).pathname;
    logEvent('refused', {
      request_id: requestId,
      method: request.method,
      path,
      code: problem.code,
      field: problem.field,
      detail: problem.logDetail ?? problem.detail,
    });
    return isScimPath(path) ? scimErrorResponse(problem) : problemResponse(problem);
  };
}
