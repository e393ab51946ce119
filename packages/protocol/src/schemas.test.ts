import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { parseFields } from './schemas.ts';

const message = z.strictObject({
  name: z.string().check(z.minLength(2), z.maxLength(4)),
  kind: z.enum(['one', 'two']),
  inner: z.optional(z.strictObject({ count: z.int().check(z.minimum(3)) })),
  even: z.optional(
    z.int().check(z.refine((value) => value % 2 === 0, { error: 'must be an even number' })),
  ),
});

describe('parseFields', () => {
  it.each<[value: unknown, field: string, detail: string]>([
    [[], '(body)', 'must be of type object'],
    [{ kind: 'one' }, 'name', 'must be of type string'],
    [{ name: 'a', kind: 'one' }, 'name', 'must be at least 2 characters'],
    [{ name: 'abcde', kind: 'one' }, 'name', 'must be at most 4 characters'],
    [{ name: 'abc', kind: 'three' }, 'kind', 'must be "one" or "two"'],
    [{ name: 'abc', kind: 'one', inner: { count: 1 } }, 'inner.count', 'must be at least 3'],
    [{ name: 'abc', kind: 'one', inner: { count: 3, x: 1 } }, 'inner.x', 'is not known here'],
    [{ name: 'abc', kind: 'one', other: 1 }, 'other', 'is not known here'],
    [JSON.parse('{"name":"abc","kind":"one","__proto__":{}}'), '__proto__', 'is not known here'],
    [{ name: 'abc', kind: 'one', even: 3 }, 'even', 'must be an even number'],
  ])('%j names the field and the rule', (value, field, detail) => {
    expect(parseFields(message, value)).toEqual({ ok: false, field, detail });
  });

  it('gives the value when every rule holds', () => {
    expect(parseFields(message, { name: 'abc', kind: 'two' })).toEqual({
      ok: true,
      value: { name: 'abc', kind: 'two' },
    });
  });
});
