import { problemCodes } from '@countersign/protocol';
import { problemDocument } from '@countersign/protocol/problem';
import { parseFields } from '@countersign/protocol/schemas';
import type { Authorize } from './client-authentication.ts';
import { CountersignError } from './countersign-error.ts';

export type BrokerConnection = {
  /** Origin that requests are sent to. */
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly authorize: Authorize;
};

const maxAnswerBytes = 64 * 1024;
const pauseBeforeRetryMs = 100;

/**
 * POSTs `body` and returns the JSON of a 200. Throws `CountersignError` for everything else.
 *
 * A network failure or a 503 is tried once more within the same deadline. The broker answers a repeated request from
 * its record, by the hash of its body; so both attempts send exactly the same bytes, and an answer that was lost on its
 * way is not lost.
 */
export async function callBroker(
  connection: BrokerConnection,
  path: string,
  body: string,
  deadline: AbortSignal,
  requestId: string,
): Promise<unknown> {
  const attempt = () => post(connection, path, body, deadline, requestId);
  let outcome = await attempt();
  if (isWorthRetrying(outcome) && !deadline.aborted) {
    await pause(pauseBeforeRetryMs, deadline);
    if (!deadline.aborted) outcome = await attempt();
  }
  if ('networkFailure' in outcome) {
    const code = deadline.aborted ? 'broker_timeout' : 'broker_unreachable';
    throw new CountersignError(code, { cause: outcome.networkFailure, requestId });
  }
  return readAnswer(outcome, requestId);
}

type Outcome =
  | { readonly status: number; readonly text: string | undefined }
  | { readonly networkFailure: unknown };

const isWorthRetrying = (outcome: Outcome) => 'networkFailure' in outcome || outcome.status === 503;

async function post(
  { url, fetch, authorize }: BrokerConnection,
  path: string,
  body: string,
  deadline: AbortSignal,
  requestId: string,
): Promise<Outcome> {
  const authorization = await authorize();
  try {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: {
        Accept: 'application/json',
        Authorization: authorization,
        'Content-Type': 'application/json',
        'X-Request-ID': requestId,
      },
      body,
      // A redirect would carry the secret elsewhere; it ends as an answer that is not understood.
      redirect: 'manual',
      signal: deadline,
    });
    return { status: response.status, text: await readCapped(response) };
  } catch (networkFailure) {
    return { networkFailure };
  }
}

/** The body as text; `undefined` when it is longer than any answer of the broker. */
export async function readCapped(response: Response): Promise<string | undefined> {
  if (response.body === null) return '';
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > maxAnswerBytes) {
      await reader.cancel();
      return undefined;
    }
    text += decoder.decode(value, { stream: true });
  }
}

function readAnswer(
  { status, text }: { status: number; text: string | undefined },
  requestId: string,
): unknown {
  const answer = parseJson(text);
  if (answer.ok && status === 200) return answer.value;
  const problem = answer.ok ? parseFields(problemDocument, answer.value) : answer;
  const code = problem.ok
    ? problemCodes.find((known) => status >= 400 && known === problem.value.code)
    : undefined;
  if (!problem.ok || code === undefined) {
    throw new CountersignError('broker_answer_malformed', {
      status,
      requestId,
      detail: `status ${status}`,
    });
  }
  const { detail, field, user_text: userText } = problem.value;
  throw new CountersignError(code, { status, requestId, detail, field, userText });
}

function parseJson(text: string | undefined): { ok: true; value: unknown } | { ok: false } {
  try {
    return text === undefined ? { ok: false } : { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false };
  }
}

function pause(ms: number, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      deadline.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    deadline.addEventListener('abort', end);
  });
}
