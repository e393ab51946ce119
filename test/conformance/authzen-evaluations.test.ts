// AuthZEN Authorization API 1.0: several evaluations in one request, of access and of sign-ins.
import { evaluationsAnswer, maxEvaluations } from '@countersign/protocol/authzen';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, document, user } from '../support/access-world.ts';
import { expectProblem, expectTrusted, readDecision } from '../support/expect-answer.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
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

describe('several evaluations in one request', () => {
  const may = { resource: document('page-00') };
  const mayNot = { resource: document('plan') };
  const wrong = { resource: 7 };

  async function decide(evaluations: unknown, semantic?: string) {
    const response = await world.send(client, 'evaluations', {
      subject: user('eve'),
      action: { name: 'share' },
      evaluations,
      ...(semantic === undefined ? {} : { options: { evaluations_semantic: semantic, more: 1 } }),
    });
    expect(response.status, await response.clone().text()).toBe(200);
    return evaluationsAnswer.parse(await response.json()).evaluations;
  }
  const decisions = async (...asked: Parameters<typeof decide>) =>
    (await decide(...asked)).map(({ decision }) => decision);

  it('are all made, in their order, where nothing else is asked for', async () => {
    const asked = [may, mayNot, wrong, may];
    expect(await decisions(asked)).toEqual([true, false, false, true]);
    expect(await decisions(asked, 'execute_all')).toEqual([true, false, false, true]);
  });

  it('end with the first denial or failure', async () => {
    expect(await decisions([may, mayNot, may], 'deny_on_first_deny')).toEqual([true, false]);
    expect(await decisions([may, wrong, may], 'deny_on_first_deny')).toEqual([true, false]);
    expect(await decisions([may, may], 'deny_on_first_deny')).toEqual([true, true]);
  });

  it('end with the first permit', async () => {
    expect(await decisions([mayNot, wrong, may, may], 'permit_on_first_permit')).toEqual([
      false,
      false,
      true,
    ]);
    expect(await decisions([mayNot, mayNot], 'permit_on_first_permit')).toEqual([false, false]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', {}, 'resource'],
    ['half a resource', { resource: { type: 'document' } }, 'resource.id'],
    ['null', { resource: null }, 'resource'],
    ['no object', 7, '(body)'],
    ['an id that is a number', { resource: { type: 'document', id: 7 } }, 'resource.id'],
    ['a subject that is a list', { ...may, subject: [] }, 'subject'],
    ['a context that is a text', { ...may, context: 'none' }, 'context'],
  ])('say in its place what is wrong with one that is %s', async (_, evaluation, field) => {
    const [first, second] = await decide([evaluation, may]);
    expect(first).toMatchObject({
      decision: false,
      context: { error: { status: 400, code: 'field_invalid', field } },
    });
    expect(second?.decision).toBe(true);
  });

  it('take a member whole, and only what names it from the default', async () => {
    const by = await world.newClient({
      property_sources: [{ entity: 'resource', name: 'secret' }],
    });
    const response = await world.send(by, 'evaluations', {
      subject: user('eve'),
      action: { name: 'share' },
      resource: { type: 'document', id: 'unlisted', properties: { secret: false } },
      evaluations: [{}, { resource: { id: 'other' } }, { resource: { properties: {} } }],
    });
    const answer = evaluationsAnswer.parse(await response.json());
    expect(answer.evaluations.map(({ decision }) => decision)).toEqual([true, false, false]);
  });

  it.each<[string, object, string]>([
    ['too many', { evaluations: Array(maxEvaluations + 1).fill({}) }, 'evaluations'],
    ['no list', { evaluations: {} }, 'evaluations'],
    ['null', { evaluations: null }, 'evaluations'],
    [
      'with another semantic',
      { evaluations: [{}], options: { evaluations_semantic: 'execute_some' } },
      'options.evaluations_semantic',
    ],
    ['with options that are none', { evaluations: [{}], options: [] }, 'options'],
    ['with a default that is none', { evaluations: [{}], subject: 'eve' }, 'subject'],
    ['with a wrong default', { evaluations: [{}], action: { name: true } }, 'action.name'],
  ])('are refused as a whole when they are %s', async (_, body, field) => {
    await expectProblem(await world.send(client, 'evaluations', body), 400, 'field_invalid', field);
  });

  it('are as many as the limit says', async () => {
    expect(await decisions(Array(maxEvaluations).fill(may))).toHaveLength(maxEvaluations);
  });

  it('may be sign-ins, each with evidence of its own; one challenge decides once', async () => {
    const device = await enrollDevice(broker);
    const signIn = async () => {
      const { transaction, challenge } = await openTransaction(broker, client);
      const evidence = await device.evidence(challenge, client.origin);
      return { transaction, evidence, subject_authenticated: true };
    };
    const by = { type: 'application', id: client.application };
    const asked = (contexts: object[], semantic?: string) =>
      world.send(client, 'evaluations', {
        subject: user('ada'),
        action: { name: 'sign_in' },
        resource: by,
        evaluations: contexts.map((context) => ({ context })),
        ...(semantic === undefined ? {} : { options: { evaluations_semantic: semantic } }),
      });
    const reasons = async (response: Response) =>
      evaluationsAnswer
        .parse(await response.json())
        .evaluations.map(({ context }) => 'reason_code' in context && context.reason_code);

    const [first, second, third] = [await signIn(), await signIn(), await signIn()];
    const wrongUser = { ...first, platform: 'macos' };
    // The same again is a retry; anything else on a challenge that was answered is not.
    expect(await reasons(await asked([first, first, wrongUser, second]))).toEqual([
      'trusted_device',
      'trusted_device',
      'challenge_already_used',
      'trusted_device',
    ]);
    // What comes after the end is not looked at: its challenge is still good.
    const ended = await asked([{}, third], 'deny_on_first_deny');
    expect(await reasons(ended)).toEqual(['evidence_missing']);
    const body = { subject: user('ada'), action: { name: 'sign_in' }, resource: by };
    const answer = await world.send(client, 'evaluation', { ...body, context: third });
    expectTrusted(await readDecision(answer));
  });
});
