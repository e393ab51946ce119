import { emptySimulation, simulationAnswer } from '@countersign/policy';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { broker } from './test-broker.ts';
import { countDecisions } from './test-objects.ts';
import { newUser, signInBody } from './test-users.ts';

// What a draft would have made of sign-ins that were decided.

let client: TestClient;
beforeEach(async () => {
  client = await broker.registerClient();
});

const since = () => new Date(Date.now() - 3_600_000).toISOString();
const pathOf = (application: string) => `/v1/admin/applications/${application}/policy/simulate`;
const trusted = { id: 'trusted', when: { device_trust: 'trusted' }, effect: 'allow' };
const draft = (...rules: object[]) => ({ enforcement: 'enforce', rules, otherwise: 'deny' });

async function simulate(policy: object, more: object = {}) {
  const body = { policy, since: since(), ...more };
  const response = await broker.admin('POST', pathOf(client.application), body);
  expect(response.status, await response.clone().text()).toBe(200);
  return simulationAnswer.parse(await response.json());
}

async function signIn(user: string, told: object = {}) {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  const body = await signInBody(client, device, user);
  const response = await broker.sendEvaluation(client, {
    ...body,
    context: { ...body.context, ...told },
  });
  const { decision } = (await response.json()) as { decision: boolean };
  return decision;
}

const counts = ({
  decisions,
  unchanged,
  newly_denied,
  newly_asked,
  newly_allowed,
}: Awaited<ReturnType<typeof simulate>>) => ({
  decisions,
  unchanged,
  newly_denied,
  newly_asked,
  newly_allowed,
});

describe('a simulation', () => {
  it('changes nothing for a policy that says the same', async () => {
    for (let i = 0; i < 3; i++) expect(await signIn(newUser())).toBe(true);
    const before = await countDecisions();
    const found = await simulate(draft(trusted));
    expect(counts(found)).toEqual({
      decisions: 3,
      unchanged: 3,
      newly_denied: 0,
      newly_asked: 0,
      newly_allowed: 0,
    });
    expect(found).toMatchObject({ complete: true, examples: [] });
    expect(found.rules).toMatchObject([{ rule: 'trusted', decisions: 3 }]);
    expect(await countDecisions()).toEqual(before);
  });

  it('says who would be denied, asked and let in, by which rule, with examples', async () => {
    const [denied, asked] = [newUser(), newUser()];
    await signIn(denied, { ip_address: '198.51.100.7' });
    await signIn(denied, { ip_address: '198.51.100.8' });
    await signIn(asked, { ip_address: '192.0.2.7' });
    const zone = `zone-${crypto.randomUUID().slice(0, 8)}`;
    const blocks = ['192.0.2.0/24'];
    await broker.admin('PUT', `/v1/admin/zones/${zone}`, { name: zone, blocks });
    const factor = { acr_values: ['phr'], amr_values: [] };
    const found = await simulate(
      draft({ ...trusted, when: { network: { zones: [zone] } }, effect: 'step_up', factor }),
    );
    expect(counts(found)).toEqual({
      decisions: 3,
      unchanged: 0,
      newly_denied: 2,
      newly_asked: 1,
      newly_allowed: 0,
    });
    expect(found.users_newly_denied).toBe(1);
    expect(found.rules).toMatchObject([
      { rule: 'trusted', decisions: 1, newly_asked: 1 },
      { rule: 'default', decisions: 2, newly_denied: 2 },
    ]);
    expect(found.examples.map(({ user, change }) => [user, change]).toSorted()).toEqual(
      [
        [asked, 'newly_asked'],
        [denied, 'newly_denied'],
        [denied, 'newly_denied'],
      ].toSorted(),
    );
    expect(found.examples[0]).toMatchObject({ rule_before: 'trusted-devices' });
  });

  it('knows the groups of today, those too that no policy named then', async () => {
    const [member, other] = [newUser(), newUser()];
    await signIn(member);
    await signIn(other);
    const group = `group-${crypto.randomUUID().slice(0, 8)}`;
    await broker.admin('PUT', `/v1/admin/groups/${group}`, { name: group, members: [member] });
    const found = await simulate(
      draft({ ...trusted, when: { people: { groups: [group] }, device_trust: 'trusted' } }),
    );
    expect(counts(found)).toMatchObject({ decisions: 2, unchanged: 1, newly_denied: 1 });
    expect(found.examples).toMatchObject([{ user: other, reason_after: 'policy_denied' }]);
  });

  it('counts a device less that was enrolled in another way than the draft takes', async () => {
    await signIn(newUser());
    const found = await simulate({
      ...draft(trusted),
      enrollment_strengths: ['hardware_attested'],
    });
    expect(found.examples).toMatchObject([
      { change: 'newly_denied', reason_after: 'enrollment_strength_insufficient' },
    ]);
  });

  it('is of one application and of the time that is asked for', async () => {
    await signIn(newUser());
    const own = client;
    client = await broker.registerClient();
    expect((await simulate(draft())).decisions).toBe(0);
    client = own;
    expect((await simulate(draft())).decisions).toBe(1);
    const past = new Date(Date.now() - 60_000).toISOString();
    expect((await simulate(draft(), { until: past })).decisions).toBe(0);
    const future = new Date(Date.now() + 60_000).toISOString();
    expect((await simulate(draft(), { since: future })).decisions).toBe(0);
  });

  it('says so where there are more records than one request looks at', async () => {
    expect((await simulate(draft(trusted))).complete).toBe(true);
    const asked = vi
      .spyOn(DeviceObject.prototype, 'simulatePolicy')
      .mockImplementation(async () => ({
        ok: true,
        page: { part: emptySimulation(), before: 2 },
      }));
    try {
      expect((await simulate(draft(trusted))).complete).toBe(false);
      expect(asked).toHaveBeenCalledTimes(1000);
    } finally {
      asked.mockRestore();
    }
  });

  it('counts each person once, and gives ten examples', async () => {
    const users = Array.from({ length: 30 }, newUser);
    for (const user of users) await signIn(user);
    const found = await simulate(draft());
    expect(counts(found)).toMatchObject({ decisions: 30, newly_denied: 30 });
    expect(found.users_newly_denied).toBe(30);
    expect(found.examples).toHaveLength(10);
  });
});

describe('a simulation is refused', () => {
  it.each([
    [{ policy: draft({ ...trusted, effect: 'permit' }) }, 400, 'field_invalid'],
    [
      { policy: draft({ ...trusted, when: { people: { groups: ['none'] } } }) },
      400,
      'field_invalid',
    ],
    [{ policy: draft(), since: 'yesterday' }, 400, 'field_invalid'],
  ])('%j', async (body, status, code) => {
    const asked = { since: since(), ...body };
    const response = await broker.admin('POST', pathOf(client.application), asked);
    expect(problemDocument.parse(await response.json())).toMatchObject({ status, code });
  });

  it('for an application that there is not', async () => {
    const body = { policy: draft(), since: since() };
    const response = await broker.admin('POST', pathOf('none'), body);
    expect(problemDocument.parse(await response.json())).toMatchObject({
      code: 'application_not_found',
    });
  });
});
