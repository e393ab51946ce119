import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import {
  eventsOf,
  fingerprintOf,
  issued,
  issueFor,
  renew,
  renewed,
  rowsOf,
  statusesOf,
} from './test-issuance.ts';
import { shardObject, shardOf } from './test-objects.ts';
import { dayMs, interrupted, ringAlarmOf, theftOrder, travelDays } from './test-renewals.ts';
import { newUser } from './test-users.ts';

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const reasonOf = async (device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return [decision, context.reason_code];
};

describe('a renewal', () => {
  it('that is not due gives the certificate on record again', async () => {
    const device = await issued();
    expect(await renew(device)).toMatchObject({
      ok: true,
      renewed: false,
      certificate: device.certificate,
    });
    expect(await rowsOf(device)).toHaveLength(1);
  });

  it.each([
    ['1y', 335, 14],
    ['30d', 14, 7],
    ['7d', 3.5, 2],
  ] as const)(
    'of profile %s is due after %d days, and overlaps for %d',
    async (profile, due, overlap) => {
      const device = await issued({ profile });
      travelDays(due - 0.01);
      expect(await renew(device, { profile })).toMatchObject({ renewed: false });
      travelDays(0.02);
      const nowMs = Date.now();
      const answer = await renew(device, { profile });
      expect(answer).toMatchObject({ ok: true, renewed: true });
      const [old, successor] = await rowsOf(device);
      expect(old).toMatchObject({ status: 'superseded' });
      const overlapMs = Number(old?.usable_until_ms) - nowMs;
      expect(Math.abs(overlapMs - overlap * dayMs)).toBeLessThan(60_000);
      expect(successor).toMatchObject({
        status: 'issued',
        lineage: old?.certificate_number,
        supersedes: old?.certificate_number,
        profile,
        usable_until_ms: null,
      });
      expect(await eventsOf(device)).toEqual([
        'user.credential.enroll',
        'pki.cert.issue',
        'pki.cert.renew',
      ]);
    },
  );

  it('is made for another profile or issuer as soon as it is asked for', async () => {
    const device = await issued();
    expect(await renew(device, { profile: '7d' })).toMatchObject({ renewed: true });
    const old = device.withCertificate(device.certificate);
    device.certificate = await renewed(device, { profile: '7d', forced: false });
    expect(await renew(old, { profile: '7d' })).toMatchObject({
      renewed: false,
      certificate: device.certificate,
    });
    expect(await renew(device, { issuerId: 'none', profile: '7d' })).toEqual({
      ok: false,
      code: 'configuration_invalid',
    });
  });

  it('keeps user and epoch, and both certificates sign in until the overlap ends', async () => {
    const device = await issued();
    const user = newUser();
    expect(await reasonOf(device, user)).toEqual([true, 'trusted_device']);
    const successor = device.withCertificate(await renewed(device));
    expect(await rowsOf(device)).toMatchObject([
      { status: 'superseded', bound_user: user, bound_epoch: 1 },
      { status: 'bound', bound_user: user, bound_epoch: 1 },
    ]);
    for (const each of [device, successor]) {
      expect(await reasonOf(each, user)).toEqual([true, 'trusted_device']);
      expect(await reasonOf(each, newUser())).toEqual([false, 'certificate_bound_to_other_user']);
    }
    travelDays(14.01);
    expect(await reasonOf(device, user)).toEqual([false, 'certificate_superseded']);
    expect(await reasonOf(successor, user)).toEqual([true, 'trusted_device']);
  });

  it('of an unbound certificate binds with it, whichever of them signs in first', async () => {
    for (const oldFirst of [true, false]) {
      const device = await issued();
      const successor = device.withCertificate(await renewed(device));
      const user = newUser();
      expect(await reasonOf(oldFirst ? device : successor, user)).toEqual([true, 'trusted_device']);
      expect(await rowsOf(device)).toMatchObject([
        { status: 'superseded', bound_user: user },
        { status: 'bound', bound_user: user },
      ]);
      expect(await reasonOf(oldFirst ? successor : device, newUser())).toEqual([
        false,
        'certificate_bound_to_other_user',
      ]);
    }
  });

  it('is bound also where the binding comes between intent and signature', async () => {
    const device = await issued();
    await interrupted(device);
    const user = newUser();
    expect(await reasonOf(device, user)).toEqual([true, 'trusted_device']);
    expect(await rowsOf(device)).toMatchObject([
      { status: 'bound', bound_user: user },
      { status: 'intent', bound_user: user, bound_epoch: 1 },
    ]);
    await ringAlarmOf(device);
    expect(await rowsOf(device)).toMatchObject([
      { status: 'superseded', bound_user: user },
      { status: 'bound', bound_user: user, bound_epoch: 1 },
    ]);
  });

  it('that is asked for many times at once, and after answers were lost, is one', async () => {
    const device = await issued();
    travelDays(340);
    const answers = await Promise.all(Array.from({ length: 20 }, () => renew(device)));
    const [first] = answers;
    if (first?.ok !== true) throw new Error(first?.code);
    for (const answer of answers) {
      expect(answer).toMatchObject({ ok: true, certificate: first.certificate });
    }
    expect(await statusesOf(device)).toEqual(['superseded', 'issued']);
    travelDays(3);
    expect(await renew(device)).toMatchObject({ renewed: false, certificate: first.certificate });
    // The overlap has ended; the key is still the right one.
    travelDays(15);
    expect(await renew(device)).toMatchObject({ renewed: false, certificate: first.certificate });
  });

  it('that was forced is not made a second time for whoever lost the answer', async () => {
    const device = await issued();
    const certificate = await renewed(device);
    expect(await renew(device, { forced: true })).toMatchObject({ renewed: false, certificate });
  });

  it('that became due after the management was not asked gives what is on record', async () => {
    const device = await issued();
    const { certificate } = device;
    travelDays(340);
    expect(await renew(device, { mayIssue: false })).toMatchObject({ renewed: false, certificate });
    expect(await statusesOf(device)).toEqual(['issued']);
    expect(await renew(device)).toMatchObject({ renewed: true });
  });

  it('ends at five of a lineage that count', async () => {
    const device = await issued();
    for (let count = 2; count <= 5; count++) device.certificate = await renewed(device);
    expect(await renew(device, { forced: true })).toEqual({
      ok: false,
      code: 'renewal_limit_reached',
    });
    travelDays(15);
    expect(await renew(device, { forced: true })).toMatchObject({ renewed: true });
  });

  it('does not count toward the five of a device, whatever happens at once', async () => {
    const first = await issued();
    const others = await Promise.all(Array.from({ length: 3 }, () => issued({}, first.deviceId)));
    const devices = [first, ...others];
    const fresh = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const device = await FakeDevice.create();
        device.deviceId = first.deviceId;
        return device;
      }),
    );
    const [enrolled, renewals] = await Promise.all([
      Promise.all(fresh.map((device) => issueFor(device))),
      Promise.all(devices.map((device) => renew(device, { forced: true }))),
    ]);
    expect(enrolled.filter(({ ok }) => ok)).toHaveLength(1);
    for (const refused of enrolled.filter(({ ok }) => !ok)) {
      expect(refused).toEqual({ ok: false, code: 'enrollment_limit_reached' });
    }
    expect(renewals).toMatchObject(Array(4).fill({ ok: true, renewed: true }));
    const rows = await rowsOf(first);
    expect(rows).toHaveLength(9);
    expect(new Set(rows.map(({ lineage }) => lineage)).size).toBe(5);
    expect((await broker.device(first.deviceId ?? '')).unbound_certificates).toBe(5);
    const full = await FakeDevice.create();
    full.deviceId = first.deviceId;
    expect(await issueFor(full)).toEqual({ ok: false, code: 'enrollment_limit_reached' });
  });

  it('is refused by each reason of its own', async () => {
    const device = await issued();
    const shard = shardObject(shardOf(device.deviceId));
    const sha256 = await fingerprintOf(device);
    const id = device.deviceId ?? '';
    const codeOf = async (asker = device) => {
      const examined = await shard.examineRenewal({
        deviceId: id,
        certificateSha256: await fingerprintOf(asker),
      });
      const answer = await renew(asker, { forced: true });
      expect(examined.ok).toBe(answer.ok);
      return answer.ok ? 'renewed' : answer.code;
    };
    expect(await codeOf(device.withCertificate(new Uint8Array(8)))).toBe(
      'renewal_certificate_unknown',
    );
    await shard.holdCertificate(id, sha256, theftOrder.actor);
    expect(await codeOf()).toBe('renewal_certificate_suspended');
    await shard.releaseCertificate(id, sha256, theftOrder.actor);
    travelDays(366);
    expect(await codeOf()).toBe('renewal_certificate_expired');
    vi.useRealTimers();
    expect(await codeOf()).toBe('renewed');
    await shard.revokeCertificate(id, sha256, theftOrder);
    expect(await codeOf()).toBe('renewal_certificate_revoked');
    const other = await issued({}, id);
    await shard.revokeDevice(id, theftOrder, 'lost');
    const { certificates } = await broker.device(id);
    expect(certificates.map(({ status }) => status)).toEqual(['revoked', 'revoked', 'revoked']);
    expect(await codeOf(other)).toBe('renewal_certificate_revoked');
  });
});
