import { describe, expect, it } from 'vitest';
import { RefusalLimit } from './refusal-limit.ts';

const start = 1_800_000_000_000;
const takeMany = (limit: RefusalLimit, client: string, count: number, nowMs: number) =>
  Array.from({ length: count }, () => limit.take(client, nowMs)).filter((beyond) => beyond === 0)
    .length;

describe('RefusalLimit', () => {
  it('gives each client 120 a minute', () => {
    const limit = new RefusalLimit();
    expect(takeMany(limit, 'one', 200, start)).toBe(120);
    expect(takeMany(limit, 'two', 200, start)).toBe(120);
    expect(limit.take('one', start + 59_999)).toBe(81);
  });

  it('gives a new allowance when the minute is over', () => {
    const limit = new RefusalLimit();
    expect(takeMany(limit, 'one', 121, start)).toBe(120);
    expect(takeMany(limit, 'one', 121, start + 60_000)).toBe(120);
  });

  it('does not shut a client out for ever when the clock goes back', () => {
    const limit = new RefusalLimit();
    expect(takeMany(limit, 'one', 121, start)).toBe(120);
    expect(limit.take('one', start - 86_400_000)).toBe(0);
  });
});
