import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { problemDocument } from '@countersign/protocol/problem';
import * as z from 'zod/mini';
import { EdgeServerError, errorText } from '../edge-server-error.ts';

/** The broker behind workerd's socket, or at a URL, as its owner asks it. */
export type BrokerAccess = ({ readonly socket: string } | { readonly url: string }) & {
  readonly ownerToken: string;
  /** For each answer as a whole. */
  readonly timeoutMs?: number;
  /** Ends what is being asked. */
  readonly signal?: AbortSignal;
};

const defaultTimeoutMs = 120_000;

/** A URL is an origin; an address in brackets goes without them here. */
function placeOf(access: BrokerAccess) {
  if ('socket' in access) return { socketPath: access.socket };
  const { hostname, port } = new URL(access.url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return { host, ...(port === '' ? {} : { port }) };
}

function exchange(
  access: BrokerAccess,
  method: 'GET' | 'POST',
  path: string,
  body: string | undefined,
): Promise<{ readonly status: number; readonly body: string }> {
  const { ownerToken, timeoutMs = defaultTimeoutMs, signal } = access;
  const isTls = 'url' in access && access.url.startsWith('https:');
  return new Promise((resolve, reject) => {
    const question = (isTls ? requestTls : request)(
      {
        ...placeOf(access),
        method,
        path,
        agent: false,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          Authorization: `Bearer ${ownerToken}`,
          ...(body === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
        answer.on('error', reject);
      },
    );
    const deadline = setTimeout(() => question.destroy(new Error('no answer in time')), timeoutMs);
    question.on('close', () => clearTimeout(deadline));
    question.on('error', reject);
    question.end(body);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws EdgeServerError `broker_request_failed`, with the code and detail of a refusal */
export async function askBroker<Schema extends z.ZodMiniType>(
  access: BrokerAccess,
  schema: Schema,
  path: string,
  body?: unknown,
): Promise<z.infer<Schema>> {
  const method = body === undefined ? 'GET' : 'POST';
  const failed = (why: string, options?: ErrorOptions) =>
    new EdgeServerError(
      'broker_request_failed',
      `The broker did not answer ${method} ${path.split('?')[0]}: ${why}.`,
      options,
    );
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await exchange(access, method, path, text).catch((error: unknown) => {
    throw failed(errorText(error), { cause: error });
  });
  const json = parseJson(answer.body);
  if (answer.status !== 200) {
    const problem = z.safeParse(problemDocument, json);
    if (!problem.success) throw failed(`status ${answer.status}`);
    const { code, detail, field, title } = problem.data;
    throw failed([code, field, detail ?? title].filter((part) => part !== undefined).join(': '));
  }
  const parsed = z.safeParse(schema, json);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path.map(String).join('.');
    throw failed(`it is of another version (answer wrong at "${path}")`);
  }
  return parsed.data;
}
