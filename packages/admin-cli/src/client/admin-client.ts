import { randomUUID } from 'node:crypto';
import { type IntegrationImpact, inUseProblem } from '@countersign/protocol/admin-integrations';
import { type ProblemDocument, problemDocument } from '@countersign/protocol/problem';
import { parseFields } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';

/** The broker said no. */
export class BrokerRefusal extends Error {
  readonly problem: ProblemDocument;
  /** Of `integration_in_use`: what would break. */
  readonly impact: IntegrationImpact | undefined;
  readonly worthRetrying: boolean;

  /** @param document as it was answered */
  constructor(problem: ProblemDocument, document: unknown) {
    super(problem.detail === undefined ? problem.title : `${problem.title} ${problem.detail}`);
    this.problem = problem;
    const inUse = inUseProblem.safeParse(document);
    this.impact = inUse.success ? inUse.data.impact : undefined;
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
const firstPauseMs = 500;

/** The first try may still be under way when the second one comes. */
const passing = new Set(['storage_unavailable', 'idempotency_in_progress']);

const mayRetry = (error: unknown) =>
  error instanceof BrokerUnreachable ||
  (error instanceof BrokerRefusal && passing.has(error.problem.code));

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
    const parsed = parseFields(schema, parseJson(await this.#send(method, path, sent)));
    if (parsed.ok) return parsed.value;
    throw new BrokerUnreachable(
      `${this.brokerUrl}${path} answered something else than it should: ${parsed.field} ${parsed.detail}`,
    );
  }

  get<Schema extends z.ZodMiniType>(path: string, schema: Schema): Promise<z.infer<Schema>> {
    return this.ask('GET', path, schema);
  }

  /** The text of the answer, once it is a success. */
  async #send(method: Method, path: string, sent: Sent): Promise<string> {
    const key = randomUUID();
    for (let tried = 1; ; tried++) {
      try {
        return await this.#sendOnce(method, path, sent, key);
      } catch (error) {
        if (tried === tries || method === 'DELETE' || !mayRetry(error)) throw error;
        await this.#options.sleep(firstPauseMs * 2 ** (tried - 1));
      }
    }
  }

  async #sendOnce(method: Method, path: string, sent: Sent, key: string): Promise<string> {
    const { body, contentType = 'application/json' } = sent;
    const where = `${this.brokerUrl}${path}`;
    const fetchIt = this.#options.fetch ?? fetch;
    let response: Response;
    let text: string;
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
      text = await response.text();
    } catch (error) {
      throw new BrokerUnreachable(`${where}: ${describe(error)}`);
    }
    if (response.ok) return text;
    const document = parseJson(text);
    const problem = parseFields(problemDocument, document);
    if (problem.ok) throw new BrokerRefusal(problem.value, document);
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
