import { createHash } from 'node:crypto';
import { idempotencyKey } from '@countersign/protocol/admin-access';
import { parseFields } from '@countersign/protocol/schemas';
import { parseStrictJson } from '@countersign/protocol/strict-json';
import * as z from 'zod/mini';
import type { AdminIdentity } from '../admin/permissions.ts';
import { openSecret, sealSecret } from '../storage/sealed-secret.ts';
import { askObject, type Broker } from './broker.ts';
import { readLimited } from './read-body.ts';
import type { RouteContext } from './route-context.ts';

/**
 * `Idempotency-Key` on what creates: the same request with the same key happens once. Its answer, which may hold a
 * secret that is shown once, is kept sealed for a day, for whoever did not get it.
 */

const maxBodyBytes = 8 * 1024 * 1024;

const keptAnswer = z.object({ status: z.int(), body: z.string() });

function hashOf(request: Request, body: Uint8Array): Uint8Array {
  const { pathname, search } = new URL(request.url);
  const hash = createHash('sha256');
  hash.update(`${request.method} ${pathname}${search}\n`, 'utf8').update(body);
  return new Uint8Array(hash.digest());
}

async function openAnswer(
  broker: Broker,
  context: string,
  sealed: string,
): Promise<Response | undefined> {
  const text = await openSecret(broker.storedSecretsKey, context, sealed);
  const json = text === undefined ? undefined : parseStrictJson(text);
  const kept = json?.ok === true ? parseFields(keptAnswer, json.value) : undefined;
  if (kept?.ok !== true) return undefined;
  const { status, body } = kept.value;
  return new Response(body, {
    status,
    headers: { 'Content-Type': 'application/json', 'Idempotency-Replayed': 'true' },
  });
}

/**
 * Runs a request that creates. Without the header, as it is. With it: a success is kept; a refusal takes the key
 * back, since nothing happened; after anything else it is not known what happened, and the key stays taken.
 */
export async function onlyOnce(
  broker: Broker,
  context: RouteContext,
  { adminId }: AdminIdentity,
  handle: (context: RouteContext) => Promise<Response>,
): Promise<Response> {
  const given = context.request.headers.get('Idempotency-Key');
  if (given === null) return await handle(context);
  const key = parseFields(idempotencyKey, given);
  if (!key.ok) {
    return context.refuse({ code: 'field_invalid', field: 'Idempotency-Key', detail: key.detail });
  }
  const body = await readLimited(context.request, maxBodyBytes);
  if (body === undefined) {
    return context.refuse({ code: 'body_too_large', detail: `at most ${maxBodyBytes} bytes` });
  }
  const name = { adminId, key: key.value };
  const sealContext = `idempotent-answer/${adminId}/${key.value}`;
  const begun = await askObject(() =>
    broker.organization().beginIdempotent(name, hashOf(context.request, body)),
  );
  if (!begun.ok) return context.refuse({ code: begun.code });
  if (begun.sealedAnswer !== undefined) {
    const answer = await openAnswer(broker, sealContext, begun.sealedAnswer);
    return answer ?? context.refuse({ code: 'idempotency_outcome_unknown' });
  }
  // What was read from the body is put back for the route.
  const { url, method, headers } = context.request;
  const request = new Request(url, { method, headers, body });
  const response = await handle({ ...context, request });
  if (response.ok) {
    const text = await response.clone().text();
    const sealed = await sealSecret(
      broker.storedSecretsKey,
      sealContext,
      JSON.stringify({ status: response.status, body: text }),
    );
    const kept = await askObject(() => broker.organization().keepIdempotent(name, sealed));
    return kept.ok ? response : context.refuse({ code: kept.code });
  }
  if (response.status < 500) {
    await askObject(() => broker.organization().releaseIdempotent(name));
  }
  return response;
}
