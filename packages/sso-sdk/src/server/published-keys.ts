import { parseFields } from '@countersign/protocol/schemas';
import { type CryptoKey, createRemoteJWKSet, customFetch, errors } from 'jose';
import * as z from 'zod/mini';
import { readCapped } from './call-broker.ts';

/**
 * `without_purpose`: the set has this key and does not say what it is for, so the broker is older than purposes.
 * `unavailable`: the set cannot be read.
 */
export type NoDecisionKey = {
  readonly ok: false;
  readonly reason: 'unknown' | 'wrong_purpose' | 'without_purpose' | 'unavailable';
  readonly cause: unknown;
};

export type FoundDecisionKey = { readonly ok: true; readonly key: CryptoKey } | NoDecisionKey;

/** Finds the broker's public key that decision tokens and statements of fail-open verify with. Never rejects. */
export type FindDecisionKey = (header: {
  readonly alg: 'ES256';
  readonly kid: string;
}) => Promise<FoundDecisionKey>;

/** Members that keys are chosen by; the rest is for whoever imports the key. */
const publishedSet = z.object({
  keys: z.array(z.looseObject({ kid: z.optional(z.string()), purpose: z.optional(z.string()) })),
});

const isUnknown = (cause: unknown) =>
  cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys;

/**
 * The broker's keys of the purpose `decision`, cached; those of another purpose are left out before any is looked for.
 * Pinned to one address: a token never says where its key is to be found.
 */
export function findDecisionKeyAt(
  { url, fetch }: { readonly url: string; readonly fetch: typeof globalThis.fetch },
  timeoutMs: number,
): FindDecisionKey {
  /** What the set says that is left out of it: why a key cannot be used, and nothing else. */
  let leftOut = new Map<string | undefined, 'wrong_purpose' | 'without_purpose'>();

  const readSet = (text: string | undefined): object => {
    const set = parseFields(publishedSet, JSON.parse(text ?? ''));
    if (!set.ok) throw new TypeError(`${set.field} ${set.detail}`);
    const { keys } = set.value;
    const others = keys.filter(({ purpose }) => purpose !== 'decision');
    leftOut = new Map(
      others.map(({ kid, purpose }) => [
        kid,
        purpose === undefined ? 'without_purpose' : 'wrong_purpose',
      ]),
    );
    return { keys: keys.filter(({ purpose }) => purpose === 'decision') };
  };

  const find = createRemoteJWKSet(new URL('/.well-known/jwks.json', url), {
    timeoutDuration: timeoutMs,
    [customFetch]: async (address, init) => {
      const response = await fetch(address, init);
      const text = await readCapped(response);
      return response.status === 200
        ? Response.json(readSet(text))
        : new Response(null, { status: 502 });
    },
  });

  return async (header) => {
    try {
      return { ok: true, key: await find(header) };
    } catch (cause) {
      const reason = isUnknown(cause) ? (leftOut.get(header.kid) ?? 'unknown') : 'unavailable';
      return { ok: false, reason, cause };
    }
  };
}
