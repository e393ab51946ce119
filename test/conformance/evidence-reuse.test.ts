// One answer of one device decides once, and only for the transaction, client, user and application it was made for.

import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectDenied, expectTrusted, readDecision } from '../support/expect-answer.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  evidenceOf,
  openTransaction,
} from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  expectTrusted(await broker.client.signIn(client, device, 'ada'));
});
afterAll(() => broker?.stopAndRemove());

/** An evaluation that the device would be trusted in, not sent yet. */
async function prepare(subject = 'ada') {
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = await device.evidence(challenge, client.origin);
  const body = broker.client.evaluationBody(client, { subject, transaction, evidence });
  return { transaction, challenge, evidence, body, challengeId: decodeJwt(challenge).jti };
}

const decide = async (as: TestClient, body: unknown) =>
  await readDecision(await broker.client.sendEvaluation(as, body));

async function decisionsOn(challengeId: string | undefined) {
  const recorded = await broker.recordedDecisions();
  return {
    spent: recorded.filter((row) => row.id === challengeId),
    refused: recorded.filter((row) => row.spent_id === challengeId),
  };
}

describe('#1 a replayed response', () => {
  it('gets the recorded outcome when the whole request is the same, and is not decided again', async () => {
    const { body, challengeId } = await prepare();
    const first = await decide(client, body);
    expectTrusted(first);
    const reordered = Object.fromEntries(Object.entries(body).reverse());
    const again = [
      await decide(client, body),
      await decide(client, JSON.stringify(reordered, undefined, 3)),
    ];
    for (const answer of again) {
      expect(answer.context.decision_id).toBe(first.context.decision_id);
      expect(decodeJwt(answer.context.decision_token ?? '')).toEqual(
        decodeJwt(first.context.decision_token ?? ''),
      );
    }
    const { spent, refused } = await decisionsOn(challengeId);
    expect([spent.length, refused.length]).toEqual([1, 0]);
  });

  it('is refused, and the refusal recorded, when anything else of the request differs', async () => {
    const { body, challengeId } = await prepare();
    expectTrusted(await decide(client, body));
    const changed = [
      { ...body, subject: { type: 'user', id: 'eve' } },
      { ...body, context: { ...body.context, subject_authenticated: false } },
      { ...body, action: { name: 'sign_out' } },
    ];
    for (const other of changed)
      expectDenied(await decide(client, other), 'challenge_already_used');
    const { spent, refused } = await decisionsOn(challengeId);
    expect(spent).toHaveLength(1);
    expect(refused.map(({ decision, opened }) => ({ decision, opened }))).toEqual(
      changed.map(() => ({ decision: false, opened: false })),
    );
  });

  it('brings no decision token when it is refused', async () => {
    const { body } = await prepare();
    await decide(client, body);
    const refused = await decide(client, { ...body, subject: { type: 'user', id: 'eve' } });
    expect(refused.context.decision_token).toBeUndefined();
  });

  it('is refused when the device signs a second answer, also with another of its certificates', async () => {
    const { body, challenge, challengeId } = await prepare();
    const first = await decide(client, body);
    const sameDevice = await FakeDevice.create(device.hardwareId);
    await broker.client.enroll(sameDevice);
    for (const signer of [device, sameDevice]) {
      const evidence = await signer.evidence(challenge, client.origin);
      const second = await decide(client, { ...body, context: { ...body.context, evidence } });
      expectDenied(second, 'challenge_already_used');
      expect(second.context.decision_id).not.toBe(first.context.decision_id);
    }
    expect((await decisionsOn(challengeId)).spent).toHaveLength(1);
  });
});

describe('#2 one response sent 50 times at once', () => {
  it('decides once, and every identical request gets that decision', async () => {
    for (let round = 0; round < 5; round++) {
      const { body, challengeId } = await prepare();
      const answers = await Promise.all(Array.from({ length: 50 }, () => decide(client, body)));
      for (const answer of answers) expectTrusted(answer);
      expect(new Set(answers.map(({ context }) => context.decision_id)).size).toBe(1);
      const tokens = answers.map(({ context }) => decodeJwt(context.decision_token ?? '').jti);
      expect(new Set(tokens).size).toBe(1);
      const { spent, refused } = await decisionsOn(challengeId);
      expect([spent.length, refused.length]).toEqual([1, 0]);
    }
  });

  it('decides once when the requests differ, and refuses the other 49', async () => {
    const answered = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const { body, challengeId } = await prepare();
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, index) =>
            decide(client, {
              ...body,
              action: { name: index % 2 === 0 ? 'sign_in' : `other_${index}` },
              subject: { type: 'user', id: index < 25 ? 'ada' : `user-${index}` },
            }),
          ),
        );
        return { answers, challengeId };
      }),
    );
    for (const { answers, challengeId } of answered) {
      const { spent, refused } = await decisionsOn(challengeId);
      expect(spent).toHaveLength(1);
      const [final] = spent;
      const finalId = `${final?.shard}.${final?.sequence}`;
      const others = answers.filter(({ context }) => context.decision_id !== finalId);
      for (const answer of others) expectDenied(answer, 'challenge_already_used');
      // Sign-ins of ada are the same request 13 times over, so that several may have got the one decision.
      expect(others).toHaveLength(refused.length);
      expect(others.length).toBeGreaterThanOrEqual(37);
    }
  });
});

describe('#3 an answer that fails first', () => {
  it('is decided once as a failure and does not use up the challenge for the device', async () => {
    const { body, challenge, challengeId } = await prepare();
    const stranger = await FakeDevice.create();
    const forged = await device.respond(challenge, client.origin, {
      signWith: stranger.privateKey,
    });
    const context = { ...body.context, evidence: evidenceOf(challenge, forged) };
    const failed = await decide(client, { ...body, context });
    expectDenied(failed, 'response_signature_invalid');
    const failedAgain = await decide(client, { ...body, context });
    expect(failedAgain.context.decision_id).toBe(failed.context.decision_id);

    expectTrusted(await decide(client, body));
    const otherForgery = await device.respond(challenge, client.origin, {
      signWith: stranger.privateKey,
    });
    const second = { ...body.context, evidence: evidenceOf(challenge, otherForgery) };
    expectDenied(await decide(client, { ...body, context: second }), 'challenge_already_used');
    expect((await decisionsOn(challengeId)).spent.map(({ decision }) => decision)).toEqual(
      expect.arrayContaining([false, true]),
    );
  });
});

describe('#13 a response that is moved', () => {
  it('to another transaction is refused, and the right transaction still gets its decision', async () => {
    const { body } = await prepare();
    const context = { ...body.context, transaction: randomText() };
    expectDenied(await decide(client, { ...body, context }), 'challenge_wrong_transaction');
    expectTrusted(await decide(client, body));
  });

  it('to another client of the same origin is refused', async () => {
    const other = await broker.client.registerClient({ origin: client.origin });
    const { body } = await prepare();
    const moved = { ...body, resource: { type: 'application', id: other.application } };
    expectDenied(await decide(other, moved), 'challenge_wrong_client');
    expectDenied(await decide(other, body), 'client_not_allowed_for_application');
    expectTrusted(await decide(client, body));
  });

  it('to another user is refused', async () => {
    const { body } = await prepare('eve');
    const answer = await decide(client, body);
    expectDenied(answer, 'certificate_bound_to_other_user');
  });

  it('to another challenge is refused', async () => {
    const { challenge } = await prepare();
    const response = await device.respond(challenge, client.origin);
    const answer = await evaluateWith(broker, client, (other) => evidenceOf(other, response));
    expectDenied(answer, 'response_wrong_challenge');
  });

  it('to an application that the client may not ask about is refused, and binds nothing', async () => {
    const other = await broker.client.registerClient();
    for (const [application, reason] of [
      [other.application, 'client_not_allowed_for_application'],
      ['no-such-application', 'application_unknown'],
    ] as const) {
      const unbound = await enrollDevice(broker);
      const { transaction, challenge } = await openTransaction(broker, client);
      const evidence = await unbound.evidence(challenge, client.origin);
      const body = broker.client.evaluationBody(client, { transaction, evidence });
      const moved = { ...body, resource: { type: 'application', id: application } };
      const answer = await decide(client, moved);
      expect([answer.decision, answer.context.reason_code]).toEqual([false, reason]);
      expect((await certificateOf(broker, unbound)).status).toBe('issued');

      const again = await decide(client, moved);
      expect(again.context).toMatchObject({
        reason_code: reason,
        decision_id: answer.context.decision_id,
      });
      expectDenied(await decide(client, body), 'challenge_already_used');
    }
  });
});

describe('#2 two users racing for one unbound certificate', () => {
  it('bind it once, to the one who was allowed', async () => {
    for (let round = 0; round < 4; round++) {
      const shared = await enrollDevice(broker);
      const users = Array.from({ length: 8 }, (_, index) => `user-${round}-${index}`);
      const answers = await Promise.all(
        users.map((user) => broker.client.signIn(client, shared, user)),
      );
      const winners = users.filter((_, index) => answers[index]?.decision === true);
      expect(winners).toHaveLength(1);
      for (const answer of answers.filter(({ decision }) => !decision)) {
        expectDenied(answer, 'certificate_bound_to_other_user');
      }
      expect(await certificateOf(broker, shared)).toMatchObject({
        status: 'bound',
        bound_user: winners[0],
      });
    }
  });

  it('leave it unbound while none of them has been authenticated', async () => {
    const shared = await enrollDevice(broker);
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await shared.evidence(challenge, client.origin);
    const answer = await broker.client.evaluate(client, {
      transaction,
      evidence,
      subjectAuthenticated: false,
    });
    expectDenied(answer, 'authentication_required');
    expect((await certificateOf(broker, shared)).status).toBe('issued');
  });
});

it('#64 every decision made here is in a hash chain that verifies', async () => {
  expect(await broker.brokenRows()).toEqual([]);
  expect((await broker.recordedDecisions()).length).toBeGreaterThan(100);
});
