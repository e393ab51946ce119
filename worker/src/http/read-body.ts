import { maxHttpBodyBytes } from '@countersign/protocol/limits';
import { parseFields } from '@countersign/protocol/schemas';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';
import type * as z from 'zod/mini';
import { readAtMost } from '../read-at-most.ts';
import type { Problem } from './problem.ts';

export type BodyResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

/** Reads at most `maxBytes`, whatever Content-Length says; `undefined` when there is more. */
export async function readLimited(
  request: Request,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (Number(request.headers.get('Content-Length') ?? 0) > maxBytes) return undefined;
  if (request.body === null) return new Uint8Array(0);
  // The runtime holds a sender to its Content-Length; only a body without one has to be counted as it comes.
  if (request.headers.has('Content-Length')) return new Uint8Array(await request.arrayBuffer());
  return await readAtMost(request.body, maxBytes);
}

/** More than any front takes of a body. */
const maxDiscardedBytes = 32 * 1024 * 1024;

/**
 * Reads to its end what a refused request still sends, where large bodies are taken: workerd closes a connection of which
 * much was not read, and who is still writing to it never sees the answer.
 */
export async function discardBody({ body, bodyUsed, url }: Request): Promise<void> {
  if (body === null || bodyUsed || !/^\/(v1\/admin|scim)\//.test(new URL(url).pathname)) return;
  const reader = body.getReader();
  let length = 0;
  while (length < maxDiscardedBytes) {
    const { done, value } = await reader.read();
    if (done) return;
    length += value instanceof Uint8Array ? value.length : maxDiscardedBytes;
  }
  await reader.cancel();
}

/**
 * The one way in for a body: media type, size, UTF-8, JSON, schema. The first thing that is wrong is named.
 *
 * @param mediaTypes accepted media types, without parameters
 */
export async function readBody<Schema extends z.core.$ZodType>(
  request: Request,
  schema: Schema,
  mediaTypes: readonly string[] = ['application/json'],
  maxBytes: number = maxHttpBodyBytes,
): Promise<BodyResult<z.core.output<Schema>>> {
  const refuse = (problem: Problem) => ({ ok: false, problem }) as const;
  const [mediaType = ''] = (request.headers.get('Content-Type') ?? '').split(';');
  if (!mediaTypes.includes(mediaType.trim().toLowerCase())) {
    return refuse({ code: 'content_type_unsupported' });
  }
  const bytes = await readLimited(request, maxBytes);
  if (bytes === undefined) {
    return refuse({ code: 'body_too_large', detail: `at most ${maxBytes} bytes` });
  }
  const json = parseStrictJsonBytes(bytes);
  if (!json.ok) return refuse({ code: 'json_malformed', detail: json.detail });
  const parsed = parseFields(schema, json.value);
  return parsed.ok
    ? { ok: true, value: parsed.value }
    : refuse({ code: 'field_invalid', field: parsed.field, detail: parsed.detail });
}
