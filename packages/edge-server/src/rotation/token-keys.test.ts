import { describe, expect, it } from 'vitest';
import { forEachPurpose, formatTokenKeys, parseTokenKeys, type TokenKeys } from './token-keys.ts';

const kid = (name: string) => name.padEnd(43, 'A');
const nowMs = Date.UTC(2026, 10, 21);
const keys: TokenKeys = {
  ...forEachPurpose((purpose) => ({ inUse: { kid: kid(purpose), sinceMs: nowMs } })),
  challenge: {
    inUse: { kid: kid('one'), sinceMs: nowMs },
    next: { kid: kid('two'), useAtMs: nowMs + 1000 },
  },
  response: {
    inUse: { kid: kid('three'), sinceMs: nowMs },
    previous: { kid: kid('four'), retireAtMs: nowMs + 2000 },
  },
};

describe('token-keys.json', () => {
  it('says what is for what, and when', () => {
    const text = formatTokenKeys(keys);
    expect(parseTokenKeys(text, 'token-keys.json')).toEqual(keys);
    expect(JSON.parse(text)).toMatchObject({
      version: 1,
      challenge: {
        in_use: { kid: kid('one'), since: '2026-11-21T00:00:00.000Z' },
        next: { kid: kid('two'), use_at: '2026-11-21T00:00:01.000Z' },
      },
    });
  });

  const file = JSON.parse(formatTokenKeys(keys));
  const previous = { kid: kid('five'), retire_at: '2026-11-21T00:00:00.000Z' };
  it.each<[what: string, text: string, problem: string]>([
    ['no JSON', '{', 'is not JSON'],
    ['another version', JSON.stringify({ ...file, version: 2 }), 'is wrong at "version"'],
    ['a purpose less', JSON.stringify({ ...file, decision: undefined }), 'is wrong at "decision"'],
    ['a purpose more', JSON.stringify({ ...file, other: file.decision }), 'Invalid input'],
    [
      'a kid that leads elsewhere',
      JSON.stringify({
        ...file,
        decision: { in_use: { kid: '../../x', since: previous.retire_at } },
      }),
      'is wrong at "decision.in_use.kid"',
    ],
    [
      'no time',
      JSON.stringify({ ...file, decision: { in_use: { kid: kid('six'), since: 'today' } } }),
      'is wrong at "decision.in_use.since"',
    ],
    [
      'two rotations of one purpose',
      JSON.stringify({ ...file, challenge: { ...file.challenge, previous } }),
      'has both a next and a previous key',
    ],
    [
      'one key for two purposes',
      JSON.stringify({ ...file, decision: { in_use: file.challenge.in_use } }),
      'names one key twice',
    ],
  ])('is refused with %s', (_, text, problem) => {
    expect(() => parseTokenKeys(text, 'token-keys.json')).toThrow(
      expect.objectContaining({
        failure: 'data_directory_unusable',
        message: expect.stringContaining(problem),
      }),
    );
  });
});
