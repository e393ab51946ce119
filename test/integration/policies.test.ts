import { policyAnswer, policyVersions, zoneList } from '@countersign/policy';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import type { TestClient } from '@countersign/testkit/broker-client';
import { beforeEach, describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';
import {
  decisionOf,
  enrolled,
  fresh,
  policyInForce,
  policyOf,
  policyPath,
  putGroup,
  putRules,
  putZone,
  refusalOf,
  trusted,
} from './test-policies.ts';
import { newUser, signInBody } from './test-users.ts';

// Policies of rules as administrators write them, and the sign-ins that they decide.

let client: TestClient;
let path: string;
beforeEach(async () => {
  client = await broker.registerClient();
  path = policyPath(client);
});

const current = () => policyInForce(client);

describe('rules', () => {
  it('are told again to whoever repeats a request, and never those of another policy', async () => {
    await putRules(client, [trusted]);
    const body = await signInBody(client, await enrolled(), newUser());
    const ask = async () => {
      const response = await broker.sendEvaluation(client, body);
      return evaluationAnswer.parse(await response.json()).context.policy;
    };
    const first = await ask();
    expect(first.criteria).toMatchObject([{ criterion: 'device_trust', verdict: 'met' }]);
    expect(await ask()).toEqual(first);
    await putRules(client, [{ ...trusted, when: { platforms: ['ios'] } }]);
    expect(await ask()).toEqual({ version: first.version, rule: 'trusted' });
  });

  it('that ask for a factor tell their period with the allow that it becomes', async () => {
    const factor = { acr_values: ['phr'], amr_values: [] };
    const [rule, seconds] = [{ id: 'factor', when: {}, effect: 'step_up', factor }, 1_800];
    await putRules(client, [{ ...rule, reauthenticate_after_seconds: seconds }]);
    const body = await signInBody(client, await enrolled(), newUser());
    const pending = await broker.sendEvaluation(client, body);
    expect(await pending.json()).toMatchObject({
      decision: false,
      context: { reason_code: 'step_up_required', reauthenticate_after_seconds: seconds },
    });
    const { decision, context } = await broker.complete(client, body, { acr: 'phr', amr: [] });
    expect(decision).toBe(true);
    expect(context).toMatchObject({
      reason_code: 'step_up_completed',
      reauthenticate_after_seconds: seconds,
    });
  });

  it('decide by groups, networks and platforms, the first that matches', async () => {
    const [group, zone] = [fresh('group'), fresh('zone')];
    const [member, other] = [newUser(), newUser()];
    await putGroup(group, [member]);
    await putZone(zone, ['192.0.2.0/24', '2001:db8::/32']);
    await putRules(client, [
      { id: 'no-phones', when: { platforms: ['ios', 'android'] }, effect: 'deny' },
      {
        id: 'group-in-zone',
        when: { people: { groups: [group] }, network: { zones: [zone] }, device_trust: 'trusted' },
        effect: 'allow',
        reauthenticate_after_seconds: 3600,
      },
      {
        id: 'trusted-elsewhere',
        when: { device_trust: 'trusted' },
        effect: 'step_up',
        factor: { acr_values: ['phr'], amr_values: [] },
      },
    ]);
    const device = await enrolled();
    const inZone = await decisionOf(client, device, member, { ip_address: '192.0.2.7' });
    expect(inZone).toMatchObject({ decision: true, rule: 'group-in-zone' });
    expect(inZone.context.reauthenticate_after_seconds).toBe(3600);
    expect(inZone.context.policy.criteria?.map(({ criterion, seen }) => [criterion, seen])).toEqual(
      [
        ['people', `${member}, in ${group}`],
        ['network', `192.0.2.7, in ${zone}`],
        ['device_trust', 'trusted'],
      ],
    );
    const away = await decisionOf(client, device, member, { ip_address: '198.51.100.7' });
    expect(away).toMatchObject({ decision: false, rule: 'trusted-elsewhere' });
    expect(away.context.step_up?.acr_values).toEqual(['phr']);
    // Nobody said where: the stricter of the two.
    expect(await decisionOf(client, device, member)).toMatchObject({ rule: 'trusted-elsewhere' });
    const second = await enrolled();
    expect(await decisionOf(client, second, other, { ip_address: '2001:db8::7' })).toMatchObject({
      decision: false,
      rule: 'trusted-elsewhere',
    });
    expect(await decisionOf(client, second, other, { platform: 'ios' })).toMatchObject({
      // The device has signed what it is.
      rule: 'trusted-elsewhere',
    });
  });

  it('follow a group as its members change', async () => {
    const group = fresh('group');
    const user = newUser();
    await putGroup(group, []);
    const members = { people: { groups: [group] }, device_trust: 'trusted' };
    await putRules(client, [{ id: 'members', when: members, effect: 'allow' }]);
    const device = await enrolled();
    expect(await decisionOf(client, device, user)).toMatchObject({
      decision: false,
      rule: 'default',
    });
    await putGroup(group, [user]);
    expect(await decisionOf(client, device, user)).toMatchObject({
      decision: true,
      rule: 'members',
    });
    await putGroup(group, []);
    expect(await decisionOf(client, device, user)).toMatchObject({
      decision: false,
      rule: 'default',
    });
  });

  it('count what a device has shown only while it is trusted', async () => {
    const strong = { enrollment_strengths: ['one_time_token'] };
    await putRules(client, [{ id: 'strong', when: strong, effect: 'allow' }]);
    const [device, user] = [await enrolled(), newUser()];
    expect(await decisionOf(client, device, user)).toMatchObject({
      decision: true,
      rule: 'strong',
    });
    const [only] = (await broker.device(device.deviceId ?? '')).certificates;
    await broker.revoke(device.deviceId ?? '', only?.fingerprint_sha256 ?? '');
    expect(await decisionOf(client, device, user)).toMatchObject({
      decision: false,
      rule: 'default',
    });
  });

  it('that are switched off are as if they were not there', async () => {
    await putRules(client, [{ ...trusted, enabled: false }]);
    expect(await decisionOf(client, await enrolled(), newUser())).toMatchObject({
      rule: 'default',
    });
  });
});

describe('versions of a policy', () => {
  it('are kept, with who made them and why, and can be gone back to', async () => {
    const choices = await current();
    expect(choices).toMatchObject({ source: 'choices', author: 'owner', comment: '' });
    const first = await putRules(client, [trusted], { comment: 'first' });
    await putRules(client, [], { comment: 'nobody', expected_version: first });
    const older = policyAnswer.parse(
      await (await broker.admin('GET', `${path}?version=${first}`)).json(),
    );
    expect(older).toMatchObject({ comment: 'first', source: 'rules', author: 'owner' });
    const { version: _, ...policy } = older.policy;
    expect((await broker.admin('PUT', path, { policy })).status).toBe(200);
    expect((await current()).policy.rules).toEqual([trusted]);
    const listed = policyVersions.parse(
      await (await broker.admin('GET', `${path}/versions`)).json(),
    );
    expect(listed.versions.map(({ comment, rules }) => [comment, rules])).toEqual([
      ['', 1],
      ['nobody', 0],
      ['first', 1],
      ['', 1],
    ]);
  });

  it('are not made where nothing changes, or somebody else was faster', async () => {
    const version = await putRules(client, [trusted]);
    expect(await putRules(client, [trusted])).toBe(version);
    const late = policyOf([], { expected_version: version - 1 });
    expect(await refusalOf(await broker.admin('PUT', path, late))).toEqual([
      409,
      'policy_version_conflict',
    ]);
    expect((await current()).policy.version).toBe(version);
  });

  it('of rules do not go because the application’s choices are sent again', async () => {
    await putRules(client, [trusted, { ...trusted, id: 'again' }]);
    const choices = { name: 'Renamed', enforcement: 'monitor' };
    const application = path.replace('/policy', '');
    expect(await refusalOf(await broker.admin('PUT', application, choices))).toEqual([
      409,
      'application_has_rules',
    ]);
    expect((await current()).policy.rules).toHaveLength(2);
    const replaced = await broker.admin('PUT', application, { ...choices, replace_policy: true });
    expect(replaced.status).toBe(200);
    expect(await current()).toMatchObject({
      source: 'choices',
      policy: { enforcement: 'monitor' },
    });
  });

  it('of what there is not are not found', async () => {
    for (const unknown of [`${path}?version=1`, '/v1/admin/applications/none/policy']) {
      expect(await refusalOf(await broker.admin('GET', unknown))).toEqual([
        404,
        'policy_not_found',
      ]);
    }
    expect(await refusalOf(await broker.admin('GET', `${path}?version=x`))).toEqual([
      400,
      'field_invalid',
      'version',
    ]);
    const none = await broker.admin('PUT', '/v1/admin/applications/none/policy', policyOf([]));
    expect(await refusalOf(none)).toEqual([404, 'application_not_found']);
  });
});

describe('a policy is refused', () => {
  const factor = { acr_values: [], amr_values: [] };
  it.each<[string, object[], string]>([
    [
      'with a zone that there is not',
      [{ ...trusted, when: { network: { zones: ['none'] } } }],
      'policy.rules.0.when.network.zones',
    ],
    [
      'with a group that there is not',
      [trusted, { ...trusted, id: 'b', when: { people: { except_groups: ['none'] } } }],
      'policy.rules.1.when.people.except_groups',
    ],
    ['with an id twice', [trusted, trusted], 'policy.rules'],
    [
      'with a condition that is none',
      [{ ...trusted, when: { country: 'DE' } }],
      'policy.rules.0.when.country',
    ],
    [
      'with a list of nobody',
      [{ ...trusted, when: { people: { users: [] } } }],
      'policy.rules.0.when.people.users',
    ],
    ['with an effect that is none', [{ ...trusted, effect: 'permit' }], 'policy.rules.0.effect'],
    ['with a factor and no step-up', [{ ...trusted, factor }], 'policy.rules.0.factor'],
    [
      'with more rules than a thousand',
      Array.from({ length: 1001 }, (_, i) => ({ ...trusted, id: `r${i}` })),
      'policy.rules',
    ],
  ])('%s', async (_, rules, field) => {
    const before = await current();
    const refused = await broker.admin('PUT', path, policyOf(rules));
    expect(await refusalOf(refused)).toEqual([400, 'field_invalid', field]);
    expect(await current()).toEqual(before);
  });
});

describe('a zone and a group that a policy names', () => {
  it('stay as long as it does', async () => {
    const [group, zone] = [fresh('group'), fresh('zone')];
    await putGroup(group, ['ada']);
    await putZone(zone, ['203.0.113.0/24'], true);
    await putRules(client, [
      { ...trusted, when: { people: { groups: [group] }, network: { except_zones: [zone] } } },
    ]);
    const remove = (kind: string, id: string) => broker.admin('DELETE', `/v1/admin/${kind}/${id}`);
    expect(await refusalOf(await remove('zones', zone))).toEqual([409, 'zone_in_use']);
    expect(await refusalOf(await remove('groups', group))).toEqual([409, 'group_in_use']);
    await putRules(client, [trusted]);
    expect((await remove('zones', zone)).status).toBe(200);
    expect((await remove('groups', group)).status).toBe(200);
    expect(await refusalOf(await remove('zones', zone))).toEqual([404, 'zone_not_found']);
  });

  it.each(['192.0.2.1/24', '10.0.0.0/33', 'office', '2001:db8::/129', ''])(
    'has no block %j',
    async (block) => {
      const refused = await putZone('bad', [block]);
      expect(await refusalOf(refused)).toEqual([400, 'field_invalid', 'blocks.0']);
    },
  );
});

describe('all zones together', () => {
  const read = async () =>
    zoneList.parse(await (await broker.admin('GET', '/v1/admin/zones')).json()).zones;
  const blocks = (count: number) =>
    Array.from({ length: count }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`);

  it('have ten thousand blocks at most, and one more is refused without a trace', async () => {
    const before = (await read()).reduce((sum, zone) => sum + zone.blocks.length, 0);
    const made: string[] = [];
    for (let left = 10_000 - before; left > 0; left -= 1000) {
      const zone = fresh('zone');
      made.push(zone);
      expect((await putZone(zone, blocks(Math.min(left, 1000)))).status).toBe(200);
    }
    const full = await read();
    expect(await refusalOf(await putZone(fresh('zone'), blocks(1)))).toEqual([
      409,
      'zone_limit_reached',
    ]);
    expect(await read()).toEqual(full);
    // Those of the zone itself are not counted beside the new ones.
    const [first = ''] = made;
    expect((await putZone(first, blocks(999))).status).toBe(200);
    for (const zone of made) await broker.admin('DELETE', `/v1/admin/zones/${zone}`);
  });
});
