import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import {
  eventsOf,
  fingerprintOf,
  isAbout,
  issued,
  issueFor,
  keyOf,
  renew,
  renewalOf,
  renewed,
  rowsOf,
  statusesOf,
} from './test-issuance.ts';
import { shardObject, shardOf } from './test-objects.ts';
import { interrupted, ringAlarmOf, theftOrder, travelDays } from './test-renewals.ts';
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

describe('a change of keys', () => {
  it('goes on in the lineage, once, and ends the old key with the overlap', async () => {
    const device = await issued();
    const user = newUser();
    await reasonOf(device, user);
    const next = await FakeDevice.create();
    next.deviceId = device.deviceId;
    const rekey = await keyOf(next);
    const answers = await Promise.all(Array.from({ length: 5 }, () => renew(device, { rekey })));
    const [first] = answers;
    if (first?.ok !== true) throw new Error(first?.code);
    for (const answer of answers) expect(answer).toMatchObject({ certificate: first.certificate });
    next.certificate = first.certificate;
    expect(await rowsOf(device)).toMatchObject([
      { status: 'superseded' },
      { status: 'bound', bound_user: user },
    ]);
    expect(await eventsOf(device)).toEqual([
      'user.credential.enroll',
      'pki.cert.issue',
      'pki.cert.renew',
      'pki.cert.supersede',
    ]);
    for (const each of [device, next]) {
      expect(await reasonOf(each, user)).toEqual([true, 'trusted_device']);
    }
    // The old key is neither renewed nor replaced any more, but the answer that it was replaced by comes again.
    const superseded = { ok: false, code: 'renewal_certificate_superseded' };
    expect(await renew(device)).toEqual(superseded);
    const another = await FakeDevice.create();
    expect(await renew(device, { rekey: await keyOf(another) })).toEqual(superseded);
    expect(await rowsOf(device)).toHaveLength(2);
    expect(await renew(device, { rekey })).toMatchObject({ certificate: first.certificate });
    travelDays(15);
    expect(await reasonOf(device, user)).toEqual([false, 'certificate_superseded']);
    expect(await renew(device, { rekey })).toEqual({
      ok: false,
      code: 'renewal_certificate_superseded',
    });
  });

  it('is refused to a key that has a lineage of its own, and to one that was revoked', async () => {
    const device = await issued();
    const other = await issued({}, device.deviceId);
    expect(await renew(device, { rekey: await keyOf(other) })).toEqual({
      ok: false,
      code: 'renewal_key_in_use',
    });
    const shard = shardObject(shardOf(device.deviceId));
    await shard.revokeCertificate(device.deviceId ?? '', await fingerprintOf(other), theftOrder);
    expect(await renew(device, { rekey: await keyOf(other) })).toEqual({
      ok: false,
      code: 'key_blocked',
    });
  });
});

describe('#36 a revocation', () => {
  it('of any certificate of a lineage ends all of it', async () => {
    const device = await issued();
    const successor = device.withCertificate(await renewed(device));
    const id = device.deviceId ?? '';
    const shard = shardObject(shardOf(id));
    expect(await shard.revokeCertificate(id, await fingerprintOf(device), theftOrder)).toEqual({
      ok: true,
      changed: 2,
    });
    for (const each of [device, successor]) {
      expect(await reasonOf(each, 'ada')).toEqual([false, 'certificate_revoked']);
      expect(await renew(each)).toEqual({ ok: false, code: 'renewal_certificate_revoked' });
    }
    expect(await issueFor(device)).toEqual({ ok: false, code: 'key_blocked' });
    expect((await eventsOf(device)).slice(-2)).toEqual([
      'pki.cert.revoke keyCompromise',
      'pki.cert.revoke keyCompromise',
    ]);
  });

  it('during a renewal ends the successor before it is signed', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    await interrupted(device);
    const shard = shardObject(shardOf(id));
    await shard.revokeCertificate(id, await fingerprintOf(device), theftOrder);
    expect(await statusesOf(device)).toEqual(['revoked', 'revoked']);
    await ringAlarmOf(device);
    expect(await renew(device)).toEqual({ ok: false, code: 'renewal_certificate_revoked' });
    expect(await statusesOf(device)).toEqual(['revoked', 'revoked']);
  });

  it('while the signature is being made keeps what is signed from getting out', async () => {
    const device = await issued();
    const id = device.deviceId ?? '';
    const shard = shardObject(shardOf(id));
    const request = await renewalOf(device, { forced: true });
    const { subtle } = crypto;
    const sign = subtle.sign.bind(subtle);
    let revoked: unknown;
    vi.spyOn(subtle, 'sign').mockImplementation(async (...given) => {
      if (revoked !== undefined || !isAbout(device, given[2])) return await sign(...given);
      // The object asks itself, as somebody else would.
      const asked = shardObject(shardOf(id));
      revoked = await asked.revokeCertificate(id, await fingerprintOf(device), theftOrder);
      return await sign(...given);
    });
    expect(await shard.renew(request)).toEqual({
      ok: false,
      code: 'renewal_certificate_revoked',
    });
    expect(revoked).toMatchObject({ ok: true, changed: 2 });
    expect(await statusesOf(device)).toEqual(['revoked', 'revoked']);
  });

  it('of a user during a renewal ends the successor, too', async () => {
    const device = await issued();
    const user = newUser();
    await reasonOf(device, user);
    await interrupted(device);
    expect(
      await shardObject(shardOf(device.deviceId)).buryUser(user, 1, 'privilegeWithdrawn'),
    ).toEqual({ ok: true, revoked: 2, suspended: 0 });
    await ringAlarmOf(device);
    expect(await statusesOf(device)).toEqual(['revoked', 'revoked']);
    expect(await reasonOf(device, user)).toEqual([false, 'user_revoked']);
    expect(await renew(device)).toEqual({ ok: false, code: 'renewal_certificate_revoked' });
  });

  it('of a user suspends an unbound lineage of the device with its successor', async () => {
    const device = await issued();
    const user = newUser();
    await reasonOf(device, user);
    const spare = await issued({}, device.deviceId);
    await renewed(spare);
    await shardObject(shardOf(device.deviceId)).buryUser(user, 1);
    expect(await statusesOf(device)).toEqual(['revoked', 'suspended', 'suspended']);
  });
});
