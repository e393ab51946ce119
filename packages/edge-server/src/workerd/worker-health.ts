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

/** Nothing of these mends itself. */
const refusals: readonly string[] = [
  'deployment_mismatch',
  'configuration_invalid',
  'import_incomplete',
];

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
  return refusals.includes(code)
    ? { state: 'refused', code, detail: about }
    : { state: 'not_ready', detail: `${code}: ${about}` };
}

type HealthzAnswer =
  | { readonly ok: true; readonly status: number; readonly body: string }
  | { readonly ok: false; readonly detail: string };

/** @param timeoutMs for the whole answer */
function getHealthz(
  socket: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<HealthzAnswer> {
  return new Promise((resolve) => {
    const finish = (answer: HealthzAnswer) => {
      clearTimeout(deadline);
      resolve(answer);
    };
    const fail = (error: unknown) => finish({ ok: false, detail: errorText(error) });
    const question = request(
      {
        socketPath: socket,
        path: '/healthz',
        agent: false,
        ...(signal === undefined ? {} : { signal }),
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          // One that is cut off here is no JSON.
          if (body.length < maxAnswerBytes) body += chunk;
        });
        answer.on('end', () => finish({ ok: true, status: answer.statusCode ?? 0, body }));
        answer.on('error', fail);
      },
    );
    const deadline = setTimeout(() => {
      const late = new Error('/healthz did not answer in time');
      fail(late);
      question.destroy(late);
    }, timeoutMs);
    deadline.unref();
    question.on('error', fail);
    question.end();
  });
}

/** Asks the broker behind the socket how it is. Never throws. */
export async function askHealth(socket: string): Promise<WorkerHealth> {
  const answer = await getHealthz(socket, answerTimeoutMs);
  return answer.ok
    ? judge(answer.status, answer.body)
    : { state: 'not_ready', detail: answer.detail };
}

/** Whether there is any complete HTTP answer, whatever it says. Never throws. */
export async function answersHealthz(
  socket: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  return (await getHealthz(socket, timeoutMs, signal)).ok;
}
