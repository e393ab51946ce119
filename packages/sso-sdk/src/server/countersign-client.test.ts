import { type Handler, sendJson, sendProblem } from '@countersign/testkit/fake-broker';
import { exportJWK, generateKeyPair } from 'jose';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import type { CountersignClientOptions } from './countersign-client.ts';
import { startBroker, useFakeBroker } from './testing/use-fake-broker.ts';
import { createTransaction } from './transaction.ts';

const evaluation = '/access/v1/evaluation';
const jwks = '/.well-known/jwks.json';
const jwksAnswer = z.object({ keys: z.array(z.looseObject({})) });
const { current: broker, replaceBroker, client, signIn, evaluations } = useFakeBroker();

describe('evaluate', () => {
  test('reports an allow with its verified token', async () => {
    const input = await signIn();
    const decision = await client().evaluate(input);
    expect(decision).toMatchObject({
      decision: true,
      deviceTrusted: true,
      reasonCode: 'trusted_device',
      reasonUser: 'This device is managed by your company.',
      policy: { version: 1, rule: 'allow' },
      decisionId: expect.stringMatching(/^0\.\d+$/),
    });
    if (!decision.decision) throw new Error('not allowed');
    const claims = await client().verifyDecisionToken(decision.decisionToken, input);
    expect(claims).toMatchObject({ sub: 'ada', decision: true, decision_id: decision.decisionId });
    expect(JSON.parse(evaluations()[0]?.body ?? '')).toEqual({
      subject: { type: 'user', id: 'ada' },
      action: { name: 'sign_in' },
      resource: { type: 'application', id: 'mail' },
      context: {
        evidence: input.evidence,
        transaction: input.transaction,
        subject_authenticated: true,
      },
    });
    expect(evaluations()[0]?.headers['x-request-id']).toBe(decision.requestId);
  });

  test('tells what the site knows of the connection', async () => {
    const input = await signIn();
    await client().evaluate({
      ...input,
      ipAddress: '2001:db8::1',
      clientType: 'web_or_modern',
      platform: 'macos',
    });
    expect(JSON.parse(evaluations()[0]?.body ?? '').context).toMatchObject({
      ip_address: '2001:db8::1',
      client_type: 'web_or_modern',
      platform: 'macos',
    });
  });

  test('reports denials with their reasons and no token', async () => {
    for (const evidence of [undefined, '']) {
      const denied = await client().evaluate({ ...(await signIn()), evidence });
      expect(denied).toMatchObject({ decision: false, reasonCode: 'evidence_missing' });
      expect(denied).not.toHaveProperty('decisionToken');
    }
    const moved = await client().evaluate({
      ...(await signIn()),
      transaction: createTransaction(),
    });
    expect(moved).toMatchObject({ decision: false, reasonCode: 'challenge_wrong_transaction' });
    const input = await signIn();
    await client().evaluate(input);
    const again = await client().evaluate({ ...input, subject: 'grace' });
    expect(again).toMatchObject({ decision: false, reasonCode: 'challenge_already_used' });
  });

  test('authenticates with a private key', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    await replaceBroker({ clientKeys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] });
    broker().interruptNext(evaluation, (_, response) => void response.destroy());
    const authentication = { privateKey, keyId: 'k1' };
    const decision = await client({ authentication }).evaluate(await signIn());
    expect(decision.decision).toBe(true);
    const [first, second] = evaluations();
    expect(second?.headers.authorization).not.toBe(first?.headers.authorization);
    const wrong = client({ authentication: { privateKey, keyId: 'k2' } });
    await expect(wrong.evaluate(await signIn())).rejects.toMatchObject({
      code: 'client_authentication_failed',
      status: 401,
    });
  });

  test('asks at the internal address and expects the public one in the token', async () => {
    const internal = broker().url.replace('127.0.0.1', 'localhost');
    const fetchCalls: string[] = [];
    const countersign = client({
      brokerInternalUrl: internal,
      fetch: (input, init) => {
        fetchCalls.push(String(input));
        return fetch(String(input).replace('localhost', '127.0.0.1'), init);
      },
    });
    expect((await countersign.evaluate(await signIn())).decision).toBe(true);
    expect(fetchCalls).toEqual([`${internal}${evaluation}`, `${internal}${jwks}`]);
    const misled = client({ brokerUrl: internal, brokerInternalUrl: broker().url });
    await expect(misled.evaluate(await signIn())).rejects.toMatchObject({
      code: 'decision_token_wrong_issuer',
    });
  });

  test('fetches the keys once for many decisions', async () => {
    const countersign = client();
    for (let turn = 0; turn < 3; turn++) await countersign.evaluate(await signIn());
    expect(broker().requests.filter(({ path }) => path === jwks)).toHaveLength(1);
  });
});

describe('an allow that is not proven', () => {
  /** Answers with what the broker would say, changed on its way. */
  const tamper = async (
    change: (answer: { decision: unknown; context: Record<string, unknown> }) => void,
  ) => {
    const input = await signIn();
    const honest = await client().evaluate(input);
    if (!honest.decision) throw new Error('not allowed');
    broker().interruptNext(evaluation, (_, response) => {
      const answer = {
        decision: true as unknown,
        context: {
          reason_code: 'trusted_device',
          reason_admin: { en: '' },
          reason_user: { en: '' },
          decision_id: '0.1',
          policy: { version: 1, rule: 'allow' },
          device_trusted: true,
          decision_token: honest.decisionToken,
        } as Record<string, unknown>,
      };
      change(answer);
      sendJson(response, 200, answer);
    });
    return input;
  };

  test('the same answer, untampered, is an allow', async () => {
    const input = await tamper(() => undefined);
    expect(await client().evaluate(input)).toMatchObject({ decision: true });
  });

  test('without a token', async () => {
    const input = await tamper(({ context }) => {
      context.decision_token = undefined;
    });
    await expect(client().evaluate(input)).rejects.toMatchObject({
      code: 'decision_token_missing',
    });
  });

  test.each([
    ['subject', { subject: 'grace' }, 'decision_token_wrong_subject'],
    ['application', { application: 'payroll' }, 'decision_token_wrong_application'],
    ['transaction', { transaction: createTransaction() }, 'decision_token_wrong_transaction'],
  ])('with the token of another %s', async (_, other, code) => {
    const input = await tamper(() => undefined);
    await expect(client().evaluate({ ...input, ...other })).rejects.toMatchObject({ code });
  });

  test('with the token of another broker', async () => {
    const foreign = await startBroker();
    try {
      const signInThere = await signIn(foreign);
      const theirs = await client({ brokerUrl: foreign.url }).evaluate(signInThere);
      if (!theirs.decision) throw new Error('not allowed');
      const input = await tamper(({ context }) => {
        context.decision_token = theirs.decisionToken;
      });
      await expect(
        client().evaluate({ ...input, transaction: signInThere.transaction }),
      ).rejects.toMatchObject({
        code: 'decision_token_key_unknown',
      });
    } finally {
      await foreign.stop();
    }
  });

  test('with a token that has expired', async () => {
    const input = await tamper(() => undefined);
    const later = client({ now: () => Date.now() + 66_000 });
    await expect(later.evaluate(input)).rejects.toMatchObject({ code: 'decision_token_expired' });
  });

  test('a decision that is no boolean', async () => {
    for (const decision of ['true', 1, null, undefined]) {
      const input = await tamper((answer) => {
        answer.decision = decision;
      });
      await expect(client().evaluate(input)).rejects.toMatchObject({
        code: 'broker_answer_malformed',
        field: 'decision',
      });
    }
  });

  test.each<[string, Handler]>([
    ['fails', (_, response) => sendProblem(response, 500, 'internal_error')],
    ['hangs up', (_, response) => void response.destroy()],
    ['answers nonsense', (_, response) => void response.end('<html>')],
    ['has no keys', (_, response) => sendJson(response, 200, {})],
    ['redirects', (_, response) => void response.writeHead(302, { Location: '/' }).end()],
  ])('while the key set %s', async (_, handler) => {
    broker().interruptNext(jwks, handler);
    await expect(client().evaluate(await signIn())).rejects.toMatchObject({
      code: 'decision_keys_unavailable',
    });
  });

  test.each([
    ['does not say what its key is for', undefined, 'decision_token_key_without_purpose'],
    ['says that its key is for the audit', 'audit', 'decision_token_key_wrong_purpose'],
  ])('while the key set %s, and until it says so', async (_, purpose, code) => {
    broker().interruptNext(jwks, async (_request, response) => {
      const answer = await fetch(`${broker().url}${jwks}`);
      const { keys } = jwksAnswer.parse(await answer.json());
      sendJson(response, 200, { keys: keys.map((key) => ({ ...key, purpose })) });
    });
    const before = client();
    await expect(before.evaluate(await signIn())).rejects.toMatchObject({ code });
    expect((await client().evaluate(await signIn())).decision).toBe(true);
  });

  test('while the key set is awaited when the time is up', async () => {
    broker().interruptNext(jwks, () => undefined);
    const waiting = client({ timeoutMs: 800 }).evaluate(await signIn());
    await expect(waiting).rejects.toMatchObject({ code: 'broker_timeout' });
  });
});

describe('what the caller gets wrong', () => {
  test('a forgotten transaction is named and nothing is sent', async () => {
    const input = Object.assign(await signIn(), { transaction: undefined });
    const refused = { code: 'input_invalid', field: 'context.transaction' };
    await expect(client().evaluate(input)).rejects.toMatchObject(refused);
    expect(evaluations()).toHaveLength(0);
  });

  test.each([
    ['subject.id', { subject: '' }],
    ['resource.id', { application: '' }],
    ['context.transaction', { transaction: 'short' }],
    ['context.evidence', { evidence: 'x'.repeat(40_000) }],
  ])('%s is named and nothing is sent', async (field, mistake) => {
    const input = { ...(await signIn()), ...mistake };
    await expect(client().evaluate(input)).rejects.toMatchObject({ code: 'input_invalid', field });
    await expect(client().complete(input)).rejects.toMatchObject({ code: 'input_invalid', field });
    expect(evaluations()).toHaveLength(0);
  });

  test.each<[string, Partial<CountersignClientOptions>]>([
    ['brokerUrl', { brokerUrl: 'http://broker.example.com' }],
    ['brokerUrl', { brokerUrl: 'https://broker.example.com/' }],
    ['brokerUrl', { brokerUrl: 'broker.example.com' }],
    ['brokerInternalUrl', { brokerInternalUrl: 'https://broker.example.com/path' }],
    ['clientId', { clientId: 'Not An Id' }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['timeoutMs', { timeoutMs: Number.NaN }],
    ['clockToleranceSeconds', { clockToleranceSeconds: 3600 }],
  ])('the option %s', (field, mistake) => {
    expect(() => client(mistake)).toThrow(
      expect.objectContaining({ code: 'options_invalid', field }),
    );
  });
});

describe('complete', () => {
  test('surfaces that nothing is pending', async () => {
    const input = { ...(await signIn()), acr: 'phr', amr: ['hwk'] };
    expect(await client().complete(input)).toMatchObject({
      decision: false,
      reasonCode: 'not_pending',
    });
    const request = broker().requests.at(-1);
    expect(request?.path).toBe('/v1/completions');
    expect(JSON.parse(request?.body ?? '')).toMatchObject({
      acr: 'phr',
      amr: ['hwk'],
      context: { evidence: input.evidence },
    });
  });
});

test.each([
  ['https://it.example.com/devices', 'https://it.example.com/devices'],
  ['javascript:alert(1)', undefined],
  ['http://it.example.com', undefined],
  ['https://it.example.com/"><script>', undefined],
])('of a link %s that comes with a denial, %s is passed on', async (learn_more_url, passedOn) => {
  const context = {
    reason_code: 'policy_denied',
    reason_admin: { en: '' },
    reason_user: { en: '' },
    learn_more_url,
    decision_id: '0.1',
    policy: { version: 1, rule: 'default' },
    device_trusted: false,
  };
  const input = await signIn();
  broker().interruptNext(evaluation, (_, response) =>
    sendJson(response, 200, { decision: false, context }),
  );
  const decision = await client().evaluate(input);
  expect(decision.decision || decision.learnMoreUrl).toBe(passedOn);
});
