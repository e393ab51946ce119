// What ends, interrupts and permits certificates beside their renewal: holds, blocked devices, integrations, approvals,
// and the word of it that goes out.
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { encodeBase64url } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { identifyPublicKey } from '@countersign/x509';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { certificateProfiles } from '../../worker/src/ca/certificate-profile.ts';
import { planCertificate } from '../../worker/src/ca/issuer.ts';
import type { IssuanceRequest } from '../../worker/src/device/issuance-request.ts';
import { planIssuance } from '../../worker/src/device/issue-certificate.ts';
import { KeyObject } from '../../worker/src/enrollment/key-object.ts';
import { RevocationObject } from '../../worker/src/revocation/revocation-object.ts';
import { storageUnavailable } from '../../worker/src/storage/durable-store.ts';
import { broker } from './test-broker.ts';
import {
  blockIn,
  eventsOf,
  fingerprintOf,
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
const ringAlarm = (device: FakeDevice) => runDurableObjectAlarm(shardFor(device));

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
  await blockIn(device, (block) => {
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

/** Everything that was told of the device's certificates, newest last. */
function listenToPublisher(device: FakeDevice) {
  const spy = vi.spyOn(RevocationObject.prototype, 'publish');
  return async () => {
    const serials = await sqlInShard(
      shardOf(device.deviceId),
      'SELECT serial_number FROM certificates WHERE device_id = ?',
      device.deviceId ?? '',
    );
    const own = serials.map(({ serial_number }) =>
      encodeBase64url(new Uint8Array(serial_number instanceof ArrayBuffer ? serial_number : [])),
    );
    return spy.mock.calls
      .flatMap(([, entries]) => entries)
      .filter(({ serialNumber }) => own.includes(encodeBase64url(serialNumber)))
      .map(({ status, reason, statusVersion }) => [status, statusVersion, reason]);
  };
}

const outboxOf = (device: FakeDevice) =>
  sqlInShard(
    shardOf(device.deviceId),
    `SELECT certificate_number FROM pki_outbox WHERE certificate_number IN (
       SELECT certificate_number FROM certificates WHERE device_id = ?)`,
    device.deviceId ?? '',
  );

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
    await ringAlarm(device);
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
    expect(await shard.issue({ ...base, authority, integrationId, user: 'ada' })).toMatchObject({
      ok: true,
    });
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

describe('the word of a standing', () => {
  it('goes out with each change, and says what is so when it goes', async () => {
    const device = await issued();
    const told = listenToPublisher(device);
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const fingerprint = await fingerprintOf(device);
    await ringAlarm(device);
    expect(await told()).toEqual([['good', 1, undefined]]);
    expect(await outboxOf(device)).toEqual([]);
    await shard.holdCertificate(id, fingerprint, admin);
    await shard.releaseCertificate(id, fingerprint, admin);
    await shard.revokeCertificate(id, fingerprint, lost);
    expect(await told()).toEqual([
      ['good', 1, undefined],
      ['hold', 2, undefined],
      ['good', 3, undefined],
      ['revoked', 4, 'keyCompromise'],
    ]);
    expect(await outboxOf(device)).toEqual([]);
  });

  it('and the block of the key wait until they are heard', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const deaf = [
      vi.spyOn(RevocationObject.prototype, 'publish').mockResolvedValue(storageUnavailable),
      vi.spyOn(KeyObject.prototype, 'block').mockRejectedValue(new Error('object is overloaded')),
    ];
    expect(await shard.revokeCertificate(id, await fingerprintOf(device), lost)).toEqual({
      ok: true,
      changed: 1,
    });
    expect(await reasonOf(device, 'ada')).toEqual([false, 'certificate_revoked']);
    expect(await outboxOf(device)).toHaveLength(1);
    await evictDurableObject(shard);
    await ringAlarm(device);
    expect(await outboxOf(device)).toHaveLength(1);
    deaf[0]?.mockRestore();
    await ringAlarm(device);
    expect(await outboxOf(device)).toHaveLength(1);
    deaf[1]?.mockRestore();
    const blocked = vi.spyOn(KeyObject.prototype, 'block');
    await ringAlarm(device);
    expect(await outboxOf(device)).toEqual([]);
    const { spkiSha256 } = await keyOf(device);
    expect(blocked).toHaveBeenCalledWith(spkiSha256);
    // No other device gets a certificate for it either.
    const thief = await FakeDevice.create();
    const request = broker.post('/v1/enrollments', {
      ...thief.enrollmentRequest(
        (await broker.createEnrollmentToken(thief.hardwareId)).enrollment_token,
      ),
      csr: encodeBase64url(device.csr),
    });
    expect(await (await request).json()).toMatchObject({ code: 'key_blocked' });
  });

  it('stays in the outbox where the standing changed while it was told', async () => {
    const device = await issued();
    await ringAlarm(device);
    const id = device.deviceId ?? '';
    const shard = shardFor(device);
    const fingerprint = await fingerprintOf(device);
    const { publish } = RevocationObject.prototype;
    const told: string[] = [];
    vi.spyOn(RevocationObject.prototype, 'publish').mockImplementation(async function (
      this: RevocationObject,
      ...given
    ) {
      told.push(...given[1].map(({ status }) => status));
      // Told, and overtaken before that is noted.
      if (told.length === 1) {
        await blockIn(device, ({ sql }) =>
          sql.exec(
            `UPDATE certificates SET status = 'issued', status_version = status_version + 1
             WHERE device_id = ?`,
            id,
          ),
        );
      }
      return await publish.apply(this, given);
    });
    await shard.holdCertificate(id, fingerprint, admin);
    expect(await outboxOf(device)).toHaveLength(1);
    await ringAlarm(device);
    expect(told).toEqual(['hold', 'good']);
    expect(await outboxOf(device)).toEqual([]);
  });
});

describe('what administrators see of a shard', () => {
  it('counts certificates by what they have in common, and lists devices', async () => {
    const device = await issued({ profile: '7d' });
    await renewed(device, { profile: '7d' });
    const shard = shardFor(device);
    const counted = await shard.countCertificates();
    if (!counted.ok) throw new Error(counted.code);
    const ofProfile = counted.counts.filter(({ profile }) => profile === '7d');
    expect(ofProfile.map(({ status, count }) => [status, count])).toEqual(
      expect.arrayContaining([
        ['issued', 1],
        ['superseded', 1],
      ]),
    );
    const listed = await shard.listDevices('', 1000);
    if (!listed.ok) throw new Error(listed.code);
    const found = listed.devices.find(({ device: { device_id } }) => device_id === device.deviceId);
    expect(found?.certificates.map(({ status }) => status)).toEqual(['superseded', 'issued']);
  });

  it('has failures on record, as many as the limit allows', async () => {
    const deviceId = randomId();
    const shard = shardObject(shardOf(deviceId));
    const event = {
      event_type: 'user.credential.enroll',
      outcome: 'FAILURE',
      reason: 'enrollment_token_invalid',
      actor: { type: 'device', id: deviceId },
      debug_data: { device_id: deviceId },
    } as const;
    await Promise.all(
      Array.from({ length: 130 }, () => shard.recordFailure(shardOf(deviceId), event)),
    );
    const recorded = await sqlInShard(
      shardOf(deviceId),
      'SELECT 1 FROM decisions WHERE device_id = ?',
      deviceId,
    );
    expect(recorded).toHaveLength(120);
    const { rows, head } = await broker.decisions(shardOf(deviceId));
    expect(firstBrokenRow(rows, head)).toBeUndefined();
  });
});
