import * as z from 'zod/mini';
import { parseDataFile } from '../data-directory/parse-data-file.ts';

/** The broker's token keys: which there are for each purpose, and what becomes of them when. Holds no key. */

export const tokenKeyPurposes = [
  'challenge',
  'mtls-evidence',
  'decision',
  'response',
  'audit',
] as const;
export type TokenKeyPurpose = (typeof tokenKeyPurposes)[number];

/** Keys by their `kid` (RFC 7638 thumbprint), times in milliseconds since the epoch. */
export type PurposeKeys = {
  readonly inUse: { readonly kid: string; readonly sinceMs: number };
  /** Published, so that everybody knows it before it is used. */
  readonly next?: { readonly kid: string; readonly useAtMs: number };
  /** Not used any more; what was made with it is accepted until it is retired. */
  readonly previous?: { readonly kid: string; readonly retireAtMs: number };
};

/** Never has a purpose both a next and a previous key: one rotation ends before another begins. */
export type TokenKeys = Readonly<Record<TokenKeyPurpose, PurposeKeys>>;

/** The key in use first, as the worker's setting has them. */
export function keyIdsOf({ inUse, next, previous }: PurposeKeys): readonly string[] {
  return [inUse, next, previous].flatMap((key) => (key === undefined ? [] : [key.kid]));
}

export function isTokenKeyPurpose(text: string): text is TokenKeyPurpose {
  return tokenKeyPurposes.some((purpose) => purpose === text);
}

const kid = z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/));
const time = z.iso.datetime();
const purposeFile = z
  .strictObject({
    in_use: z.strictObject({ kid, since: time }),
    next: z.optional(z.strictObject({ kid, use_at: time })),
    previous: z.optional(z.strictObject({ kid, retire_at: time })),
  })
  .check(
    z.refine(({ next, previous }) => next === undefined || previous === undefined, {
      error: 'has both a next and a previous key',
    }),
  );
const tokenKeysFile = z
  .strictObject({
    version: z.literal(1),
    ...forEachPurpose(() => purposeFile),
  })
  .check(
    z.refine(
      (file) => {
        const all = tokenKeyPurposes.flatMap((purpose) => keyIdsOf(parsePurpose(file[purpose])));
        return new Set(all).size === all.length;
      },
      { error: 'names one key twice' },
    ),
  );
type PurposeFile = z.infer<typeof purposeFile>;

const text = (ms: number) => new Date(ms).toISOString();

function formatPurpose({ inUse, next, previous }: PurposeKeys): PurposeFile {
  return {
    in_use: { kid: inUse.kid, since: text(inUse.sinceMs) },
    ...(next === undefined ? {} : { next: { kid: next.kid, use_at: text(next.useAtMs) } }),
    ...(previous === undefined
      ? {}
      : { previous: { kid: previous.kid, retire_at: text(previous.retireAtMs) } }),
  };
}

function parsePurpose({ in_use, next, previous }: PurposeFile): PurposeKeys {
  return {
    inUse: { kid: in_use.kid, sinceMs: Date.parse(in_use.since) },
    ...(next === undefined ? {} : { next: { kid: next.kid, useAtMs: Date.parse(next.use_at) } }),
    ...(previous === undefined
      ? {}
      : { previous: { kid: previous.kid, retireAtMs: Date.parse(previous.retire_at) } }),
  };
}

/** One value for each purpose. */
export function forEachPurpose<Value>(
  value: (purpose: TokenKeyPurpose) => Value,
): Record<TokenKeyPurpose, Value> {
  return {
    challenge: value('challenge'),
    'mtls-evidence': value('mtls-evidence'),
    decision: value('decision'),
    response: value('response'),
    audit: value('audit'),
  };
}

/** `token-keys.json`. */
export function formatTokenKeys(keys: TokenKeys): string {
  const file: z.infer<typeof tokenKeysFile> = {
    version: 1,
    ...forEachPurpose((purpose) => formatPurpose(keys[purpose])),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * @param path for the message only
 * @throws EdgeServerError `data_directory_unusable` when the file is damaged or of another version
 */
export function parseTokenKeys(content: string, path: string): TokenKeys {
  const file = parseDataFile(tokenKeysFile, content, path);
  return forEachPurpose((purpose) => parsePurpose(file[purpose]));
}
