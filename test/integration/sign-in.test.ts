import { decodeBase64url } from '@countersign/protocol';
import { decisionTokenClaims, decisionTokenTyp } from '@countersign/protocol/decision-token';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, FakeDevice } from '@countersign/testkit/fake-device';
import { importJWK, jwtVerify } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { broker } from './test-broker.ts';
import { countDecisions, recordOf, shardOf, total } from './test-objects.ts';

type Client = Awaited<ReturnType<typeof broker.registerClient>>;
let client: Client;
beforeAll(async () => {
  client = await broker.registerClient();
});

async function enrolled(kind: 'ec-p256' | 'ec-p384' | 'rsa-2048' = 'ec-p256') {
  const device = await FakeDevice.create(undefined, kind);
  await broker.enroll(device);
  return device;
}

const jwks = z.object({
  // For decision tokens and for checkpoints of the log.
  keys: z.tuple([
    z.object({
      kty: z.literal('EC'),
      crv: z.string(),
      x: z.string(),
      y: z.string(),
      kid: z.string(),
    }),
    z.object({ kid: z.string() }),
  ]),
});

async function verifyDecisionToken(token: string | undefined) {
  const response = await broker.request('/.well-known/jwks.json');
  const [jwk] = jwks.parse(await response.json()).keys;
  const { payload, protectedHeader } = await jwtVerify(token ?? '', await importJWK(jwk, 'ES256'), {
    algorithms: ['ES256'],
    typ: decisionTokenTyp,
    issuer: broker.brokerUrl,
    audience: client.clientId,
  });
  expect(protectedHeader.kid).toBe(jwk.kid);
  return decisionTokenClaims.parse(payload);
}

describe.each(['ec-p256', 'ec-p384', 'rsa-2048'] as const)('a device with an %s key', (kind) => {
  it('signs in', async () => {
    const device = await enrolled(kind);
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = await device.evidence(challenge, client.origin);
    const answer = await broker.evaluate(client, { subject: 'ada', transaction, evidence });
    expect(answer).toMatchObject({
      decision: true,
      context: {
        reason_code: 'trusted_device',
        device_trusted: true,
        policy: { rule: 'trusted-devices' },
      },
    });
    expect(answer.context.decision_id.split('.')[0]).toBe(String(shardOf(device.deviceId)));

    const record = await recordOf(answer.context.decision_id);
    expect(record).toMatchObject({
      opened: true,
      client_id: client.clientId,
      subject: 'ada',
      application: client.application,
      device_id: device.deviceId,
      bound_now: true,
      epoch: 1,
      response: { origin: client.origin, posture: { platform: 'linux' }, development: false },
    });
    expect(await verifyDecisionToken(answer.context.decision_token)).toEqual({
      iss: broker.brokerUrl,
      aud: client.clientId,
      sub: 'ada',
      ...record.token,
      application: client.application,
      action: 'sign_in',
      transaction_hash: record.transaction_hash,
      decision: true,
      reason_code: 'trusted_device',
      device_trusted: true,
      decision_id: answer.context.decision_id,
    });
    expect((record.token?.exp ?? 0) - (record.token?.iat ?? 0)).toBe(60);

    const again = await broker.signIn(client, device, 'ada');
    expect(again).toMatchObject({ decision: true });
    expect(await recordOf(again.context.decision_id)).toMatchObject({ bound_now: false, epoch: 1 });
  });
});

describe('a sign-in without a response', () => {
  it('is recorded in the shard of its challenge with the code that the browser reported', async () => {
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const evidence = evidenceWithoutResponse(challenge, 'host_not_installed');
    const answer = await broker.evaluate(client, { transaction, evidence });
    expect(answer).toMatchObject({
      decision: false,
      context: { reason_code: 'host_not_installed', device_trusted: false },
    });
    const record = await recordOf(answer.context.decision_id);
    expect(record).toMatchObject({ opened: true, device_id: '', reason: 'host_not_installed' });
    expect(record.shard).toBe(shardOf(record.id));
    const claims = await verifyDecisionToken(answer.context.decision_token);
    expect(claims).toMatchObject({ decision: false, device_trusted: false });
  });

  it('says that evidence is missing where the browser reported nothing', async () => {
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const answer = await broker.evaluate(client, {
      transaction,
      evidence: evidenceWithoutResponse(challenge),
    });
    expect(answer).toMatchObject({ decision: false, context: { reason_code: 'evidence_missing' } });
  });

  it('is allowed and recorded as untrusted where the application only monitors', async () => {
    const monitoring = await broker.registerClient({ enforcement: 'monitor' });
    const transaction = randomText();
    const challenge = await broker.challenge(monitoring, transaction);
    const answer = await broker.evaluate(monitoring, {
      transaction,
      evidence: evidenceWithoutResponse(challenge, 'extension_not_installed'),
    });
    expect(answer).toMatchObject({
      decision: true,
      context: {
        reason_code: 'monitor_only',
        device_trusted: false,
        untrusted_reason: 'extension_not_installed',
      },
    });
    expect(await recordOf(answer.context.decision_id)).toMatchObject({
      reason: 'monitor_only',
      untrusted_reason: 'extension_not_installed',
    });
  });
});

describe('a challenge that does not open', () => {
  it.each(['', undefined, 'v1~a.b.c~~~', 'nonsense'])(
    'is recorded under a fresh id each time and without a token: %j',
    async (evidence) => {
      const transaction = randomText();
      const input = { transaction, ...(evidence === undefined ? {} : { evidence }) };
      const answers = [await broker.evaluate(client, input), await broker.evaluate(client, input)];
      const records = await Promise.all(
        answers.map((answer) => recordOf(answer.context.decision_id)),
      );
      expect(new Set(records.map((record) => record.id)).size).toBe(2);
      for (const [index, record] of records.entries()) {
        expect(record).toMatchObject({ opened: false, decision: false, device_id: '' });
        expect(record).not.toHaveProperty('token');
        expect(decodeBase64url(record.id)?.length).toBe(16);
        expect(answers[index]?.context).not.toHaveProperty('decision_token');
      }
    },
  );

  it('is refused and not recorded beyond the allowance of its client', async () => {
    const busy = await broker.registerClient();
    const body = broker.evaluationBody(busy, { transaction: randomText() });
    const statuses = new Map<number, number>();
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => broker.sendEvaluation(busy, body)),
      );
      for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(Object.fromEntries(statuses)).toEqual({ 200: 120, 429: 30 });

    const before = total(await countDecisions());
    const refused = await broker.sendEvaluation(busy, body);
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '60']);
    expect(total(await countDecisions())).toBe(before);
    // Another client's allowance is its own, and a challenge that opens needs none.
    expect(await broker.signIn(client, await enrolled())).toMatchObject({ decision: true });
    const transaction = randomText();
    const evidence = evidenceWithoutResponse(await broker.challenge(busy, transaction));
    expect(await broker.evaluate(busy, { transaction, evidence })).toMatchObject({
      context: { reason_code: 'evidence_missing' },
    });
  });
});

describe('a response that was tampered with', () => {
  const changes: ReadonlyArray<[what: string, change: (parts: string[]) => string[]]> = [
    ['its tag', ([h = '', k = '', iv = '', c = '', t = '']) => [h, k, iv, c, flip(t)]],
    ['its ciphertext', ([h = '', k = '', iv = '', c = '', t = '']) => [h, k, iv, flip(c), t]],
    [
      'its initialization vector',
      ([h = '', k = '', iv = '', c = '', t = '']) => [h, k, flip(iv), c, t],
    ],
    ['its ephemeral key', ([h = '', ...rest]) => [offTheCurve(h), ...rest]],
  ];
  const flip = (text: string) => (text[0] === 'A' ? 'B' : 'A') + text.slice(1);
  const offTheCurve = (header: string) => {
    const text = atob(header.replaceAll('-', '+').replaceAll('_', '/'));
    const { epk, ...others } = JSON.parse(text);
    return btoa(JSON.stringify({ ...others, epk: { ...epk, y: epk.x } }))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '');
  };

  it.each(changes)('in %s cannot be decrypted', async (_what, change) => {
    const device = await enrolled();
    const transaction = randomText();
    const challenge = await broker.challenge(client, transaction);
    const response = (await device.respond(challenge, client.origin)).split('.');
    const evidence = `v1~${challenge}~${change(response).join('.')}~~`;
    expect(await broker.evaluate(client, { transaction, evidence })).toMatchObject({
      decision: false,
      context: { reason_code: 'response_undecryptable' },
    });
    // The challenge is still good for the device itself.
    const honest = await device.evidence(challenge, client.origin);
    expect(await broker.evaluate(client, { transaction, evidence: honest })).toMatchObject({
      decision: true,
    });
  });
});

describe('the AuthZEN interface', () => {
  const send = (body: unknown, headers: Record<string, string> = {}) =>
    broker.post('/access/v1/evaluation', body, {
      Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
      ...headers,
    });
  const good = () => broker.evaluationBody(client, { transaction: randomText() });

  it('gives the request id back', async () => {
    const response = await send(good(), { 'X-Request-ID': 'bfe9eb29-ab87-4ca3-be83-a1d5d8305716' });
    expect(response.headers.get('X-Request-ID')).toBe('bfe9eb29-ab87-4ca3-be83-a1d5d8305716');
    expect((await send(good())).headers.get('X-Request-ID')).toMatch(/^[0-9a-f-]{36}$/);
    const long = await send(good(), { 'X-Request-ID': 'x'.repeat(1000) });
    expect(long.headers.get('X-Request-ID')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('ignores what it does not know, in every place', async () => {
    const { subject, action, resource, context } = good();
    const properties = { department: 'sales' };
    const response = await send({
      subject: { ...subject, properties },
      action: { ...action, properties },
      resource: { ...resource, properties },
      context: { ...context, time: '2026-11-21T00:00:00Z' },
      options: { evaluations_semantic: 'deny_on_first_deny' },
    });
    expect(response.status).toBe(200);
    expect(evaluationAnswer.parse(await response.json())).toMatchObject({ decision: false });
  });

  const missing: ReadonlyArray<readonly [field: string, without: (body: Body) => unknown]> = [
    ['subject', ({ subject: _, ...rest }) => rest],
    ['subject.type', (body) => ({ ...body, subject: { id: 'ada' } })],
    ['subject.id', (body) => ({ ...body, subject: { type: 'user' } })],
    ['action', ({ action: _, ...rest }) => rest],
    ['action.name', (body) => ({ ...body, action: {} })],
    ['resource', ({ resource: _, ...rest }) => rest],
    ['resource.type', (body) => ({ ...body, resource: { id: 'x' } })],
    ['resource.id', (body) => ({ ...body, resource: { type: 'application' } })],
    ['context', (body) => ({ ...body, context: 'none' })],
    ['context.transaction', (body) => ({ ...body, context: { transaction: '' } })],
    ['context.transaction', (body) => ({ ...body, context: { transaction: randomText(15) } })],
    ['context.evidence', (body) => ({ ...body, context: { ...body.context, evidence: null } })],
    [
      'context.subject_authenticated',
      (body) => ({ ...body, context: { ...body.context, subject_authenticated: 'true' } }),
    ],
    ['subject.id', (body) => ({ ...body, subject: { type: 'user', id: 7 } })],
    ['subject.id', (body) => ({ ...body, subject: { type: 'user', id: '' } })],
  ];
  type Body = ReturnType<typeof good>;
  it.each(missing)('names %s when it is missing or ill-typed', async (field, without) => {
    const before = total(await countDecisions());
    const response = await send(without(good()));
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ code: 'field_invalid', field }),
    ]);
    expect(total(await countDecisions())).toBe(before);
  });

  it('denies where the context says nothing of a challenge', async () => {
    const { context: _, ...withoutContext } = good();
    for (const body of [withoutContext, { ...withoutContext, context: { ip: '192.0.2.1' } }]) {
      const response = await send(body);
      const answer = evaluationAnswer.parse(await response.json());
      expect(answer).toMatchObject({
        decision: false,
        context: { reason_code: 'evidence_missing' },
      });
      expect(await recordOf(answer.context.decision_id)).toMatchObject({
        opened: false,
        subject_authenticated: false,
      });
    }
  });

  it.each<[what: string, body: string, headers: Record<string, string>, code: string]>([
    ['another media type', '{}', { 'Content-Type': 'text/plain' }, 'content_type_unsupported'],
    ['an empty body', '', {}, 'json_malformed'],
    ['half a body', '{"subject":', {}, 'json_malformed'],
    ['a repeated member', '{"subject":1,"subject":2}', {}, 'json_malformed'],
    ['half a surrogate pair', '{"subject":{"id":"\\ud800"}}', {}, 'json_malformed'],
  ])('refuses %s with 400', async (_what, body, headers, code) => {
    const response = await send(body, headers);
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ code }),
    ]);
  });

  it('publishes where it is', async () => {
    const response = await broker.request('/.well-known/authzen-configuration');
    expect(await response.json()).toMatchObject({
      policy_decision_point: broker.brokerUrl,
      access_evaluation_endpoint: `${broker.brokerUrl}/access/v1/evaluation`,
    });
  });
});
