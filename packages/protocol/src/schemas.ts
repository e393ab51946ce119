import * as z from 'zod/mini';
import { decodeBase64url } from './base64url.ts';
import { isSecureWebOrigin } from './origin.ts';

/** Building blocks that several messages share. */

/** base64url of exactly `bytes` bytes. */
export const base64urlOf = (bytes: number) =>
  z.string().check(
    z.refine((text) => decodeBase64url(text)?.length === bytes, {
      error: `must be base64url of exactly ${bytes} bytes`,
    }),
  );

/** base64url of between `min` and `max` bytes. */
export const base64urlBetween = (min: number, max: number) =>
  z.string().check(
    z.refine(
      (text) => {
        const length = decodeBase64url(text)?.length ?? -1;
        return length >= min && length <= max;
      },
      { error: `must be base64url of ${min} to ${max} bytes` },
    ),
  );

export const sha256Text = base64urlOf(32);

export const secureWebOrigin = z
  .string()
  .check(z.maxLength(255))
  .check(
    z.refine(isSecureWebOrigin, {
      error: 'must be an origin like https://sso.example.com (http only for loopback)',
    }),
  );

/** Names that administrators choose: clients, applications, rules. They appear in URLs, logs and tokens as they are. */
export const chosenId = z.string().check(
  z.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, {
    error: 'must be 1 to 63 of a-z, 0-9, dot, underscore, hyphen, starting with a letter or digit',
  }),
);

/** A compact JWS or JWE: three or five base64url parts (RFC 7515 section 7.1, RFC 7516 section 7.1). */
export const compactJws = (maxBytes: number) =>
  z
    .string()
    .check(z.maxLength(maxBytes))
    .check(
      z.regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, {
        error: 'must be a compact JWS',
      }),
    );
export const compactJwe = (maxBytes: number) =>
  z
    .string()
    .check(z.maxLength(maxBytes))
    .check(
      z.regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, {
        error: 'must be a compact JWE',
      }),
    );

/** NumericDate in whole seconds (RFC 7519 section 2), up to the year 9999. */
export const numericDate = z.int().check(z.minimum(0), z.maximum(253_402_300_799));

/** P-256 public key as JWK (RFC 7518 section 6.2.1). */
export const p256PublicJwk = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: base64urlOf(32),
  y: base64urlOf(32),
});

const factorValues = z
  .array(z.string().check(z.minLength(1), z.maxLength(256)))
  .check(z.maxLength(16));

/** A further factor: one of each list that is not empty must be asserted (OpenID Connect `acr`, RFC 8176 `amr`). */
export const factor = z.strictObject({ acr_values: factorValues, amr_values: factorValues });
export type Factor = z.infer<typeof factor>;

/** One broken rule of a message, named by its field. */
export type FieldProblem = { readonly field: string; readonly detail: string };

/** Parses `value`; on failure names the first field that is wrong, in dotted form. */
export function parseFields<Schema extends z.core.$ZodType>(
  schema: Schema,
  value: unknown,
):
  | { readonly ok: true; readonly value: z.core.output<Schema> }
  | ({ readonly ok: false } & FieldProblem) {
  const result = z.safeParse(schema, value);
  if (result.success) return { ok: true, value: result.data };
  const [issue] = result.error.issues;
  return { ok: false, ...(issue === undefined ? wholeBody : describeIssue(issue)) };
}

const wholeBody: FieldProblem = { field: '(body)', detail: 'is invalid' };

/** zod/mini carries no texts of its own and says "Invalid input" for every rule that has none. */
function describeIssue(issue: z.core.$ZodIssue): FieldProblem {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') path.push(issue.keys[0]?.slice(0, 64) ?? '');
  return {
    field: path.length === 0 ? wholeBody.field : path.join('.'),
    detail: issue.message === 'Invalid input' ? describeRule(issue) : issue.message,
  };
}

function describeRule(issue: z.core.$ZodIssue): string {
  const unit = 'origin' in issue && issue.origin === 'string' ? ' characters' : '';
  switch (issue.code) {
    case 'invalid_type':
      return `must be of type ${issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map((allowed) => JSON.stringify(allowed)).join(' or ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}${unit}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unit}`;
    case 'unrecognized_keys':
      return 'is not known here';
    default:
      return 'is invalid';
  }
}
