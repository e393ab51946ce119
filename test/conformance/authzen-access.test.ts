// AuthZEN Authorization API 1.0 about access inside of applications: what rules make of it, and whose word counts.
import { accessAnswer, evaluationsAnswer } from '@countersign/protocol/authzen';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, document, ids, user } from '../support/access-world.ts';
import { expectProblem, expectTrusted } from '../support/expect-answer.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let world: AccessWorld;
let client: TestClient;
beforeAll(async () => {
  broker = await TestBroker.start();
  world = new AccessWorld(broker);
  client = await world.newClient();
});
afterAll(() => broker?.stopAndRemove());

describe('rules', () => {
  it('decide by what is stored, and say what they saw', async () => {
    const answer = await world.ask(client, user('eve'), 'share', document('page-00'));
    expect(answer).toMatchObject({
      decision: true,
      context: {
        reason_code: 'access_allowed',
        decision_id: expect.stringMatching(/^\d+\.\d+$/),
        policy: {
          rule: 'share',
          criteria: [
            { criterion: 'actions', verdict: 'met', wanted: 'share', seen: 'share' },
            {
              criterion: 'subject_properties',
              verdict: 'met',
              wanted: 'role "editor" or "owner"',
              seen: 'role "editor"',
            },
          ],
        },
      },
    });
    expect(answer.context).not.toHaveProperty('decision_token');
    expect(await world.ruleOf(client, user('eve'), 'share', document('plan'))).toEqual([
      false,
      'secrets',
    ]);
    expect(await world.ruleOf(client, user('guest'), 'read', document('plan'))).toEqual([
      true,
      'read',
    ]);
    const service = { type: 'service', id: 'backup' };
    expect(await world.ruleOf(client, service, 'share', document('page-00'))).toEqual([
      true,
      'share',
    ]);
  });

  it('are strict where nobody has said what would tell', async () => {
    // Whether it is a secret is not known of a document that is not on record.
    expect(await world.ruleOf(client, user('eve'), 'share', document('unlisted'))).toEqual([
      false,
      'secrets',
    ]);
    expect(await world.ruleOf(client, user('stranger'), 'read', document('page-00'))).toEqual([
      false,
      'default',
    ]);
  });

  it('are asked by clients of the application alone, about what it has', async () => {
    const other = await broker.client.registerClient();
    const reasonOf = async (subject: object, action: string, resource: object, by = client) =>
      (await world.ask(by, subject, action, resource)).context.reason_code;
    expect(await reasonOf(user('eve'), 'read', document('plan'), other)).toBe(
      'resource_type_unknown',
    );
    expect(await reasonOf(user('eve'), 'burn', document('plan'))).toBe('action_unknown');
    const user2 = randomText(8);
    await broker.client.admin('PUT', `/v1/admin/users/${user2}`, { active: false });
    expect(await reasonOf(user(user2), 'read', document('plan'))).toBe('subject_inactive');
  });

  it('are recorded first, all of one request in one row', async () => {
    const before = (await world.accessRows()).length;
    const evaluations = ids('page-', 12).map((id) => ({ resource: document(id) }));
    const response = await world.send(client, 'evaluations', {
      subject: user('eve'),
      action: { name: 'share' },
      evaluations,
    });
    const answers = evaluationsAnswer.parse(await response.json()).evaluations;
    const rows = await world.accessRows();
    expect(rows).toHaveLength(before + 1);
    const row = rows.find(({ shard, sequence }) =>
      answers.every(
        ({ context }) => 'decision_id' in context && context.decision_id === `${shard}.${sequence}`,
      ),
    );
    expect(row).toMatchObject({ client_id: client.clientId });
    expect(row?.evaluations).toHaveLength(12);
    expect(row?.evaluations[0]).toMatchObject({
      subject: 'eve',
      resource: 'page-00',
      application: client.application,
      decision: true,
      rule: 'share',
    });
  });
});

describe('#68 what a client says of others', () => {
  const owner = { role: 'owner' };

  it('counts for nothing where it is not registered as the source', async () => {
    expect(await world.ruleOf(client, user('guest', owner), 'share', document('page-00'))).toEqual([
      false,
      'default',
    ]);
    expect(
      await world.ruleOf(client, user('stranger', owner), 'share', document('page-00')),
    ).toEqual([false, 'default']);
    expect(
      await world.ruleOf(client, user('eve'), 'share', document('plan', { secret: false })),
    ).toEqual([false, 'secrets']);
  });

  it('counts where nothing is stored, if it is', async () => {
    const by = await world.newClient({
      property_sources: [
        { entity: 'subject', name: 'role' },
        { entity: 'resource', name: 'secret' },
      ],
    });
    const share = (subject: object, resource: object) =>
      world.ruleOf(by, subject, 'share', resource);
    // On record: its word does not override.
    expect(await share(user('guest', owner), document('page-00'))).toEqual([false, 'default']);
    expect(await share(user('eve'), document('plan', { secret: false }))).toEqual([
      false,
      'secrets',
    ]);
    // Not on record.
    expect(await share(user('stranger', owner), document('page-00'))).toEqual([true, 'share']);
    expect(await share(user('eve'), document('unlisted', { secret: false }))).toEqual([
      true,
      'share',
    ]);
    expect(await share(user('eve'), document('unlisted', { secret: true }))).toEqual([
      false,
      'secrets',
    ]);
    // Who could say does not: the stricter of both.
    expect(await share(user('eve'), document('unlisted'))).toEqual([false, 'secrets']);
    const asserted = (await world.accessRows()).flatMap(({ evaluations }) => evaluations);
    expect(asserted).toContainEqual(
      expect.objectContaining({ asserted: { resource: { secret: [false] } }, rule: 'share' }),
    );
  });

  it('overrides what is stored only where its registration says so', async () => {
    const by = await world.newClient({
      property_sources: [{ entity: 'subject', name: 'role', overrides_stored: true }],
    });
    const share = (subject: object) => world.ruleOf(by, subject, 'share', document('page-00'));
    expect(await share(user('guest', owner))).toEqual([true, 'share']);
    expect(await share(user('eve', { role: 'guest' }))).toEqual([false, 'default']);
    expect(await share(user('eve'))).toEqual([true, 'share']);
    expect(
      await world.ruleOf(by, user('eve'), 'share', document('plan', { secret: false })),
    ).toEqual([false, 'secrets']);
  });

  it('is of the type that it is: nothing is read as something else', async () => {
    const by = await world.newClient({
      property_sources: [
        { entity: 'resource', name: 'secret', overrides_stored: true },
        { entity: 'subject', name: 'role', overrides_stored: true },
      ],
    });
    const share = (secret: unknown) =>
      world.ruleOf(by, user('eve'), 'share', document('plan', { secret }));
    expect(await share(false)).toEqual([true, 'share']);
    expect(await share([false, true])).toEqual([false, 'secrets']);
    for (const unreadable of [{ value: false }, null, [null], [[false]]]) {
      expect(await share(unreadable)).toEqual([false, 'secrets']);
    }
    // Known, and not the boolean that the rule asks for.
    for (const other of ['true', 1, 'false', []]) {
      expect(await share(other)).toEqual([true, 'share']);
    }
    for (const properties of [7, 'role', [], null]) {
      const body = {
        subject: { ...user('eve'), properties },
        action: { name: 'read' },
        resource: document('plan'),
      };
      await expectProblem(
        await world.send(by, 'evaluation', body),
        400,
        'field_invalid',
        'subject.properties',
      );
    }
  });

  it('is its own words, not what objects have from their makers', async () => {
    const by = await world.newClient({
      property_sources: [{ entity: 'subject', name: 'constructor' }],
    });
    const print = (subject: object, of = client) =>
      world.ruleOf(of, subject, 'print', document('plan'));
    expect(await print(user('stranger'))).toEqual([false, 'default']);
    expect(await print(user('stranger', { constructor: 'press' }))).toEqual([false, 'default']);
    expect(await print(user('stranger', { constructor: 'press' }), by)).toEqual([
      true,
      'prototype',
    ]);
    expect(await print(user('eve', { constructor: 'press' }), by)).toEqual([false, 'default']);
    const polluted = `{"subject":{"type":"user","id":"stranger","properties":{"__proto__":{"constructor":"press"},"constructor":{"prototype":{"role":"owner"}}}},"action":{"name":"print"},"resource":{"type":"document","id":"plan"}}`;
    const answer = accessAnswer.parse(await (await world.send(by, 'evaluation', polluted)).json());
    expect(answer.decision).toBe(false);
    expect(await print(user('reader-00'), by)).toEqual([false, 'default']);
  });

  it('is refused where it is nested deeper than anything means', async () => {
    const deep = `${'{"a":['.repeat(20)}1${']}'.repeat(20)}`;
    for (const [member, field] of [
      [`"subject":{"type":"user","id":"eve","properties":{"x":${deep}}}`, 'subject.properties'],
      [`"subject":{"type":"user","id":"eve"},"context":{"x":${deep}}`, 'context'],
    ] as const) {
      const body = `{${member},"action":{"name":"read"},"resource":{"type":"document","id":"plan"}}`;
      for (const path of ['evaluation', 'search/action', 'search/resource']) {
        await expectProblem(await world.send(client, path, body), 400, 'field_invalid', field);
      }
    }
    const bottomless = `${'['.repeat(15_000)}${']'.repeat(15_000)}`;
    const body = `{"subject":{"type":"user","id":"eve","properties":{"x":${bottomless}}}}`;
    for (const path of ['evaluation', 'evaluations', 'search/action']) {
      expect((await world.send(client, path, body)).status).toBe(400);
    }
  });
});

describe('a decision token', () => {
  it('tells of the device that the subject has just signed in with', async () => {
    const device = await enrollDevice(broker);
    const signedIn = await broker.client.signIn(client, device, 'eve');
    expectTrusted(signedIn);
    const token = signedIn.context.decision_token ?? '';
    const write = (subject: object, context: object, by = client) =>
      world.ask(by, subject, 'write', document('plan'), context);
    expect(await write(user('eve'), { decision_token: token })).toMatchObject({
      decision: true,
      context: { policy: { rule: 'write-at-a-trusted-device' } },
    });
    const trust = (enabled: boolean) =>
      broker.client.admin('PUT', '/v1/admin/device-trust', { enabled, override: true });
    await trust(false);
    expect((await write(user('eve'), { decision_token: token })).decision).toBe(false);
    await trust(true);
    const [header, payload, signature = ''] = token.split('.');
    const other = await world.newClient();
    const forged = `${header}.${payload}.${signature.slice(0, -4)}AAAA`;
    for (const decision_token of [undefined, '', 'x.y.z', forged, `${token}.`]) {
      expect((await write(user('eve'), { decision_token })).decision).toBe(false);
    }
    const another = await broker.client.signIn(client, await enrollDevice(broker), 'guest');
    expectTrusted(another);
    const ofAnother = { decision_token: another.context.decision_token };
    expect((await write(user('eve'), ofAnother)).decision).toBe(false);
    expect((await write(user('eve'), { decision_token: token }, other)).decision).toBe(false);
    const body = { subject: user('eve'), action: { name: 'write' }, resource: document('plan') };
    const wrong = await world.send(client, 'evaluation', {
      ...body,
      context: { decision_token: 7 },
    });
    await expectProblem(wrong, 400, 'field_invalid', 'context.decision_token');
  });
});
