import { describe, expect, it } from 'vitest';
import { findLosses, isPristine } from './find-losses.ts';
import type { HighWaterMark } from './high-water-mark.ts';

const hashOf = (count: number) => count.toString().padStart(43, 'A');
const hashAt = async (_shard: number, sequence: number) => hashOf(sequence);

const device = (count: number, certificates = 0, changes = 0) => ({
  count,
  hash: hashOf(count),
  certificates,
  changes,
});
const markOf = (changes: Partial<HighWaterMark> = {}): HighWaterMark => ({
  version: 1,
  organization_id: 'org_a',
  key_set_version: 1,
  organization: { version: 1, changes: 0, imports: 0, import_id: null },
  shards: [
    { device: device(0), key: { changes: 0 } },
    { device: device(0), key: { changes: 0 } },
  ],
  ...changes,
});

const names = ['count', 'certificates', 'changes', 'key', 'version', 'users', 'keySet'] as const;
type Counts = Readonly<Record<(typeof names)[number], number>>;

const stateOf = (at: Counts) =>
  markOf({
    key_set_version: at.keySet,
    organization: { version: at.version, changes: at.users, imports: 0, import_id: null },
    shards: [{ device: device(at.count, at.certificates, at.changes), key: { changes: at.key } }],
  });

/** Each number one lower, equal or one higher than 5, in every combination. */
function* allCounts(index = 0): Generator<Counts, void, undefined> {
  const name = names[index];
  if (name === undefined) {
    yield { count: 5, certificates: 5, changes: 5, key: 5, version: 5, users: 5, keySet: 5 };
    return;
  }
  for (const rest of allCounts(index + 1)) {
    for (const value of [4, 5, 6]) yield { ...rest, [name]: value };
  }
}

describe('findLosses', () => {
  it('finds none exactly when nothing is lower', async () => {
    const [marked] = [...allCounts(names.length)];
    if (marked === undefined) throw new Error('there is one');
    let tried = 0;
    for (const found of allCounts()) {
      const losses = await findLosses(stateOf(marked), stateOf(found), hashAt);
      expect(losses).toHaveLength(names.filter((name) => found[name] < 5).length);
      tried += 1;
    }
    expect(tried).toBe(3 ** names.length);
  });

  it('finds other rows below a head that is higher', async () => {
    const marked = markOf({ shards: [{ device: device(3), key: null }] });
    const found = markOf({ shards: [{ device: device(5), key: null }] });
    expect(await findLosses(marked, found, hashAt)).toEqual([]);
    const other = async () => hashOf(99);
    expect(await findLosses(marked, found, other)).toEqual([
      'shard 0: other decisions than there were, up to row 3',
    ]);
    expect(await findLosses(marked, found, async () => undefined)).toHaveLength(1);
  });

  it('compares nothing of an object that could not be read', async () => {
    const marked = markOf({ shards: [{ device: device(3), key: { changes: 4 } }] });
    const found = markOf({ shards: [{ device: null, key: null }] });
    expect(await findLosses(marked, found, hashAt)).toEqual([]);
    expect(await findLosses(found, marked, hashAt)).toEqual([]);
  });

  it.each<[what: string, found: Partial<HighWaterMark>, says: RegExp]>([
    ['organization', { organization_id: 'org_b' }, /organization org_b, not org_a/],
    ['number of shards', { shards: [] }, /0 shards instead of 2/],
    [
      'import',
      { organization: { version: 9, changes: 9, imports: 1, import_id: 'A'.repeat(22) } },
      /after import 1 .* instead of one from before any import/,
    ],
  ])('finds another %s', async (_, changed, says) => {
    const losses = await findLosses(markOf(), markOf(changed), hashAt);
    expect(losses).toEqual([expect.stringMatching(says)]);
  });
});

it('only a state in which nothing was ever stored is pristine', () => {
  expect(isPristine(markOf())).toBe(true);
  expect(isPristine(markOf({ shards: [{ device: null, key: null }] }))).toBe(true);
  for (const used of [
    { shards: [{ device: device(1), key: null }] },
    { shards: [{ device: device(0, 1), key: null }] },
    { shards: [{ device: device(0, 0, 1), key: null }] },
    { shards: [{ device: null, key: { changes: 1 } }] },
    { organization: { version: 2, changes: 0, imports: 0, import_id: null } },
    { organization: { version: 1, changes: 1, imports: 0, import_id: null } },
  ]) {
    expect(isPristine(markOf(used))).toBe(false);
  }
});
