import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeAll, describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';
import {
  eventsOf,
  issued,
  issueFor,
  renew,
  renewalOf,
  renewed,
  statusesOf,
} from './test-issuance.ts';
import { organizationObject, shardObject, shardOf, sqlInShard } from './test-objects.ts';
import { end, newUser } from './test-users.ts';

// Certificates that were asked for in a user's name and that nobody has signed in with: theirs until somebody has.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});

/** A device with a token for this user, and what asking for a certificate with it comes to. */
async function ask(user: string, device: FakeDevice) {
  const { enrollment_token } = await broker.createEnrollmentToken(device.hardwareId, 600, user);
  const request = { ...device.enrollmentRequest(enrollment_token), user };
  return await broker.post('/v1/enrollments', request);
}

async function enrolledFor(user: string, hardwareId?: FakeDevice['hardwareId']) {
  const device = await FakeDevice.create(hardwareId);
  const response = await ask(user, device);
  const answer = (await response.json()) as { certificate: string; device_id: string };
  expect(response.status, JSON.stringify(answer)).toBe(201);
  device.certificate = Buffer.from(answer.certificate, 'base64url');
  device.deviceId = answer.device_id;
  return device;
}

const certificateOf = async (device: FakeDevice) =>
  (await broker.device(device.deviceId ?? '')).certificates[0];

describe('a certificate that was asked for in the name of a user', () => {
  it.each(['deactivate', 'revoke'] as const)('ends when they %s', async (how) => {
    const user = newUser();
    const device = await enrolledFor(user);
    const other = await enrolledFor(newUser());
    expect(await certificateOf(device)).toMatchObject({ status: 'issued', requested_user: user });
    await end(user, how);
    expect(await certificateOf(device)).toMatchObject({
      status: 'revoked',
      revocation_reason: 'affiliationChanged',
    });
    expect(await certificateOf(other)).toMatchObject({ status: 'issued' });
    const { context } = await broker.signIn(client, device, newUser());
    expect(context.reason_code).toBe('certificate_revoked');
  });

  it('is their certificate in the log', async () => {
    const user = newUser();
    const device = await enrolledFor(user);
    const rows = await sqlInShard(
      shardOf(device.deviceId),
      `SELECT json_extract(record, '$.event_type') AS type, json_extract(record, '$.user') AS user
       FROM decisions WHERE device_id = ? ORDER BY sequence`,
      device.deviceId ?? '',
    );
    expect(rows).toEqual([
      { type: 'user.credential.enroll', user },
      { type: 'pki.cert.issue', user },
    ]);
  });

  it('puts on hold, as it ends, what nobody has signed in with on the same device', async () => {
    const user = newUser();
    const device = await enrolledFor(user);
    const second = await FakeDevice.create(device.hardwareId);
    await broker.enroll(second);
    await end(user, 'revoke');
    expect(await statusesOf(device)).toEqual(['revoked', 'suspended']);
  });

  it('belongs to whoever signs in with it first, from then on', async () => {
    const [asked, signedIn] = [newUser(), newUser()];
    const device = await enrolledFor(asked);
    expect(await broker.signIn(client, device, signedIn)).toMatchObject({ decision: true });
    await end(asked, 'deactivate');
    expect(await certificateOf(device)).toMatchObject({ status: 'bound', bound_user: signedIn });
    await end(signedIn, 'revoke');
    expect(await certificateOf(device)).toMatchObject({ status: 'revoked' });
  });

  it('takes its name with it when it is renewed, and is not renewed for somebody inactive', async () => {
    const user = newUser();
    const device = await enrolledFor(user);
    const first = device.certificate;
    device.certificate = await renewed(device);
    expect(device.certificate).not.toEqual(first);
    await end(user, 'deactivate');
    expect(await statusesOf(device)).toEqual(['revoked', 'revoked']);
    expect((await broker.sendRenewal(device)).status).toBe(403);
  });

  it('can be had anew by a user who was revoked and is still active', async () => {
    const user = newUser();
    await end(user, 'revoke');
    const device = await enrolledFor(user);
    expect(await certificateOf(device)).toMatchObject({ status: 'issued' });
    await end(user, 'revoke');
    expect(await certificateOf(device)).toMatchObject({ status: 'revoked' });
  });

  it('is not for a user who was deactivated, and leaves no intent', async () => {
    const user = newUser();
    await broker.putUser(user, false);
    const device = await FakeDevice.create();
    const response = await ask(user, device);
    expect([response.status, await response.json()]).toMatchObject([
      403,
      { code: 'enrollment_user_inactive' },
    ]);
  });
});

describe('the end of a user between the reservation and the intent', () => {
  const epochOf = async (user: string, shard: number) => {
    const reserved = await organizationObject().reserveBinding(user, shard);
    if (!reserved.ok) throw new Error(reserved.code);
    return reserved.epoch;
  };

  it('lets no certificate of the ended epoch come to be, and one of the next', async () => {
    const user = newUser();
    const device = await FakeDevice.create();
    device.deviceId = (await issued()).deviceId;
    const shard = shardOf(device.deviceId);
    const userEpoch = await epochOf(user, shard);
    await end(user, 'revoke');
    expect(await issueFor(device, { user, userEpoch })).toEqual({
      ok: false,
      code: 'enrollment_user_inactive',
    });
    const next = await epochOf(user, shard);
    expect(await issueFor(device, { user, userEpoch: next })).toMatchObject({ ok: true });
  });

  it('does not let a late tombstone end what the next epoch was given', async () => {
    const user = newUser();
    const device = await issued({ user, userEpoch: 1 });
    const second = await issued({ user, userEpoch: 2 }, device.deviceId);
    expect(await statusesOf(device)).toEqual(['revoked', 'issued']);
    await shardObject(shardOf(device.deviceId)).buryUser(user, 1);
    expect(await statusesOf(second)).toEqual(['revoked', 'issued']);
    expect(await eventsOf(device)).toContain('pki.cert.revoke affiliationChanged');
  });

  it('refuses a user of whom nothing was reserved', async () => {
    const device = await FakeDevice.create();
    expect(await issueFor(device, { user: newUser() })).toMatchObject({ ok: false });
  });

  it('renews nothing that a tombstone has ended', async () => {
    const user = newUser();
    const device = await issued({ user, userEpoch: 1 });
    await shardObject(shardOf(device.deviceId)).buryUser(user, 1);
    expect(await renew(device, await renewalOf(device))).toEqual({
      ok: false,
      code: 'renewal_certificate_revoked',
    });
  });
});

describe('a request that comes again with the same key', () => {
  it('names the user where nobody was named, and nobody else later', async () => {
    const [first, second] = [newUser(), newUser()];
    const device = await issued();
    await issueFor(device, { user: first, userEpoch: 1 });
    await issueFor(device, { user: second, userEpoch: 1 });
    await shardObject(shardOf(device.deviceId)).buryUser(second, 1);
    expect(await statusesOf(device)).toEqual(['issued']);
    await shardObject(shardOf(device.deviceId)).buryUser(first, 1);
    expect(await statusesOf(device)).toEqual(['revoked']);
  });
});
