import {
  globalPolicyAnswer,
  globalPolicyVersions,
  policyChangeAnswer,
  simulationAnswer,
  whatIfAnswer,
} from '@countersign/policy';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse } from '@countersign/testkit/fake-device';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asAdmin, createAdmin } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { countDecisions, shardCount } from './test-objects.ts';
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
import { newUser } from './test-users.ts';

// What stands behind the policies of all applications; and what is said before a policy is in force.

let client: TestClient;
let path: string;
beforeEach(async () => {
  client = await broker.registerClient();
  path = policyPath(client);
});

const current = () => policyInForce(client);

describe('the global policy', () => {
  const globalPath = '/v1/admin/global-policy';
  const putGlobal = async (rules: readonly object[], more: object = {}) => {
    const policy = { enforcement: 'enforce', rules, otherwise: 'deny', ...more };
    const response = await broker.admin('PUT', globalPath, { policy });
    expect(response.status, await response.clone().text()).toBe(200);
    return policyChangeAnswer.parse(await response.json());
  };
  const readGlobal = async (query = '') =>
    globalPolicyAnswer.parse(await (await broker.admin('GET', `${globalPath}${query}`)).json());
  const step = { effect: 'step_up', factor: { acr_values: ['phr'], amr_values: [] } };
  afterEach(() => putGlobal([trusted]));

  it('decides for an application that leaves everything to it, at once when it changes', async () => {
    await putGlobal([trusted]);
    const choices = { name: 'Wiki', enforcement: 'global' };
    const path = `/v1/admin/applications/${client.application}`;
    expect((await broker.admin('PUT', path, choices)).status).toBe(200);
    const device = await enrolled();
    const user = newUser();
    expect(await decisionOf(client, device, user)).toMatchObject({
      decision: true,
      rule: 'global/trusted',
    });
    const { organization_version } = await putGlobal([{ id: 'nobody', when: {}, effect: 'deny' }]);
    const denied = await decisionOf(client, device, user);
    expect(denied).toMatchObject({ decision: false, rule: 'global/nobody' });
    expect(denied.context.policy.version).toBe(organization_version);
    await putGlobal([], { enforcement: 'monitor' });
    // Whoever has bound the device is another one: it is not trusted, and watched alone.
    expect(await decisionOf(client, device, newUser())).toMatchObject({
      decision: true,
      rule: 'default',
      reason: 'monitor_only',
    });
    expect(await current()).toMatchObject({
      policy: { enforcement: 'global', rules: [], otherwise: 'global' },
      effective: { enforcement: 'monitor', rules: [], otherwise: 'deny' },
      source: 'choices',
    });
  });

  it('stands behind the rules of an application, and explains the one that decided', async () => {
    await putGlobal([trusted]);
    const exception = { id: 'trusted', when: { platforms: ['ios'] }, ...step };
    const own = { enforcement: 'enforce', rules: [exception], otherwise: 'global' };
    expect((await broker.admin('PUT', path, { policy: own })).status).toBe(200);
    const device = await enrolled();
    const found = await decisionOf(client, device, newUser());
    expect(found).toMatchObject({ decision: true, rule: 'global/trusted' });
    expect(found.context.policy.criteria?.map(({ criterion }) => criterion)).toEqual([
      'device_trust',
    ]);
    expect((await current()).effective?.rules.map(({ id }) => id)).toEqual([
      'trusted',
      'global/trusted',
    ]);
  });

  it('is looked at together with the rules that it stands behind, whoever changes which', async () => {
    const macs = { platforms: ['macos'], device_trust: 'trusted' };
    const own = {
      enforcement: 'enforce',
      rules: [{ id: 'macs', when: macs, effect: 'allow' }],
      otherwise: 'global',
    };
    const lax = { id: 'staff', when: { platforms: ['macos'] }, effect: 'allow' };
    await putGlobal([trusted]);
    const quiet = await broker.admin('PUT', path, { policy: own });
    // Nobody has signed in here yet; of the rules there is nothing to say.
    expect(policyChangeAnswer.parse(await quiet.json()).findings).toMatchObject([
      { code: 'trusted_too_early' },
    ]);
    const { findings } = await putGlobal([lax]);
    expect(findings.filter(({ application }) => application === client.application)).toMatchObject([
      { code: 'untrusted_let_in', rule: 'global/staff' },
    ]);
    const again = { policy: { ...own, enforcement: 'monitor' } };
    const told = policyChangeAnswer.parse(await (await broker.admin('PUT', path, again)).json());
    expect(told.findings).toMatchObject([{ code: 'untrusted_let_in', rule: 'global/staff' }]);
  });

  it('is told of the networks and groups that it names, which stay', async () => {
    const [group, zone] = [fresh('group'), fresh('zone')];
    await putGroup(group, []);
    await putZone(zone, ['192.0.2.0/24']);
    const when = { people: { groups: [group] }, network: { zones: [zone] } };
    await putGlobal([{ id: 'some', when, effect: 'deny' }]);
    const [zoneGone, groupGone] = [
      await broker.admin('DELETE', `/v1/admin/zones/${zone}`),
      await broker.admin('DELETE', `/v1/admin/groups/${group}`),
    ];
    expect(await refusalOf(zoneGone)).toEqual([409, 'zone_in_use']);
    expect(await refusalOf(groupGone)).toEqual([409, 'group_in_use']);
    const shown = await (await broker.admin('GET', `/v1/admin/groups/${group}`)).json();
    expect(shown).toMatchObject({ in_global_policy: true, applications: [] });
  });

  it('keeps its versions, is not changed by who lost a race, and leaves nothing to anybody', async () => {
    const { organization_version: first } = await putGlobal([{ ...trusted, name: fresh('name') }]);
    await putGlobal([]);
    expect((await readGlobal(`?version=${first}`)).policy.rules).toHaveLength(1);
    expect(await readGlobal('?version=1')).toMatchObject({ source: 'built_in', author: '' });
    const listed = globalPolicyVersions.parse(
      await (await broker.admin('GET', `${globalPath}/versions`)).json(),
    );
    expect(listed.versions.at(-1)).toMatchObject({ version: 1, source: 'built_in', rules: 1 });
    const policy = { enforcement: 'enforce', rules: [], otherwise: 'allow' };
    const late = { policy, expected_version: first };
    expect(await refusalOf(await broker.admin('PUT', globalPath, late))).toEqual([
      409,
      'policy_version_conflict',
    ]);
    const circular = { policy: { ...policy, otherwise: 'global' } };
    expect(await refusalOf(await broker.admin('PUT', globalPath, circular))).toEqual([
      400,
      'field_invalid',
      'policy.otherwise',
    ]);
    const unknown = { when: { network: { zones: ['nowhere'] } }, id: 'some', effect: 'deny' };
    const naming = { policy: { ...policy, rules: [unknown] } };
    expect(await refusalOf(await broker.admin('PUT', globalPath, naming))).toEqual([
      400,
      'field_invalid',
      'policy.rules.0.when.network.zones',
    ]);
    expect((await readGlobal()).policy.rules).toEqual([]);
  });

  it('is simulated on the sign-ins of those that leave something to it, and of no others', async () => {
    await putGlobal([trusted]);
    const own = { enforcement: 'global', rules: [], otherwise: 'global' };
    await broker.admin('PUT', path, { policy: own });
    const since = new Date(Date.now() - 1000).toISOString();
    const user = newUser();
    const device = await enrolled();
    await decisionOf(client, device, user);
    const aside = await broker.registerClient();
    await putRules(aside, [trusted]);
    expect(await decisionOf(aside, device, user)).toMatchObject({ decision: true });
    const policy = { enforcement: 'enforce', rules: [], otherwise: 'deny' };
    const response = await broker.admin('POST', `${globalPath}/simulate`, { policy, since });
    const found = simulationAnswer.parse(await response.json());
    expect(found.examples.filter((one) => one.user === user)).toMatchObject([
      {
        change: 'newly_denied',
        application: client.application,
        rule_before: 'global/trusted',
        rule_after: 'default',
      },
    ]);
    const counted = found.rules.filter((rule) => rule.application === client.application);
    expect(counted).toMatchObject([{ rule: 'default', decisions: 1, newly_denied: 1 }]);
    expect(found.rules.map(({ application }) => application)).not.toContain(aside.application);
  });

  it('leaves an application nothing else to choose', async () => {
    const choices = { name: 'Wiki', enforcement: 'global', other_devices: 'step_up' };
    const path = `/v1/admin/applications/${client.application}`;
    expect(await refusalOf(await broker.admin('PUT', path, choices))).toEqual([
      400,
      'field_invalid',
      'enforcement',
    ]);
  });
});

describe('what if', () => {
  const ask = (body: object) => broker.admin('POST', `${path}/what-if`, body);

  it('is asked anew each time: a key that was sent along with another question changes nothing', async () => {
    const { token } = await createAdmin('owner');
    const headers = { 'Idempotency-Key': randomText() };
    for (const user of [newUser(), newUser()]) {
      const body = { given: { user } };
      const response = await asAdmin(token, 'POST', `${path}/what-if`, body, headers);
      expect([response.status, response.headers.get('Idempotency-Replayed')]).toEqual([200, null]);
    }
  });

  it('says what would become of a sign-in, by the policy in force and by a draft, and records nothing', async () => {
    const [group, zone] = [fresh('group'), fresh('zone')];
    const user = newUser();
    await putGroup(group, [user]);
    await putZone(zone, ['192.0.2.0/24']);
    const when = { people: { groups: [group] }, network: { zones: [zone] } };
    const version = await putRules(client, [{ id: 'group-in-zone', when, effect: 'allow' }]);
    const given = { user, ip_address: '192.0.2.7' };
    const before = await countDecisions();
    expect(whatIfAnswer.parse(await (await ask({ given })).json())).toMatchObject({
      application_id: client.application,
      policy_version: version,
      effect: 'allow',
      rule: 'group-in-zone',
      rules: [{ rule: 'group-in-zone', verdict: 'met' }],
    });
    const others = await ask({ given: { ...given, groups: [] } });
    expect(await others.json()).toMatchObject({ effect: 'deny', rule: 'default' });
    const policy = { enforcement: 'monitor', rules: [], otherwise: 'deny' };
    expect(await (await ask({ given, policy })).json()).toMatchObject({
      effect: 'allow',
      reason: 'monitor_only',
    });
    expect(await countDecisions()).toEqual(before);
  });

  it('refuses facts that are none, naming the field', async () => {
    expect(await refusalOf(await ask({ given: { user: 'ada', platform: 'amiga' } }))).toEqual([
      400,
      'field_invalid',
      'given.platform',
    ]);
    const none = await broker.admin('POST', '/v1/admin/applications/none/policy/what-if', {
      given: { user: 'ada' },
    });
    expect(await refusalOf(none)).toEqual([404, 'application_not_found']);
  });

  it('refuses drafts that name what there is not, like the push that would follow', async () => {
    const wrong = (when: object) => ({
      enforcement: 'enforce',
      rules: [{ id: 'some', when, effect: 'allow' }],
      otherwise: 'deny',
    });
    const given = { user: 'ada' };
    const zones = wrong({ network: { except_zones: ['guest-wfi'] } });
    expect(await refusalOf(await ask({ given, policy: zones }))).toEqual([
      400,
      'field_invalid',
      'policy.rules.0.when.network.except_zones',
    ]);
    const groups = wrong({ people: { groups: ['nobody-knows'] } });
    expect(await refusalOf(await ask({ given, global_policy: groups }))).toEqual([
      400,
      'field_invalid',
      'global_policy.rules.0.when.people.groups',
    ]);
    const simulated = { policy: zones, since: new Date().toISOString() };
    expect(await refusalOf(await broker.admin('POST', `${path}/simulate`, simulated))).toEqual([
      400,
      'field_invalid',
      'policy.rules.0.when.network.except_zones',
    ]);
  });

  it('knows who is inactive, and whether any device is trusted', async () => {
    await putRules(client, [trusted]);
    const user = newUser();
    const given = { user, device: { trusted: true } };
    const answered = async () => await (await ask({ given })).json();
    expect(await answered()).toMatchObject({ effect: 'allow', rule: 'trusted' });
    const deviceTrust = (enabled: boolean) =>
      broker.admin('PUT', '/v1/admin/device-trust', { enabled, override: true });
    await deviceTrust(false);
    expect(await answered()).toMatchObject({ effect: 'deny', reason: 'device_trust_disabled' });
    await deviceTrust(true);
    await broker.putUser(user, false);
    expect(await answered()).toMatchObject({ effect: 'deny', reason: 'subject_inactive' });
  });
});

describe('a policy that asks for trusted devices', () => {
  /** A sign-in without any device. @returns the shard that has it */
  async function shownNothing(client: TestClient, subject: string): Promise<string> {
    const transaction = randomText();
    const evidence = evidenceWithoutResponse(await broker.challenge(client, transaction));
    const { context } = await broker.evaluate(client, { subject, transaction, evidence });
    return context.decision_id.split('.')[0] ?? '';
  }

  it('warns while few people who sign in have one', async () => {
    const device = await enrolled();
    const first = await (await broker.admin('PUT', path, policyOf([trusted]))).json();
    expect(policyChangeAnswer.parse(first).findings).toMatchObject([
      { code: 'trusted_too_early', detail: expect.stringContaining('there is none here') },
    ]);
    const user = newUser();
    const signedIn = await decisionOf(client, device, user);
    // Of somebody else, so it is not trusted.
    await decisionOf(client, device, newUser());
    const response = await broker.admin('PUT', path, policyOf([{ ...trusted, name: 'Trusted' }]));
    const { findings } = policyChangeAnswer.parse(await response.json());
    expect(findings).toMatchObject([{ code: 'trusted_too_early', severity: 'warning' }]);
    expect(findings[0]?.detail).toContain('of 2 people who signed in in the last 7 days 1 (50 %)');
    // Whoever has one has it, whichever shards have seen them without.
    const [shard = ''] = signedIn.context.decision_id.split('.');
    const without = new Set<string>();
    while (without.size < shardCount - 1) {
      const seen = await shownNothing(client, user);
      if (seen !== shard) without.add(seen);
    }
    const again = await broker.admin('PUT', path, policyOf([trusted]));
    const { findings: found } = policyChangeAnswer.parse(await again.json());
    expect(found[0]?.detail).toContain('of 2 people who signed in in the last 7 days 1 (50 %)');
    // They have one, and not of the kind that is to count.
    const strict = { policy: { ...policyOf([trusted]).policy } };
    Object.assign(strict.policy, { enrollment_strengths: ['hardware_attested'] });
    const stricter = await (await broker.admin('PUT', path, strict)).json();
    expect(policyChangeAnswer.parse(stricter).findings[0]?.detail).toContain('0 (0 %) had one');
    const choices = { name: 'CRM', enforcement: 'enforce', replace_policy: true };
    const place = `/v1/admin/applications/${client.application}`;
    const chosen = await (await broker.admin('PUT', place, choices)).json();
    expect(policyChangeAnswer.parse(chosen).findings).toMatchObject([
      { code: 'trusted_too_early' },
    ]);
  });
});
