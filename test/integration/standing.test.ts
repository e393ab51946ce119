// What ends, interrupts and permits certificates beside their renewal: holds, blocked devices, integrations, approvals.
import { evictDurableObject } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { identifyPublicKey } from '@countersign/x509';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { certificateProfiles } from '../../worker/src/ca/certificate-profile.ts';
import { planCertificate } from '../../worker/src/ca/issuer.ts';
import type { IssuanceRequest } from '../../worker/src/device/issuance-request.ts';
import { planIssuance } from '../../worker/src/device/issue-certificate.ts';
import { ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import {
  blockIn,
  eventsOf,
  fingerprintOf,
  intentIn,
  issuanceOf,
  issued,
  issueFor,
  keyOf,
  renew,
  renewed,
  rowsOf,
  sha256,
  statusesOf,
  testIssuer,
} from './test-issuance.ts';
import { shardObject, shardOf, sqlInShard } from './test-objects.ts';
import { randomId } from './test-sign-in.ts';
import { newUser } from './test-users.ts';

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const admin = { type: 'admin', id: 'adm_1' } as const;
const lost = { reason: 'keyCompromise', actor: admin } as const;
const shardFor = (device: FakeDevice) => shardObject(shardOf(device.deviceId));
const ringAlarmOf = (device: FakeDevice) => ringAlarm(shardFor(device));

const reasonOf = async (device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return [decision, context.reason_code];
};

/** What a crash between the two blocks of issuance leaves. */
async function interrupted(change: Partial<IssuanceRequest> = {}, deviceId?: string) {
  const device = await FakeDevice.create();
  device.deviceId = deviceId;
  const request = await issuanceOf(device, change);
  const issuer = await testIssuer();
  const key = await identifyPublicKey(device.publicKey);
  await intentIn(device, (block) => {
    const profile = certificateProfiles['1y'];
    const plan = () => ({
      issuerId: issuer.id,
      ...planCertificate(issuer, profile, request.deviceId, key, block.nowMs),
    });
    return planIssuance(block, request, plan);
  });
  await evictDurableObject(shardFor(device));
  return device;
}

describe('a hold', () => {
  it('of an issued certificate ends with its release', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const fingerprint = await fingerprintOf(device);
    expect(await shard.holdCertificate(id, fingerprint, admin)).toEqual({ ok: true, changed: 1 });
    expect(await shard.holdCertificate(id, fingerprint, admin)).toEqual({ ok: true, changed: 0 });
    expect(await reasonOf(device, 'ada')).toEqual([false, 'certificate_suspended']);
    expect(await shard.releaseCertificate(id, fingerprint, admin)).toEqual({
      ok: true,
      changed: 1,
    });
    expect(await statusesOf(device)).toEqual(['issued']);
    expect(await reasonOf(device, newUser())).toEqual([true, 'trusted_device']);
    expect((await eventsOf(device)).slice(-2)).toEqual(['pki.cert.hold', 'pki.cert.release']);
  });

  it('of a bound and renewed one gives each its standing back', async () => {
    const device = await issued();
    const user = newUser();
    await reasonOf(device, user);
    const successor = device.withCertificate(await renewed(device));
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    await shard.holdCertificate(id, await fingerprintOf(device), admin);
    expect(await statusesOf(device)).toEqual(['suspended', 'suspended']);
    expect(await reasonOf(successor, user)).toEqual([false, 'certificate_suspended']);
    await shard.releaseCertificate(id, await fingerprintOf(successor), admin);
    expect(await statusesOf(device)).toEqual(['superseded', 'bound']);
    expect(await reasonOf(successor, user)).toEqual([true, 'trusted_device']);
    expect(await reasonOf(device, user)).toEqual([true, 'trusted_device']);
  });

  it('of one that is not signed yet leaves it on hold when it is, and an intent when released', async () => {
    const signed = await interrupted();
    await blockIn(signed, ({ sql }) =>
      sql.exec(
        `UPDATE certificates SET status = 'suspended' WHERE device_id = ?`,
        signed.deviceId ?? '',
      ),
    );
    expect((await issueFor(signed)).ok).toBe(true);
    expect(await statusesOf(signed)).toEqual(['suspended']);
    const [row] = await sqlInShard(
      shardOf(signed.deviceId),
      'SELECT certificate_sha256 AS hash FROM certificates WHERE device_id = ?',
      signed.deviceId ?? '',
    );
    const hash = new Uint8Array(row?.hash instanceof ArrayBuffer ? row.hash : []);
    await shardFor(signed).releaseCertificate(signed.deviceId ?? '', hash, admin);
    expect(await statusesOf(signed)).toEqual(['issued']);
  });

  it('does not bring back what was revoked', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const fingerprint = await fingerprintOf(device);
    await shardFor(device).revokeCertificate(id, fingerprint, lost);
    expect(await shardFor(device).holdCertificate(id, fingerprint, admin)).toMatchObject({
      changed: 0,
    });
    expect(await shardFor(device).releaseCertificate(id, fingerprint, admin)).toMatchObject({
      changed: 0,
    });
    expect(await statusesOf(device)).toEqual(['revoked']);
  });
});

describe('a device that is lost', () => {
  it('loses every certificate, and gets none until it is unblocked', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const other = await issued({}, id);
    const shard = shardFor(device);
    expect(await shard.revokeDevice(id, lost, 'stolen in a train')).toEqual({
      ok: true,
      changed: 2,
    });
    expect(await shard.revokeDevice(id, lost, 'again')).toEqual({ ok: true, changed: 0 });
    for (const each of [device, other]) {
      expect(await reasonOf(each, 'ada')).toEqual([false, 'device_blocked']);
    }
    const fresh = await FakeDevice.create();
    fresh.deviceId = id;
    expect(await issueFor(fresh)).toEqual({ ok: false, code: 'device_blocked' });
    expect(await broker.device(id)).toMatchObject({
      status: 'blocked',
      blocked_reason: 'stolen in a train',
    });
    expect(await shard.unblockDevice(id, admin)).toMatchObject({ ok: true });
    expect((await issueFor(fresh)).ok).toBe(true);
    expect(await reasonOf(device, 'ada')).toEqual([false, 'certificate_revoked']);
    const events = await eventsOf(device);
    expect(events.filter((event) => event.startsWith('device.'))).toEqual([
      'device.block stolen in a train',
      'device.unblock',
    ]);
    expect(await shard.revokeDevice(randomId(), lost)).toEqual({
      ok: false,
      code: 'device_not_found',
    });
  });
});

describe('an integration', () => {
  it('that is deleted ends what it issued, intents included, and issues nothing more', async () => {
    const integrationId = `int_${randomId()}`;
    const device = await issued({ integrationId });
    const id = device.deviceId ?? '';
    const direct = await issued({}, id);
    const pending = await interrupted({ integrationId }, id);
    const shard = shardFor(device);
    const later = await FakeDevice.create();
    later.deviceId = id;
    const issuing = issueFor(later, { integrationId });
    const [buried, raced] = await Promise.all([shard.buryIntegration(integrationId), issuing]);
    expect(buried).toEqual({ ok: true });
    expect(await shard.buryIntegration(integrationId)).toEqual({ ok: true });
    await ringAlarmOf(device);
    const rows = await rowsOf(device);
    for (const row of rows.filter(
      ({ certificate_number }) => certificate_number !== rows[1]?.certificate_number,
    )) {
      expect(row.status).toBe('revoked');
    }
    expect(rows[1]).toMatchObject({ status: 'issued' });
    if (!raced.ok) expect(['integration_deleted', 'key_blocked']).toContain(raced.code);
    expect(await renew(device)).toEqual({ ok: false, code: 'renewal_certificate_revoked' });
    expect(await issueFor(pending, { integrationId })).toEqual({
      ok: false,
      code: 'integration_deleted',
    });
    expect((await reasonOf(direct, newUser()))[0]).toBe(true);
  });

  it('ends many certificates block by block', async () => {
    const integrationId = `int_${randomId()}`;
    const device = await issued({ integrationId });
    await blockIn(device, ({ sql }) =>
      sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
         INSERT INTO certificates (certificate_number, device_id, status, spki_sha256, serial_number,
           issuer_id, not_before_ms, not_after_ms, lineage, enrollment_strength, created_at_ms,
           integration_id)
         SELECT 100000 + i, 'AAAAAAAAAAAAAAAAAAAAAA', 'issued', x'00', x'00', 'x', 0, 0, 100000 + i,
           'one_time_token', 0, ? FROM n`,
        integrationId,
      ),
    );
    await evictDurableObject(shardFor(device));
    expect(await shardFor(device).buryIntegration(integrationId)).toEqual({ ok: true });
    expect(
      await sqlInShard(
        shardOf(device.deviceId),
        'SELECT DISTINCT status FROM certificates WHERE integration_id = ?',
        integrationId,
      ),
    ).toEqual([{ status: 'revoked' }]);
  });

  it('that no longer manages a device ends what it issued to it', async () => {
    const integrationId = `int_${randomId()}`;
    const device = await issued({ integrationId });
    const id = device.deviceId ?? '';
    await issued({}, id);
    const shard = shardFor(device);
    expect(await shard.managementEnded(id, integrationId)).toEqual({ ok: true, changed: 1 });
    expect(await shard.managementEnded(id, integrationId)).toEqual({ ok: true, changed: 0 });
    expect(await statusesOf(device)).toEqual(['revoked', 'issued']);
    expect((await eventsOf(device)).at(-1)).toBe('pki.cert.revoke cessationOfOperation');
  });

  it('makes tokens that only it, and the user they are for, may spend', async () => {
    const integrationId = `int_${randomId()}`;
    const device = await FakeDevice.create();
    const base = await issuanceOf(device);
    const tokenSha256 = await sha256(new TextEncoder().encode(randomId()));
    const shard = shardObject(shardOf(base.deviceId));
    await shard.addEnrollmentToken(base.deviceId, tokenSha256, Date.now() + 60_000, {
      integrationId,
      user: 'ada',
    });
    expect(await shard.findToken(base.deviceId, tokenSha256)).toEqual({
      ok: true,
      integrationId,
      user: 'ada',
    });
    expect(await shard.findToken(randomId(), tokenSha256)).toMatchObject({ ok: false });
    const authority = { type: 'one_time_token', tokenSha256 } as const;
    for (const wrong of [
      { user: 'ada' },
      { integrationId: 'int_other', user: 'ada' },
      { integrationId },
      { integrationId, user: 'bob' },
    ]) {
      expect(await shard.issue({ ...base, authority, ...wrong })).toEqual({
        ok: false,
        code: 'enrollment_token_invalid',
      });
    }
    const right = { integrationId, user: 'ada', userEpoch: 1 };
    expect(await shard.issue({ ...base, authority, ...right })).toMatchObject({ ok: true });
  });
});

describe('an enrollment that needs approval', () => {
  it('waits for an administrator where the device has another certificate', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const next = await FakeDevice.create();
    next.deviceId = id;
    const request = await issuanceOf(next, {
      authority: { type: 'organization_secret', secretId: 's' },
      strength: 'organization_secret',
      requiresApproval: true,
    });
    const needed = { ok: false, code: 'enrollment_approval_needed' };
    expect(await shard.examineIssuance(request)).toEqual(needed);
    expect(await shard.issue(request)).toEqual(needed);
    const { spkiSha256 } = await keyOf(next);
    const pending = await shard.pendingApprovals(200);
    if (!pending.ok) throw new Error(pending.code);
    expect(pending.approvals.filter(({ deviceId }) => deviceId === id)).toMatchObject([
      { spkiSha256 },
    ]);
    expect(await shard.approveEnrollment(id, new Uint8Array(32))).toEqual({
      ok: false,
      code: 'enrollment_approval_not_found',
    });
    for (let again = 0; again < 2; again++) {
      expect(await shard.approveEnrollment(id, spkiSha256, 'adm_1')).toEqual({ ok: true });
    }
    expect(await shard.examineIssuance(request)).toEqual({ ok: true });
    expect(await shard.issue(request)).toMatchObject({ ok: true });
    expect(
      (await eventsOf(device)).filter((event) => event === 'device.enrollment.approve'),
    ).toHaveLength(1);
    // The first certificate of a device needs nobody's word.
    const first = await FakeDevice.create();
    expect(await issueFor(first, { requiresApproval: true })).toMatchObject({ ok: true });
  });

  it('keeps the newest requests of a device', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    for (let count = 0; count < 8; count++) {
      const next = await FakeDevice.create();
      next.deviceId = id;
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1000 });
      await shardFor(device).examineIssuance(await issuanceOf(next, { requiresApproval: true }));
    }
    vi.useRealTimers();
    const rows = await sqlInShard(
      shardOf(id),
      'SELECT 1 FROM enrollment_approvals WHERE device_id = ?',
      id,
    );
    expect(rows).toHaveLength(5);
  });
});

describe('an attested device', () => {
  it('keeps its endorsement key, and is refused with another one', async () => {
    const endorsement = (byte: number) => ({
      authority: {
        type: 'hardware_attested',
        endorsementKeySha256: new Uint8Array(32).fill(byte),
      } as const,
      strength: 'hardware_attested' as const,
    });
    const device = await issued(endorsement(1));
    const next = await FakeDevice.create();
    next.deviceId = device.deviceId;
    expect(await issueFor(next, endorsement(2))).toEqual({
      ok: false,
      code: 'hardware_id_duplicate',
    });
    expect(await issueFor(next, endorsement(1))).toMatchObject({ ok: true });
    const { certificates, endorsement_key_sha256 } = await broker.device(device.deviceId ?? '');
    expect(certificates.map(({ enrollment_strength }) => enrollment_strength)).toEqual([
      'hardware_attested',
      'hardware_attested',
    ]);
    expect(endorsement_key_sha256).toBe(encodeBase64url(new Uint8Array(32).fill(1)));
  });
});
