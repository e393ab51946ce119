import { parseFields } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';
import { readAtMost } from '../read-at-most.ts';

/** Requests to a device management, with limits on everything that it could do to the broker. */

export const requestTimeoutMs = 10_000;
const maxAnswerBytes = 8 * 1024 * 1024;
const maxRetryAfterSeconds = 3600;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Why the management gave no usable answer. */
export type MdmFailureReason =
  | 'unreachable'
  | 'timed_out'
  | 'rate_limited'
  | 'server_failed'
  | 'credentials_refused'
  | 'permission_missing'
  | 'redirected'
  | 'answer_malformed'
  | 'answer_too_large'
  | 'refused';

export type MdmFailure = {
  readonly ok: false;
  readonly reason: MdmFailureReason;
  /** For administrators; holds nothing secret. */
  readonly detail: string;
  readonly retryAfterSeconds?: number;
};

export type MdmResult<Value> = { readonly ok: true; readonly value: Value } | MdmFailure;

export type MdmRequest = {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

export function mdmFailure(
  reason: MdmFailureReason,
  detail: string,
  retryAfterSeconds?: number,
): MdmFailure {
  return {
    ok: false,
    reason,
    detail,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
export function readRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d{1,9}$/.test(header.trim())
    ? Number(header)
    : Math.ceil((Date.parse(header) - nowMs) / 1000);
  return Number.isFinite(seconds)
    ? Math.min(Math.max(seconds, 1), maxRetryAfterSeconds)
    : undefined;
}

async function readLimited(response: Response): Promise<Uint8Array | undefined> {
  if (response.body === null) return new Uint8Array(0);
  return await readAtMost(response.body, maxAnswerBytes);
}

function failureOf(response: Response, where: string, nowMs: number): MdmFailure | undefined {
  const { status } = response;
  const retryAfter = readRetryAfter(response.headers.get('Retry-After'), nowMs);
  if (status >= 300 && status < 400) {
    return mdmFailure('redirected', `${where} redirects (${status}), which is not followed`);
  }
  if (status === 429) {
    return mdmFailure('rate_limited', `${where} asks for fewer requests (429)`, retryAfter);
  }
  if (status >= 500) {
    return mdmFailure('server_failed', `${where} fails (${status})`, retryAfter);
  }
  if (status === 401)
    return mdmFailure('credentials_refused', `${where} refuses the credentials (401)`);
  if (status === 403) {
    return mdmFailure(
      'permission_missing',
      `${where} does not permit it to these credentials (403)`,
    );
  }
  return undefined;
}

export type MdmAnswer = { readonly status: number; readonly json: unknown };

/**
 * One request. Answers of 2xx, and of 4xx that may say more (400, 404, 409 and the like), come back as JSON; all others
 * are failures. Redirects are never followed.
 */
export async function askMdm(
  fetch: Fetch,
  url: string,
  { method = 'GET', headers = {}, body }: MdmRequest,
  nowMs: number,
): Promise<MdmResult<MdmAnswer>> {
  const { host, pathname } = new URL(url);
  const where = `${host}${pathname}`;
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), requestTimeoutMs);
  try {
    const response = await fetch(url, {
      method,
      headers: { Accept: 'application/json', ...headers },
      redirect: 'manual',
      signal: limit.signal,
      ...(body === undefined ? {} : { body }),
    });
    const failure = failureOf(response, where, nowMs);
    if (failure !== undefined) {
      await response.body?.cancel();
      return failure;
    }
    const bytes = await readLimited(response);
    if (bytes === undefined) {
      return mdmFailure('answer_too_large', `${where} answers more than ${maxAnswerBytes} bytes`);
    }
    return { ok: true, value: { status: response.status, json: parseJson(bytes) } };
  } catch {
    if (limit.signal.aborted) {
      return mdmFailure(
        'timed_out',
        `${where} does not answer within ${requestTimeoutMs / 1000} s`,
      );
    }
    return mdmFailure(
      'unreachable',
      `${host} cannot be reached, or its TLS certificate is not trusted`,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** `undefined` for what is no JSON. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** As `askMdm`, for an answer of 200 that has a shape. */
export async function askMdmFor<Schema extends z.core.$ZodType>(
  fetch: Fetch,
  url: string,
  request: MdmRequest,
  schema: Schema,
  nowMs: number,
): Promise<MdmResult<z.core.output<Schema>>> {
  const answer = await askMdm(fetch, url, request, nowMs);
  if (!answer.ok) return answer;
  return readMdmAnswer(url, answer.value, schema);
}

export function readMdmAnswer<Schema extends z.core.$ZodType>(
  url: string,
  { status, json }: MdmAnswer,
  schema: Schema,
): MdmResult<z.core.output<Schema>> {
  const { host, pathname } = new URL(url);
  if (status !== 200) {
    return mdmFailure('refused', `${host}${pathname} refuses the request (${status})`);
  }
  const parsed = parseFields(schema, json);
  return parsed.ok
    ? { ok: true, value: parsed.value }
    : mdmFailure(
        'answer_malformed',
        `${host}${pathname} does not answer as it should: ${parsed.field} ${parsed.detail}`,
      );
}
