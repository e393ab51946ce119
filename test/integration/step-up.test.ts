import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { countDecisions, recordOf, shardOf, sqlInShard, total } from './test-objects.ts';

// A sign-in that waits for a factor, or for the primary authentication, and the one completion that ends the wait.

const strong = { acr: 'phr', amr: ['mfa', 'pop'] };

let client: TestClient;
let strict: TestClient;
let foreignersStepUp: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
  strict = await broker.registerClient({ trusted_devices: 'step_up' });
  foreignersStepUp = await broker.registerClient({ other_devices: 'step_up' });
});
afterEach(() => {
  vi.useRealTimers();
});

const travel = (seconds: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
};

async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

/** A user of its own for each test: bindings stay. */
const someone = () => `user-${randomText(6)}`;

async function bodyOf(
  device: FakeDevice | undefined,
  as: TestClient,
  input: { subject?: string; subjectAuthenticated?: boolean } = {},
) {
  const transaction = randomText();
  const challenge = await broker.challenge(as, transaction);
  const evidence =
    device === undefined
      ? `v1~${challenge}~~~extension_not_installed`
      : await device.evidence(challenge, as.origin);
  return broker.evaluationBody(as, { transaction, evidence, ...input });
}
type Body = Awaited<ReturnType<typeof bodyOf>>;

async function send(body: unknown, as: TestClient) {
  const response = await broker.sendEvaluation(as, body);
  expect(response.status).toBe(200);
  return evaluationAnswer.parse(await response.json());
}
type Answer = Awaited<ReturnType<typeof send>>;
const outcomeOf = ({ decision, context }: Answer) => [decision, context.reason_code];

const boundUserOf = async (device: FakeDevice) => {
  const { certificates } = await broker.device(device.deviceId ?? '');
  return certificates[0]?.bound_user;
};

/** A sign-in that waits for a factor. */
async function pendingSignIn(as = strict) {
  const device = await enrolled();
  const body = await bodyOf(device, as, { subject: someone() });
  const pending = await send(body, as);
  expect(outcomeOf(pending)).toEqual([false, 'step_up_required']);
  return { device, body, pending };
}

describe('a pending decision', () => {
  it('says what is missing and until when, has no token, and binds nothing', async () => {
    const { device, pending } = await pendingSignIn();
    expect(pending.context).toMatchObject({
      device_trusted: true,
      policy: { rule: 'trusted-devices' },
      step_up: { acr_values: ['phr', 'phrh'], amr_values: [], subject_authenticated: false },
    });
    expect(pending.context.decision_token).toBeUndefined();
    const inMs = Date.parse(pending.context.step_up?.expires_at ?? '') - Date.now();
    expect(inMs).toBeGreaterThan(590_000);
    expect(inMs).toBeLessThanOrEqual(600_000);
    expect(await boundUserOf(device)).toBeUndefined();
    expect(await recordOf(pending.context.decision_id)).toMatchObject({
      stage: 0,
      bound_now: false,
      pending: { subject_authenticated: false },
    });
  });

  it('is given again to a retry, and to nothing else', async () => {
    const { body, pending } = await pendingSignIn();
    const before = total(await countDecisions());
    travel(300);
    expect(await send(body, strict)).toEqual(pending);
    expect(total(await countDecisions())).toBe(before);
    const other = { ...body, subject: { type: 'user', id: 'somebody-else' } };
    expect(outcomeOf(await send(other, strict))).toEqual([false, 'challenge_already_used']);
  });

  it('lets the answer be an allow under monitor, of whatever device', async () => {
    const foreigners = await broker.registerClient({
      enforcement: 'monitor',
      other_devices: 'step_up',
    });
    const answer = await send(await bodyOf(undefined, foreigners), foreigners);
    expect(outcomeOf(answer)).toEqual([true, 'monitor_only']);
    const everybody = await broker.registerClient({
      enforcement: 'monitor',
      trusted_devices: 'step_up',
    });
    const device = await enrolled();
    const body = await bodyOf(device, everybody, { subject: someone() });
    const ofTrusted = await send(body, everybody);
    expect(outcomeOf(ofTrusted)).toEqual([true, 'monitor_only']);
    expect(ofTrusted.context.device_trusted).toBe(true);
    expect(await boundUserOf(device)).toBe(body.subject.id);
    // The same again to whoever repeats it.
    const { decision_id } = ofTrusted.context;
    expect(await send(body, everybody)).toMatchObject({ decision: true, context: { decision_id } });
  });
});

describe('a completion', () => {
  it('allows once, with a token, and binds', async () => {
    const { device, body, pending } = await pendingSignIn();
    const completed = await broker.complete(strict, body, strong);
    expect(outcomeOf(completed)).toEqual([true, 'step_up_completed']);
    expect(decodeJwt(completed.context.decision_token ?? '')).toMatchObject({
      sub: body.subject.id,
      decision: true,
      device_trusted: true,
      decision_id: completed.context.decision_id,
    });
    expect(completed.context.step_up).toBeUndefined();
    expect(completed.context.decision_id).not.toBe(pending.context.decision_id);
    expect(await boundUserOf(device)).toBe(body.subject.id);
    expect(await recordOf(completed.context.decision_id)).toMatchObject({
      stage: 1,
      asserted: strong,
      bound_now: true,
      epoch: 1,
    });
    // Sent again it is a retry; said differently it is a second completion.
    expect((await broker.complete(strict, body, strong)).context.decision_id).toBe(
      completed.context.decision_id,
    );
    const second = await broker.complete(strict, body, { ...strong, amr: ['hwk'] });
    expect(outcomeOf(second)).toEqual([false, 'challenge_already_used']);
  });

  it('allows a device that is not trusted where the policy says so, and binds nothing', async () => {
    const body = await bodyOf(undefined, foreignersStepUp);
    const pending = await send(body, foreignersStepUp);
    expect(outcomeOf(pending)).toEqual([false, 'step_up_required']);
    expect(pending.context.untrusted_reason).toBe('extension_not_installed');
    const completed = await broker.complete(foreignersStepUp, body, strong);
    expect(outcomeOf(completed)).toEqual([true, 'step_up_completed']);
    expect(completed.context.device_trusted).toBe(false);
  });

  it('needs no factor where only the primary authentication was missing', async () => {
    const device = await enrolled();
    const subject = someone();
    const body = await bodyOf(device, client, { subject, subjectAuthenticated: false });
    const pending = await send(body, client);
    expect(outcomeOf(pending)).toEqual([false, 'authentication_required']);
    expect(pending.context.step_up).toMatchObject({
      acr_values: [],
      amr_values: [],
      subject_authenticated: true,
    });
    expect(outcomeOf(await broker.complete(client, body, strong))).toEqual([
      false,
      'step_up_insufficient',
    ]);
    const authenticated = {
      ...body,
      context: { ...body.context, subject_authenticated: true },
    };
    const completed = await broker.complete(client, authenticated, {});
    expect(outcomeOf(completed)).toEqual([true, 'trusted_device']);
    expect(await boundUserOf(device)).toBe(subject);
  });

  it('needs both where both are missing', async () => {
    const device = await enrolled();
    const body = await bodyOf(device, strict, { subject: someone(), subjectAuthenticated: false });
    expect((await send(body, strict)).context.step_up).toMatchObject({
      acr_values: ['phr', 'phrh'],
      subject_authenticated: true,
    });
    const authenticated = { ...body, context: { ...body.context, subject_authenticated: true } };
    for (const [wrong, asserted] of [
      [body, strong],
      [authenticated, {}],
      [authenticated, { acr: 'pwd', amr: ['phr'] }],
    ] as const) {
      const refused = await broker.complete(strict, wrong, {
        ...asserted,
        amr: [...(asserted.amr ?? [])],
      });
      expect(outcomeOf(refused)).toEqual([false, 'step_up_insufficient']);
    }
    expect(outcomeOf(await broker.complete(strict, authenticated, strong))).toEqual([
      true,
      'step_up_completed',
    ]);
  });

  it('is not late because the challenge has expired meanwhile', async () => {
    const { body } = await pendingSignIn();
    travel(580);
    expect(outcomeOf(await broker.complete(strict, body, strong))).toEqual([
      true,
      'step_up_completed',
    ]);
  });

  it('carries on what was late already', async () => {
    const body = await bodyOf(await enrolled(), foreignersStepUp, { subject: someone() });
    travel(120);
    const pending = await send(body, foreignersStepUp);
    expect(pending.context.untrusted_reason).toBe('challenge_expired');
    const completed = await broker.complete(foreignersStepUp, body, strong);
    expect(completed).toMatchObject({ decision: true, context: { device_trusted: false } });
    expect(completed.context.untrusted_reason).toBe('challenge_expired');
  });
});

describe('a completion is refused, and the wait goes on,', () => {
  const changed = (body: Body, change: object): Body => Object.assign({}, body, change);
  const withContext = (body: Body, change: object) =>
    changed(body, { context: { ...body.context, ...change } });

  it.each<[string, string, (body: Body) => Body | Promise<Body>]>([
    [
      'for another user',
      'step_up_wrong_subject',
      (body) => changed(body, { subject: { type: 'user', id: 'mallory' } }),
    ],
    [
      'in another transaction',
      'challenge_wrong_transaction',
      (body) => withContext(body, { transaction: randomText() }),
    ],
    [
      'with evidence that differs in the reported code alone',
      'step_up_wrong_evidence',
      (body) => withContext(body, { evidence: `${body.context.evidence}host_timeout` }),
    ],
    ['without evidence', 'evidence_missing', (body) => withContext(body, { evidence: '' })],
  ])('%s: %s', async (_what, reason, change) => {
    const { device, body } = await pendingSignIn();
    const refused = await broker.complete(strict, await change(body), strong);
    expect(outcomeOf(refused)).toEqual([false, reason]);
    expect(refused.context.decision_token).toBeUndefined();
    expect(await boundUserOf(device)).toBeUndefined();
    expect(outcomeOf(await broker.complete(strict, body, strong))[0]).toBe(true);
  });

  it('for another application of the same client', async () => {
    await broker.putApplication('second', { name: 'second', enforcement: 'enforce' });
    const { body } = await pendingSignIn();
    const { clientSecret, clientId, origin, application } = strict;
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(clientSecret));
    await broker.putClient(clientId, {
      name: clientId,
      origins: [origin],
      applications: [application, 'second'],
      authentication: {
        method: 'client_secret',
        secret_sha256: btoa(String.fromCharCode(...new Uint8Array(digest)))
          .replaceAll('+', '-')
          .replaceAll('/', '_')
          .replace('=', ''),
      },
    });
    const refused = await broker.complete(
      strict,
      changed(body, { resource: { type: 'application', id: 'second' } }),
      strong,
    );
    expect(outcomeOf(refused)).toEqual([false, 'step_up_wrong_application']);
  });

  it('from another client', async () => {
    const { body } = await pendingSignIn();
    expect(outcomeOf(await broker.complete(client, body, strong))).toEqual([
      false,
      'client_not_allowed_for_application',
    ]);
    const own = changed(body, { resource: { type: 'application', id: client.application } });
    expect(outcomeOf(await broker.complete(client, own, strong))).toEqual([
      false,
      'challenge_wrong_client',
    ]);
  });

  it('with the evidence of another device for the same challenge', async () => {
    const { body } = await pendingSignIn();
    const [, challenge = ''] = (body.context.evidence ?? '').split('~');
    const evidence = await (await enrolled()).evidence(challenge, strict.origin);
    expect(
      outcomeOf(await broker.complete(strict, withContext(body, { evidence }), strong)),
    ).toEqual([false, 'not_pending']);
  });

  it('later than ten minutes', async () => {
    const { body } = await pendingSignIn();
    travel(601);
    expect(outcomeOf(await broker.complete(strict, body, strong))).toEqual([
      false,
      'step_up_expired',
    ]);
  });

  it('where nothing is pending: before the evaluation, and after a final one', async () => {
    const body = await bodyOf(await enrolled(), client, { subject: someone() });
    expect(outcomeOf(await broker.complete(client, body, strong))).toEqual([false, 'not_pending']);
    expect(outcomeOf(await send(body, client))).toEqual([true, 'trusted_device']);
    expect(outcomeOf(await broker.complete(client, body, strong))).toEqual([false, 'not_pending']);
  });
});

describe('a completion is judged anew', () => {
  it('denies, for good, when the certificate was revoked meanwhile', async () => {
    const { device, body } = await pendingSignIn();
    const { certificates } = await broker.device(device.deviceId ?? '');
    await broker.revoke(device.deviceId ?? '', certificates[0]?.fingerprint_sha256 ?? '');
    const denied = await broker.complete(strict, body, strong);
    expect(outcomeOf(denied)).toEqual([false, 'certificate_revoked']);
    expect(denied.context.decision_token).toBeDefined();
    expect((await broker.complete(strict, body, strong)).context.decision_id).toBe(
      denied.context.decision_id,
    );
  });

  it('asks for what the policy asks for by now', async () => {
    const changing = await broker.registerClient({
      trusted_devices: 'step_up',
      factor: { acr_values: ['mfa'], amr_values: [] },
    });
    const body = await bodyOf(await enrolled(), changing, { subject: someone() });
    await send(body, changing);
    await broker.putApplication(changing.application, {
      name: changing.application,
      enforcement: 'enforce',
      trusted_devices: 'step_up',
      factor: { acr_values: ['phr'], amr_values: ['hwk', 'swk'] },
    });
    travel(6);
    for (const asserted of [{ acr: 'mfa' }, { acr: 'phr' }, { acr: 'mfa', amr: ['hwk'] }]) {
      expect(outcomeOf(await broker.complete(changing, body, asserted))).toEqual([
        false,
        'step_up_insufficient',
      ]);
    }
    // What the row asked for, and what the policy asks for now, cannot both be met: the person starts again.
    expect(outcomeOf(await broker.complete(changing, body, { acr: 'phr', amr: ['swk'] }))).toEqual([
      false,
      'step_up_insufficient',
    ]);
  });

  it('denies a wait that began under an older epoch of the user', async () => {
    const { body } = await pendingSignIn();
    await broker.putUser(body.subject.id, false);
    await broker.putUser(body.subject.id, true);
    travel(6);
    expect(outcomeOf(await broker.complete(strict, body, strong))).toEqual([false, 'user_revoked']);
  });

  it('is recorded once for each wait when many arrive together', async () => {
    const { device, body } = await pendingSignIn();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        broker.complete(strict, body, { acr: 'phr', amr: [`m${index % 4}`] }),
      ),
    );
    const allowed = answers.filter((answer) => answer.decision);
    expect(new Set(allowed.map((answer) => answer.context.decision_id)).size).toBe(1);
    expect(allowed).toHaveLength(5);
    const shard = shardOf(device.deviceId);
    const rows = await sqlInShard(
      shard,
      `SELECT json_extract(record, '$.reason') AS reason FROM decisions
       WHERE device_id = ? AND stage = 1`,
      device.deviceId ?? '',
    );
    expect(rows.map((row) => row.reason).sort()).toEqual([
      ...Array(15).fill('challenge_already_used'),
      'step_up_completed',
    ]);
  });
});
