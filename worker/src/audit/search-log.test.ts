import { describe, expect, it } from 'vitest';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { reportMigrations } from './report-schema.ts';
import { decodeLogCursor, encodeLogCursor, type LogSearch, searchLog } from './search-log.ts';

const all: LogSearch = {
  order: 'arrival',
  sinceMs: undefined,
  untilMs: undefined,
  after: undefined,
  limit: 100,
};

type Kept = { type?: string; at: number; user?: string; device?: string; outcome?: string };

/** A report with these events, of which each says its number. */
function reportOf(events: readonly Kept[]) {
  const sql = fakeSqlStorage(reportMigrations);
  for (const [
    index,
    { type = 'a.b', at, user = '', device = '', outcome = 'SUCCESS' },
  ] of events.entries()) {
    sql.exec(
      `INSERT INTO events (chain, sequence, published_at_ms, event_type, outcome, reason, user_id,
         device_id, integration_id, application, serial_number, event)
       VALUES ('0', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      index + 1,
      at,
      type,
      outcome,
      `because-${index % 2}`,
      user,
      device,
      'int_1',
      'crm',
      '0a',
      String(index + 1),
    );
  }
  sql.exec("INSERT INTO certificate_serials VALUES ('F', '0a', 'd1')");
  return sql;
}

const find = (sql: SqlStorage, search: Partial<LogSearch>) =>
  searchLog(sql, 'g', { ...all, ...search }).events.map(Number);

describe('searchLog', () => {
  const sql = reportOf([
    { at: 30, type: 'pki.cert.issue', user: 'ada', device: 'd1' },
    { at: 10, type: 'pki.cert.renew', user: 'bob', outcome: 'FAILURE' },
    { at: 20, type: 'pki.certificate', user: 'ada' },
    { at: 40, type: 'user.credential.enroll', device: 'd1' },
  ]);

  it.each<[string, Partial<LogSearch>, number[]]>([
    ['everything, as it came', {}, [1, 2, 3, 4]],
    ['the newest first', { order: 'newest' }, [4, 1, 3, 2]],
    ['the oldest first', { order: 'oldest' }, [2, 3, 1, 4]],
    ['from a time on, and before another', { sinceMs: 20, untilMs: 40 }, [1, 3]],
    ['one type', { event_type: 'pki.cert.renew' }, [2]],
    ['types that begin so', { event_type: 'pki.cert.*' }, [1, 2]],
    ['an outcome', { outcome: 'FAILURE' }, [2]],
    ['a user', { user: 'ada' }, [1, 3]],
    ['a device', { device_id: 'd1' }, [1, 4]],
    ['a reason', { reason: 'because-1' }, [2, 4]],
    ['an integration', { integration_id: 'int_2' }, []],
    ['an application', { application: 'crm', user: 'bob' }, [2]],
    ['a serial number, however it is spelled', { serial_number: '0A' }, [1, 4]],
    ['no serial number that nothing has', { serial_number: '0b' }, []],
    ['all of several', { user: 'ada', event_type: 'pki.cert.*', sinceMs: 5 }, [1]],
  ])('finds %s', (_, search, expected) => {
    expect(find(sql, search)).toEqual(expected);
  });

  it.each(['arrival', 'newest', 'oldest'] as const)('goes on from a cursor by %s', (order) => {
    const whole = find(sql, { order });
    const pages: number[] = [];
    let after: LogSearch['after'];
    for (let more = true; more; ) {
      const page = searchLog(sql, 'g', { ...all, order, limit: 1, after });
      pages.push(...page.events.map(Number));
      after = page.next;
      more = page.more;
    }
    expect(pages).toEqual(whole);
  });

  it.each<[string, Partial<LogSearch>, RegExp]>([
    ['a user', { user: 'ada', order: 'newest' }, /events_by_user/],
    ['a user by arrival', { user: 'ada' }, /events_by_user/],
    ['a device', { device_id: 'd1', order: 'oldest' }, /events_by_device/],
    ['a serial number', { serial_number: '0A', order: 'newest' }, /events_by_device/],
    ['a rare type', { event_type: 'pki.cert.revoke', order: 'newest' }, /events_beside_decisions/],
    ['a time', { sinceMs: 5, untilMs: 9, order: 'newest' }, /events_by_time/],
    ['what came since, by arrival', { sinceMs: 5 }, /SCAN events$/],
  ])('finds %s without sorting all that fits', (_, search, plan) => {
    const plans: string[] = [];
    const exec: SqlStorage['exec'] = (query, ...bindings) => {
      const rows = sql.exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...bindings);
      if (query.includes('FROM events')) plans.push(...rows.toArray().map(({ detail }) => detail));
      return sql.exec(query, ...bindings);
    };
    searchLog({ exec } as SqlStorage, 'g', { ...all, ...search });
    expect(plans[0]).toMatch(plan);
    const isSorted = plans.some((detail) => detail.includes('TEMP B-TREE'));
    expect(isSorted).toBe(search.order === undefined && search.sinceMs === undefined);
  });

  it('misses nothing that comes late, by arrival', () => {
    const late = reportOf([{ at: 100 }, { at: 200 }]);
    const first = searchLog(late, 'g', all);
    expect(first.more).toBe(false);
    late.exec(
      `INSERT INTO events SELECT NULL, '1', 1, 5, event_type, outcome, reason, user_id, device_id,
         integration_id, application, serial_number, 'late' FROM events LIMIT 1`,
    );
    expect(searchLog(late, 'g', { ...all, after: first.next }).events).toEqual(['late']);
  });

  it('looks at a limited number of events for one page, and says that there is more', () => {
    const many = reportOf(
      Array.from({ length: 5200 }, (_, at) => ({ at, user: at === 5100 ? 'eve' : '' })),
    );
    const first = searchLog(many, 'g', { ...all, outcome: 'FAILURE' });
    expect(first).toMatchObject({ events: [], more: true });
    const second = searchLog(many, 'g', { ...all, outcome: 'FAILURE', after: first.next });
    expect(second).toMatchObject({ events: [], more: false });
    expect(find(many, { user: 'eve' })).toEqual([5101]);
  });
});

describe('a cursor', () => {
  it('comes back as it was given', () => {
    const cursor = { generation: 'g', number: 7, publishedAtMs: 9 };
    expect(decodeLogCursor(encodeLogCursor(cursor))).toEqual(cursor);
  });

  it.each([
    '',
    '!',
    'AAAA',
    encodeLogCursor({ generation: 'g', number: -1, publishedAtMs: 0 }),
    'A'.repeat(800),
  ])('is refused as %j', (text) => {
    expect(decodeLogCursor(text)).toBeUndefined();
  });
});
