import { maxHttpBodyBytes } from '@countersign/protocol/limits';
import { type ProblemDocument, problemDocument } from '@countersign/protocol/problem';
import { parseFields } from '@countersign/protocol/schemas';
import { type Failure, fail, type Result, succeed } from '../result.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import { traceBrokerCall } from './broker-call-trace.ts';
import { trustSystemAuthorities } from './trust-system-authorities.ts';

export type BrokerCall = {
  /** As `parseBrokerUrl` gives it. */
  readonly brokerUrl: string;
  readonly method: 'GET' | 'POST';
  /** Begins with a slash. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  /** For the whole call, answer included. */
  readonly timeoutMs: number;
};

/** The broker understood and said no. */
export type BrokerRefusal = Failure<'broker_refused'> & { readonly problem: ProblemDocument };
export type BrokerAnswer =
  | Result<unknown, 'broker_unreachable' | 'broker_answer_malformed'>
  | BrokerRefusal;

/** One call to the broker, which whoever looks for a fault can follow. */
export async function callBroker(call: BrokerCall): Promise<BrokerAnswer> {
  const beganMs = performance.now();
  const answer = await send(call);
  const refusal = !answer.ok && answer.reason === 'broker_refused' ? answer.problem : undefined;
  traceBrokerCall({
    method: call.method,
    url: `${call.brokerUrl}${call.path}`,
    tookMs: Math.round(performance.now() - beganMs),
    result: answer.ok
      ? 'answered'
      : refusal === undefined
        ? answer.detail
        : `${refusal.status} ${refusal.code}`,
    isRefused: !answer.ok,
  });
  return answer;
}

/** A time limit, a size limit, and no redirect, which could lead anywhere. */
async function send(call: BrokerCall): Promise<BrokerAnswer> {
  const where = `${call.brokerUrl}${call.path}`;
  let status: number;
  let bytes: Uint8Array | undefined;
  try {
    if (call.brokerUrl.startsWith('https:')) await trustSystemAuthorities();
    const response = await fetch(where, {
      method: call.method,
      headers: {
        accept: 'application/json, application/problem+json',
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      redirect: 'manual',
      signal: AbortSignal.timeout(call.timeoutMs),
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
    status = response.status;
    bytes = await readLimited(response);
  } catch (error) {
    return fail('broker_unreachable', `${where}: ${describeFetchError(error)}`);
  }
  const malformed = (detail: string) => fail('broker_answer_malformed', `${where}: ${detail}`);
  if (bytes === undefined) return malformed(`answered more than ${maxHttpBodyBytes} bytes`);
  if (status >= 300 && status < 400) {
    return malformed(`answered with a redirect (${status}), which is not followed`);
  }
  const json = parseStrictJsonBytes(bytes);
  if (status >= 200 && status < 300) {
    return json.ok ? succeed(json.value) : malformed(`its answer ${json.detail}`);
  }
  const problem = json.ok ? parseFields(problemDocument, json.value) : json;
  if (problem.ok) {
    const { title, detail } = problem.value;
    return {
      ...fail('broker_refused', detail === undefined ? title : `${title}: ${detail}`),
      problem: problem.value,
    };
  }
  return status >= 500
    ? fail('broker_unreachable', `${where}: answered ${status}`)
    : malformed(`answered ${status} without a problem document`);
}

/** The body, or `undefined` when it is longer than a message of the protocol may be. */
async function readLimited(response: Response): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > maxHttpBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function describeFetchError(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  if (cause instanceof Error) {
    return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
  }
  return error.message;
}
