import { expect, it } from 'vitest';
import { type Candidate, findPage, mostCandidates } from './find-page.ts';

async function* candidatesOf(list: readonly Candidate[]): AsyncGenerator<Candidate> {
  yield* list;
}

const start = { list: 0, after: '' };
const many = (count: number, more: Partial<Candidate> = {}): Candidate[] =>
  Array.from({ length: count }, (_, place) => ({
    list: 1,
    after: String(place).padStart(6, '0'),
    ...more,
  }));

it('looks at so many for one page, those that were told before among them', async () => {
  let asked = 0;
  const passes = () => {
    asked += 1;
    return true;
  };
  const repeated = many(mostCandidates + 1, { isRepeated: true });
  const page = await findPage(candidatesOf(repeated), passes, 10, start);
  expect(page).toEqual({
    found: [],
    next: { list: 1, after: String(mostCandidates - 1).padStart(6, '0') },
  });
  expect(asked).toBe(0);
});

it('goes on where it ended, and ends where there are no more', async () => {
  const all = many(3);
  const first = await findPage(candidatesOf(all), () => true, 2, start);
  expect(first).toEqual({ found: ['000000', '000001'], next: { list: 1, after: '000001' } });
  const rest = all.slice(2);
  expect(await findPage(candidatesOf(rest), () => true, 2, start)).toEqual({
    found: ['000002'],
    next: undefined,
  });
});
