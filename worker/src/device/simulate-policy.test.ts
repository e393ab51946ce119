import { addSimulation, emptySimulation, type PolicyDocument } from '@countersign/policy';
import { describe, expect, it } from 'vitest';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { deviceMigrations } from './device-schema.ts';
import { type SimulationOrder, simulatePolicy } from './simulate-policy.ts';

const startMs = 1_800_000_000_000;

const macsOnly: PolicyDocument = {
  version: 2,
  enforcement: 'enforce',
  rules: [{ id: 'macs', when: { platforms: ['macos'] }, effect: 'allow' }],
  otherwise: 'deny',
};

const order: SimulationOrder = {
  policies: new Map([['crm', macsOnly]]),
  zones: [],
  groups: new Map(),
  sinceMs: startMs,
  untilMs: startMs + 86_400_000,
};

const signIn = (change: object = {}) => ({
  v: 1,
  shard: 0,
  recorded_at_ms: startMs,
  opened: true,
  stage: 0,
  subject: 'ada',
  application: 'crm',
  decision: true,
  reason: 'trusted_device',
  rule: 'trusted-devices',
  device_trusted: true,
  ...change,
});

function shardWith(records: readonly object[]): SqlStorage {
  const sql = fakeSqlStorage(deviceMigrations);
  for (const [place, record] of records.entries()) {
    sql.exec(
      `INSERT INTO decisions (sequence, challenge_id, device_id, stage, record, hash)
       VALUES (?, ?, '', 0, ?, x'00')`,
      place + 1,
      `challenge-${place}`,
      JSON.stringify({ ...record, sequence: place + 1 }),
    );
  }
  return sql;
}

const countsOf = (records: readonly object[]) =>
  simulatePolicy(shardWith(records), order).part.total;

describe('simulatePolicy', () => {
  it('goes on page by page, and counts every row once', () => {
    const sql = shardWith(Array.from({ length: 10 }, (_, i) => signIn({ subject: `user-${i}` })));
    const sum = emptySimulation();
    let before: number | undefined;
    let pages = 0;
    do {
      const page = simulatePolicy(sql, order, before, 3);
      addSimulation(sum, page.part);
      ({ before } = page);
      pages += 1;
    } while (before !== undefined);
    expect(pages).toBe(4);
    expect(sum.total).toMatchObject({ decisions: 10, newly_denied: 10 });
    expect(sum.denied.size).toBe(10);
  });

  it.each<[string, object, number]>([
    ['what was let in', {}, 1],
    ['what was denied, too', { decision: false, reason: 'policy_denied' }, 1],
    ['no end of a step-up: its beginning counts', { stage: 1 }, 0],
    ['nothing that no policy was asked about', { rule: 'none', decision: false }, 0],
    ['nothing that no challenge opened for', { opened: false, decision: false }, 0],
    ['nothing of another application', { application: 'mail' }, 0],
    [
      'nothing of another application that names this one',
      { application: 'mail', subject: '"application":"crm"' },
      0,
    ],
    ['nothing from before', { recorded_at_ms: startMs - 1 }, 0],
    ['nothing from after', { recorded_at_ms: order.untilMs }, 0],
    ['no event', { kind: 'event', opened: undefined }, 0],
    ['nothing that does not fit', { decision: 'yes' }, 0],
  ])('counts %s', (_, change, decisions) => {
    expect(countsOf([signIn(change)]).decisions).toBe(decisions);
  });

  it('goes on past a row that a clock has put too early', () => {
    const records = [signIn(), signIn({ recorded_at_ms: startMs - 60_000 }), signIn()];
    expect(countsOf(records).decisions).toBe(2);
  });

  it.each([
    [{ facts: { platform: 'macos' } }, 0, 0],
    [{ facts: { platform: 'ios' } }, 1, 0],
    [{ decision: false, reason: 'evidence_missing', facts: { platform: 'macos' } }, 0, 1],
    [{ decision: false, reason: 'evidence_missing', facts: { platform: 'ios' } }, 0, 0],
    [
      {
        response: {
          origin: 'https://sso.example.com',
          device_time_seconds: 1,
          host_version: '1',
          key_protection: 'tpm',
          development: false,
          posture: { platform: 'macos', os_version: '15' },
        },
      },
      0,
      0,
    ],
  ])('asks again with what was recorded: %j', (change, newly_denied, newly_allowed) => {
    expect(countsOf([signIn(change)])).toMatchObject({ decisions: 1, newly_denied, newly_allowed });
  });
});
