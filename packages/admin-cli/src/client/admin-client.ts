import { randomUUID } from 'node:crypto';
import { type ProblemDocument, problemDocument } from '@countersign/protocol/problem';
import { parseFields } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';

/** The broker said no. */
export class BrokerRefusal extends Error {
  readonly problem: ProblemDocument;
  readonly worthRetrying: boolean;

  constructor(problem: ProblemDocument) {
    super(problem.detail === undefined ? problem.title : `${problem.title} ${problem.detail}`);
    this.problem = problem;
    this.worthRetrying = problem.status === 429 || problem.status === 503;
  }
}

/** There was no answer of a broker. */
export class BrokerUnreachable extends Error {}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export type AdminClientOptions = {
  /** Origin, without a slash at its end. */
  readonly brokerUrl: string;
  readonly token: string;
  readonly fetch?: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
};

type Sent = { readonly body?: unknown; readonly contentType?: string };

const timeoutMs = 60_000;
const tries = 3;
const mostWaitedMs = 5_000;

/**
 * Asks the admin API. What got no answer is asked again a few times: a question and a PUT can be, and a POST carries
 * an `Idempotency-Key`, so that it happens once.
 */
export class AdminClient {
  readonly brokerUrl: string;
  readonly #options: AdminClientOptions;

  constructor(options: AdminClientOptions) {
    this.#options = options;
    this.brokerUrl = options.brokerUrl;
  }

  /** @throws BrokerRefusal, BrokerUnreachable */
  async ask<Schema extends z.ZodMiniType>(
    method: Method,
    path: string,
    schema: Schema,
    sent: Sent = {},
  ): Promise<z.infer<Schema>> {
    const response = await this.send(method, path, sent);
    const text = await response.text();
    const parsed = parseFields(schema, parseJson(text));
    if (parsed.ok) return parsed.value;
    throw new BrokerUnreachable(
      `${this.brokerUrl}${path} answered something else than it should: ${parsed.field} ${parsed.detail}`,
    );
  }

  get<Schema extends z.ZodMiniType>(path: string, schema: Schema): Promise<z.infer<Schema>> {
    return this.ask('GET', path, schema);
  }

  /** The answer as it comes, once it is a success. */
  async send(method: Method, path: string, sent: Sent = {}): Promise<Response> {
    const key = randomUUID();
    for (let left = tries - 1; ; left--) {
      try {
        return await this.#sendOnce(method, path, sent, key);
      } catch (error) {
        const mayRetry =
          error instanceof BrokerUnreachable ||
          (error instanceof BrokerRefusal && error.problem.code === 'storage_unavailable');
        if (!mayRetry || left <= 0 || method === 'DELETE') throw error;
        await this.#options.sleep(Math.min(mostWaitedMs, 500 * 2 ** (tries - 1 - left)));
      }
    }
  }

  async #sendOnce(method: Method, path: string, sent: Sent, key: string): Promise<Response> {
    const { body, contentType = 'application/json' } = sent;
    const where = `${this.brokerUrl}${path}`;
    const fetchIt = this.#options.fetch ?? fetch;
    let response: Response;
    try {
      response = await fetchIt(where, {
        method,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          Authorization: `Bearer ${this.#options.token}`,
          Accept: 'application/json, application/problem+json',
          ...(method === 'POST' ? { 'Idempotency-Key': key } : {}),
          ...(body === undefined ? {} : { 'Content-Type': contentType }),
        },
        ...(body === undefined
          ? {}
          : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
    } catch (error) {
      throw new BrokerUnreachable(`${where}: ${describe(error)}`);
    }
    if (response.ok) return response;
    const problem = parseFields(problemDocument, parseJson(await response.text()));
    if (problem.ok) throw new BrokerRefusal(problem.value);
    throw new BrokerUnreachable(`${where}: answered ${response.status}, and not as a broker does`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string')
    return cause.code;
  return error.message;
}
