import { afterEach, expect, it, vi } from 'vitest';
import { askObject } from './broker.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('hands on what an object answers', async () => {
  expect(await askObject(async () => ({ ok: true, value: 7 }))).toEqual({ ok: true, value: 7 });
});

it.each([
  ['rejects', () => Promise.reject(new Error('Durable Object storage operation failed'))],
  [
    'throws',
    () => {
      throw new Error('Durable Object is overloaded');
    },
  ],
])('takes an object that %s for one that recorded nothing', async (_what, fail) => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  expect(await askObject(fail)).toEqual({ ok: false, code: 'storage_unavailable' });
  expect(String(log.mock.calls[0]?.[0])).toContain('Durable Object');
});
