import { encodeBase64url } from '@countersign/protocol';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { describe, expect, it } from 'vitest';
import { readChainHead, readDecisionPage } from '../device/decision-record.ts';
import { deviceMigrations } from '../device/device-schema.ts';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { appendEvent } from './append-event.ts';
import { type ChainHead, emptyChain } from './hash-chain.ts';
import { displayMessageOf, type SystemLogEvent, systemLogRecord } from './system-log-event.ts';

const issued: SystemLogEvent = {
  event_type: 'pki.cert.issue',
  outcome: 'SUCCESS',
  actor: { type: 'device', id: 'dev_1' },
  user: 'alice@example.com',
  certificate: { fingerprint_sha256: 'AAAA', serial_number: '0badcafe', issuer_id: 'issuer-1' },
  integration_id: 'int_1',
  strength: 'one_time_token',
  debug_data: { device_id: 'dev_1', profile: '1y' },
};

const refused: SystemLogEvent = {
  event_type: 'user.credential.enroll',
  outcome: 'FAILURE',
  reason: 'enrollment_token_invalid',
  actor: { type: 'device' },
  debug_data: {},
};

function logOf(...events: SystemLogEvent[]) {
  const sql = fakeSqlStorage(deviceMigrations);
  let head: ChainHead = emptyChain;
  for (const [index, event] of events.entries()) {
    const context = { shard: 3, nowMs: 1000 + index, randomId: () => `id-${index}` };
    head = appendEvent(sql, head, event, context);
  }
  return { sql, head };
}

const recordsOf = (sql: SqlStorage) =>
  readDecisionPage(sql, 0, 10).map(({ record }) => systemLogRecord.parse(JSON.parse(record)));

describe('appendEvent', () => {
  it('records the event with what its row adds', () => {
    const [first, second] = recordsOf(logOf(issued, refused).sql);
    expect(first).toEqual({
      ...issued,
      v: 1,
      kind: 'event',
      shard: 3,
      sequence: 1,
      recorded_at_ms: 1000,
      id: 'id-0',
      display_message: 'Device Trust certificate issuance',
    });
    expect(second).toMatchObject({ sequence: 2, outcome: 'FAILURE', debug_data: {} });
  });

  it('goes on with the chain, and answers its new head', () => {
    const { sql, head } = logOf(issued, refused, issued);
    expect(readChainHead(sql)).toEqual(head);
    const rows = readDecisionPage(sql, 0, 10).map((row) => ({
      ...row,
      hash: encodeBase64url(row.hash),
    }));
    expect(firstBrokenRow(rows, { count: 3, hash: encodeBase64url(head.hash) })).toBeUndefined();
  });

  it('finds the row by the device that the event is about', () => {
    const { sql } = logOf(issued, refused);
    expect(sql.exec('SELECT challenge_id, device_id, stage FROM decisions').toArray()).toEqual([
      { challenge_id: 'id-0', device_id: 'dev_1', stage: 0 },
      { challenge_id: 'id-1', device_id: '', stage: 0 },
    ]);
  });

  it('cuts texts from outside, also in the middle of a character', () => {
    const long = `${'x'.repeat(511)}😀`;
    const [record] = recordsOf(logOf({ ...refused, user: long, debug_data: { long } }).sql);
    expect(record?.user).toBe(`${'x'.repeat(511)}\ufffd`);
    expect(record?.debug_data).toEqual({ long: `${'x'.repeat(511)}\ufffd` });
  });
});

describe('displayMessageOf', () => {
  it.each([
    ['user.credential.enroll', 'Device Trust certificate enrollment'],
    ['pki.cert.issue', 'Device Trust certificate issuance'],
    ['pki.cert.renew', 'Device Trust certificate renewal'],
    ['pki.cert.revoke', 'Device Trust certificate revocation'],
    ['admin.enrollment_token.create', 'Administration: create enrollment token'],
  ] as const)('says of %s: %s', (eventType, message) => {
    expect(displayMessageOf(eventType)).toBe(message);
  });
});
