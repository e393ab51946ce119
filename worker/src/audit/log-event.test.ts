import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { logEvent } from '@countersign/protocol/system-log';
import { describe, expect, it } from 'vitest';
import { showRow } from './log-event.ts';

const decision: DecisionRecord = {
  v: 1,
  shard: 3,
  sequence: 9,
  recorded_at_ms: Date.UTC(2026, 10, 22),
  id: 'chl_1',
  opened: true,
  stage: 0,
  client_id: 'sso',
  subject_type: 'user',
  subject: 'alice@example.com',
  resource_type: 'application',
  application: 'crm',
  action: 'sign_in',
  subject_authenticated: true,
  transaction_hash: 't',
  request_hash: 'r',
  organization_version: 4,
  policy_version: 2,
  decision: true,
  reason: 'device_trusted',
  rule: 'trusted_devices',
  device_trusted: true,
  device_id: 'dev_1',
  channel: 'extension',
  certificate_sha256: 'F1',
  certificate_number: 7,
  bound_now: false,
};

const show = (change: Partial<DecisionRecord> = {}) =>
  logEvent.parse(
    showRow(
      '3',
      {
        sequence: 9,
        record: JSON.stringify({ ...decision, ...change }),
        hash: new Uint8Array(32),
      },
      {
        nowMs: 0,
        serialNumberOf: (fingerprint) => (fingerprint === 'F1' ? '0badcafe' : undefined),
      },
    ),
  );

describe('a decision in the system log', () => {
  it('is the authentication of a device via certificate, with the device id in its debug data', () => {
    expect(show()).toMatchObject({
      published: '2026-11-22T00:00:00.000Z',
      eventType: 'user.authentication.authenticate',
      displayMessage: 'Authentication of device via certificate',
      severity: 'INFO',
      outcome: { result: 'SUCCESS', reason: 'device_trusted' },
      actor: { type: 'user', id: 'alice@example.com' },
      user: 'alice@example.com',
      application: 'crm',
      certificate: { fingerprintSha256: 'F1', serialNumber: '0badcafe' },
      debugContext: {
        debugData: { device_id: 'dev_1', device_trusted: 'true', rule: 'trusted_devices' },
      },
      record: { chain: '3', sequence: 9 },
    });
  });

  it('fails where it was denied, and says why', () => {
    const denied = show({ decision: false, reason: 'certificate_revoked', device_trusted: false });
    expect(denied).toMatchObject({
      severity: 'WARN',
      outcome: { result: 'FAILURE', reason: 'certificate_revoked' },
    });
  });

  it('says that a device was not trusted where a policy let it in all the same', () => {
    const allowed = show({ device_trusted: false, untrusted_reason: 'evidence_missing' });
    expect(allowed.outcome.result).toBe('SUCCESS');
    expect(allowed.debugContext.debugData).toMatchObject({
      device_trusted: 'false',
      untrusted_reason: 'evidence_missing',
    });
  });

  it('is a challenge while it waits for a factor, and tells which one was asserted', () => {
    const pending = show({
      decision: false,
      pending: {
        factor: { acr_values: ['phr'], amr_values: ['hwk'] },
        subject_authenticated: true,
        evidence_hash: 'e',
        expires_at_ms: 1,
      },
    });
    expect(pending.outcome.result).toBe('CHALLENGE');
    expect(pending.debugContext.debugData.factor_wanted).toBe('phr hwk');
    const completed = show({ stage: 1, asserted: { acr: 'phr', amr: ['hwk', 'user'] } });
    expect(completed.debugContext.debugData).toMatchObject({
      asserted_acr: 'phr',
      asserted_amr: 'hwk user',
    });
  });

  it('is to be looked at where it raised an alarm', () => {
    expect(show({ alarm: 'lineage_mismatch' }).severity).toBe('WARN');
  });

  it('names no device where none was named', () => {
    expect(show({ device_id: '' }).debugContext.debugData).not.toHaveProperty('device_id');
  });
});
