import { beforeEach, describe, expect, it } from 'vitest';
import type { HeldVersions, StoredGroup } from './group-versions.ts';
import type { Deployment, SnapshotAnswer } from './organization-answers.ts';
import { type StoredSnapshot, unsetAdministration } from './organization-snapshot.ts';
import { type AskForSnapshot, SnapshotCache } from './snapshot-cache.ts';

const start = 1_800_000_000_000;
const deployment: Deployment = { shardCount: 8, deviceIdKeyFingerprint: 'fingerprint' };
const { groups: _, access: __, ...unset } = unsetAdministration;
const snapshotOf = (version: number): StoredSnapshot => ({
  ...unset,
  storedGroups: [{ groupId: 'pilot', version: 1, kind: 'whole', membersJson: '["ada"]' }],
  accessJson: new Map(),
  version,
  applications: new Map(),
  clients: new Map(),
  inactiveUsersJson: '[]',
  inactiveNamesJson: '[]',
});

/** An organization whose version can be raised, and whose next answers can be held back or replaced. */
class FakeOrganization {
  version = 1;
  readonly asked: number[] = [];
  answer: (() => SnapshotAnswer | Promise<SnapshotAnswer>) | undefined;

  readonly ask = async (offered: Deployment, knownVersion: number): Promise<SnapshotAnswer> => {
    expect(offered).toBe(deployment);
    this.asked.push(knownVersion);
    if (this.answer !== undefined) return this.answer();
    const { version } = this;
    const snapshot = version === knownVersion ? undefined : snapshotOf(version);
    return { ok: true, version, snapshot };
  };
}

let organization: FakeOrganization;
let cache: SnapshotCache;
let background: Promise<unknown>[];
beforeEach(() => {
  organization = new FakeOrganization();
  cache = new SnapshotCache(organization.ask, deployment);
  background = [];
});

const readAt = (nowMs: number) => cache.read(nowMs, (work) => background.push(work));
const versionAt = async (nowMs: number) => {
  const read = await readAt(nowMs);
  return read.ok ? [read.snapshot.version, read.readAtMs - start] : read.code;
};

describe('SnapshotCache', () => {
  it('asks once, and then uses what it has', async () => {
    expect(await versionAt(start)).toEqual([1, 0]);
    organization.version = 2;
    expect(await versionAt(start + 2500)).toEqual([1, 0]);
    expect(organization.asked).toEqual([0]);
    expect(background).toEqual([]);
  });

  it('renews behind the back of a request, once, while it may still use what it has', async () => {
    await readAt(start);
    const slow = Promise.withResolvers<SnapshotAnswer>();
    organization.answer = () => slow.promise;
    expect(await versionAt(start + 2501)).toEqual([1, 0]);
    expect(await versionAt(start + 2502)).toEqual([1, 0]);
    expect(background).toHaveLength(1);
    slow.resolve({ ok: true, version: 2, snapshot: snapshotOf(2) });
    await Promise.all(background);
    expect(await versionAt(start + 2600)).toEqual([2, 2501]);
    expect(organization.asked).toEqual([0, 1]);
  });

  it('makes a request wait where five seconds have passed', async () => {
    await readAt(start);
    organization.version = 2;
    expect(await versionAt(start + 5001)).toEqual([2, 5001]);
    expect(background).toEqual([]);
  });

  it('notes the time at which reading began, also when nothing was newer', async () => {
    await readAt(start);
    expect(await versionAt(start + 6000)).toEqual([1, 6000]);
    expect(organization.asked).toEqual([0, 1]);
  });

  it('gives nothing that is too old when the organization cannot be asked', async () => {
    await readAt(start);
    organization.answer = () => Promise.reject(new Error('overloaded'));
    expect(await versionAt(start + 5000)).toEqual([1, 0]);
    expect(await versionAt(start + 5001)).toBe('snapshot_unavailable');
    organization.answer = () => ({ ok: false, code: 'storage_unavailable' });
    expect(await versionAt(start + 5001)).toBe('snapshot_unavailable');
    organization.answer = undefined;
    expect(await versionAt(start + 5002)).toEqual([1, 5002]);
  });

  it('says that the deployment is another one', async () => {
    organization.answer = () => ({ ok: false, code: 'deployment_mismatch', detail: 'shards=64' });
    expect(await readAt(start)).toEqual({
      ok: false,
      code: 'deployment_mismatch',
      detail: 'shards=64',
    });
  });

  it('opens the lists of inactive users, and takes no damaged one', async () => {
    const inactiveUsersJson = '["ada","\\u0000 \\"\\ud83d\\udca5"]';
    organization.answer = () => ({
      ok: true,
      version: 2,
      snapshot: { ...snapshotOf(2), inactiveUsersJson, inactiveNamesJson: '["éve"]' },
    });
    const read = await readAt(start);
    const isInactive = (id: string) => read.ok && read.snapshot.inactiveUsers.has(id);
    expect(['ada', '\u0000 "💥', 'éve', 'ÉVE', 'Éve'].map(isInactive)).not.toContain(false);
    // Of ids that no directory knows by name, each spelling is a user.
    expect(['Ada', 'eve', ''].map(isInactive)).not.toContain(true);
    for (const damaged of ['["ada"', '["ada",1]', '{}', '']) {
      organization.answer = () => ({
        ok: true,
        version: 3,
        snapshot: { ...snapshotOf(3), inactiveUsersJson: damaged },
      });
      expect(await cache.refresh(start + 1)).toMatchObject({
        ok: false,
        code: 'snapshot_unavailable',
      });
    }
  });

  it('asks for what it lacks of groups, and goes on until it has them whole', async () => {
    const asked: HeldVersions[] = [];
    const group = (groupId: string, version: number) => ({ groupId, version });
    const answers: StoredGroup[][] = [
      [
        { ...group('a', 5), kind: 'whole', membersJson: '["ada"]' },
        { ...group('b', 6), kind: 'later' },
      ],
      [
        { ...group('a', 5), kind: 'same' },
        { ...group('b', 6), kind: 'whole', membersJson: '["bob"]' },
      ],
      [
        { ...group('a', 7), kind: 'changes', changesJson: '[["ada",0],["eve",1]]' },
        { ...group('b', 6), kind: 'same' },
      ],
    ];
    const ask: AskForSnapshot = async (_, __, held) => {
      const storedGroups = answers[asked.length] ?? [];
      asked.push(held);
      return { ok: true, version: 8, snapshot: { ...snapshotOf(8), storedGroups } };
    };
    const whole = new SnapshotCache(ask, deployment);
    const groups = async (nowMs: number) => {
      const read = await whole.refresh(nowMs);
      return read.ok && [...read.snapshot.groups].map(([id, members]) => [id, ...members]);
    };
    expect(await groups(start)).toEqual([
      ['a', 'ada'],
      ['b', 'bob'],
    ]);
    expect(await groups(start + 1)).toEqual([
      ['a', 'eve'],
      ['b', 'bob'],
    ]);
    expect(asked).toEqual([{}, { a: 5 }, { a: 5, b: 6 }]);
  });

  it('does not go on for ever', async () => {
    const storedGroups: StoredGroup[] = [{ groupId: 'a', version: 1, kind: 'later' }];
    organization.answer = () => ({
      ok: true,
      version: 2,
      snapshot: { ...snapshotOf(2), storedGroups },
    });
    expect(await versionAt(start)).toBe('snapshot_unavailable');
  });

  it('takes no answer that leaves out what it does not have', async () => {
    organization.answer = () => ({ ok: true, version: 7, snapshot: undefined });
    expect(await versionAt(start)).toBe('snapshot_unavailable');
  });

  it('reads again when asked to, whatever it has', async () => {
    await readAt(start);
    organization.version = 2;
    const read = await cache.refresh(start + 1);
    expect(read).toMatchObject({ ok: true, readAtMs: start + 1, snapshot: { version: 2 } });
    expect(await versionAt(start + 2)).toEqual([2, 1]);
  });

  it('keeps the newer of two readings that overlap', async () => {
    await readAt(start);
    const slow = Promise.withResolvers<SnapshotAnswer>();
    organization.answer = () => slow.promise;
    const first = cache.refresh(start + 10);
    organization.answer = undefined;
    organization.version = 3;
    await cache.refresh(start + 20);
    slow.resolve({ ok: true, version: 2, snapshot: snapshotOf(2) });
    expect(await first).toMatchObject({ readAtMs: start + 10, snapshot: { version: 2 } });
    expect(await versionAt(start + 30)).toEqual([3, 20]);
  });

  it('trusts nothing that was read by a clock that has gone back since', async () => {
    await readAt(start);
    const hourEarlier = start - 3_600_000;
    organization.version = 2;
    expect(await versionAt(hourEarlier)).toEqual([2, -3_600_000]);
    // And does not ask for every request until the clock is where it was.
    expect(await versionAt(hourEarlier + 1000)).toEqual([2, -3_600_000]);
    expect(organization.asked).toEqual([0, 1]);
  });
});
