import { request } from 'node:http';
import { problemDocument } from '@countersign/protocol/problem';
import * as z from 'zod/mini';
import { errorText } from '../edge-server-error.ts';

export type WorkerHealth =
  | { readonly state: 'healthy' }
  /** No answer, or not yet the right one: it may become healthy. */
  | { readonly state: 'not_ready'; readonly detail: string }
  /** The broker runs and refuses to serve with these settings. */
  | { readonly state: 'refused'; readonly code: string; readonly detail: string };

const healthAnswer = z.object({ status: z.literal('ok') });
const maxAnswerBytes = 16 * 1024;
const answerTimeoutMs = 5_000;

function judge(status: number, body: string): WorkerHealth {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { state: 'not_ready', detail: `/healthz answered ${status} without JSON` };
  }
  if (status === 200 && z.safeParse(healthAnswer, json).success) return { state: 'healthy' };
  const problem = z.safeParse(problemDocument, json);
  if (!problem.success) return { state: 'not_ready', detail: `/healthz answered ${status}` };
  const { code, title, detail, field } = problem.data;
  const about = [field, detail ?? title].filter((text) => text !== undefined).join(': ');
  return code === 'deployment_mismatch' || code === 'configuration_invalid'
    ? { state: 'refused', code, detail: about }
    : { state: 'not_ready', detail: `${code}: ${about}` };
}

/** Asks the broker behind the socket how it is. Never throws. */
export function askHealth(socket: string): Promise<WorkerHealth> {
  return new Promise((resolve) => {
    const notReady = (error: unknown) => resolve({ state: 'not_ready', detail: errorText(error) });
    const question = request(
      { socketPath: socket, path: '/healthz', agent: false, timeout: answerTimeoutMs },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > maxAnswerBytes) answer.destroy(new Error('/healthz is too long'));
        });
        answer.on('end', () => resolve(judge(answer.statusCode ?? 0, body)));
        answer.on('error', notReady);
      },
    );
    question.on('timeout', () => question.destroy(new Error('/healthz did not answer in time')));
    question.on('error', notReady);
    question.end();
  });
}
