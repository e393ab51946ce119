import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { evaluationRequest } from '@countersign/protocol/evaluation';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DecideResult, SignIn } from '../device/sign-in.ts';
import {
  type OrganizationSnapshot,
  type ReadSnapshot,
  registeredClient,
  unsetAdministration,
} from '../directory/organization-snapshot.ts';
import { trustedDevicesOnly } from '../policy/simple-policy.ts';
import { ecdhKeys, ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf, tokenKeyOf } from '../testing/token-keys.ts';
import { type EvaluateContext, evaluateSignIn } from './evaluate-sign-in.ts';
import { IssuedChallenges } from './issued-challenges.ts';
import { PresentedCertificates } from './presented-certificate.ts';

// How the use case leads a sign-in through the objects: what it asks again, and when it gives up.

const client = registeredClient.parse({
  client_id: 'sso',
  name: 'sso',
  origins: ['https://sso.example.com'],
  applications: ['app'],
  authentication: { method: 'client_secret', secret_sha256: 'A'.repeat(43) },
});

const snapshotOf = (version: number, clients = [client]): OrganizationSnapshot => ({
  version,
  applications: new Map(
    ['app', 'other'].map((id) => [
      id,
      { application_id: id, name: id, policy: trustedDevicesOnly(version, 'enforce') },
    ]),
  ),
  clients: new Map(clients.map((each) => [each.client_id, each])),
  inactiveUsers: new Set(['gone']),
  ...unsetAdministration,
});

const record: DecisionRecord = {
  v: 1,
  shard: 3,
  sequence: 9,
  recorded_at_ms: 1,
  id: 'id',
  opened: false,
  stage: 0,
  client_id: 'sso',
  subject_type: 'user',
  subject: 'ada',
  resource_type: 'application',
  application: 'app',
  action: 'sign_in',
  subject_authenticated: true,
  transaction_hash: 't',
  request_hash: 'r',
  organization_version: 1,
  policy_version: 1,
  decision: false,
  reason: 'evidence_missing',
  rule: 'none',
  device_trusted: false,
  device_id: '',
  bound_now: false,
};

type Answer = Awaited<ReturnType<EvaluateContext['decide']>>;
let base: Omit<EvaluateContext, 'decide' | 'reserveBinding' | 'refreshSnapshot'>;
let asked: { readonly shard: number; readonly signIn: SignIn }[];
let reserved: [user: string, shard: number][];

beforeAll(async () => {
  base = {
    brokerUrl: 'https://broker.example.com',
    organizationId: 'org',
    shardCount: 8,
    issuers: [{ issuerId: 'issuer' }, { issuerId: 'other' }],
    challengeKeys: await signingKeysOf(await ecdsaKeys()),
    mtlsEvidenceKeys: await signingKeysOf(await ecdsaKeys()),
    responseKeys: [await tokenKeyOf(await ecdhKeys())],
    decisionKeys: await signingKeysOf(await ecdsaKeys()),
    presentedCertificates: new PresentedCertificates(),
    issuedChallenges: new IssuedChallenges(),
  };
});
beforeEach(() => {
  asked = [];
  reserved = [];
});

/** A context whose shard gives these answers, one after the other, the last one for ever. */
const contextWith = (
  answers: readonly Answer[],
  change: Partial<EvaluateContext> = {},
): EvaluateContext => ({
  ...base,
  decide: async (shard, signIn) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push({ shard, signIn });
    if (answer === undefined) throw new RangeError('an answer is needed');
    return answer;
  },
  reserveBinding: async (user, shard) => {
    reserved.push([user, shard]);
    return { ok: true, epoch: 4, sinceMs: 0 };
  },
  refreshSnapshot: async () => ({ snapshot: snapshotOf(2), readAtMs: 2000 }),
  ...change,
});

const body = {
  subject: { type: 'user', id: 'ada' },
  action: { name: 'sign_in' },
  resource: { type: 'application', id: 'app' },
  context: { transaction: 'A'.repeat(43), subject_authenticated: true },
};
const read: ReadSnapshot = { snapshot: snapshotOf(1), readAtMs: 1000 };

const evaluate = (context: EvaluateContext, change: object = {}) =>
  evaluateSignIn(context, client, evaluationRequest.parse({ ...body, ...change }), read);

const decided: DecideResult = { kind: 'decided', record };

describe('evaluateSignIn', () => {
  it('asks one shard once, and gives its record without a token where it has none', async () => {
    expect(await evaluate(contextWith([decided]))).toEqual({
      ok: true,
      record,
      decisionToken: undefined,
    });
    expect(asked).toHaveLength(1);
    expect(asked[0]?.signIn).toMatchObject({
      clientId: 'sso',
      subject: 'ada',
      challenge: undefined,
      evidence: { ok: false, reason: 'evidence_missing' },
      snapshot: { version: 1, readAtMs: 1000 },
      structuralDenial: undefined,
      reservation: undefined,
      activeIssuerIds: ['issuer', 'other'],
    });
  });

  it('asks again with a newer snapshot, and reads everything from that', async () => {
    const context = contextWith([{ kind: 'needs_snapshot' }, decided]);
    expect(await evaluate(context)).toMatchObject({ ok: true });
    expect(asked.map(({ signIn }) => [signIn.snapshot, signIn.policy?.version])).toEqual([
      [{ version: 1, readAtMs: 1000 }, 1],
      [{ version: 2, readAtMs: 2000 }, 2],
    ]);
  });

  it('counts no issuer that the newer snapshot has retired', async () => {
    const snapshot = { ...snapshotOf(2), issuers: { issuing: 'other', retired: ['issuer'] } };
    const context = contextWith([{ kind: 'needs_snapshot' }, decided], {
      refreshSnapshot: async () => ({ snapshot, readAtMs: 2000 }),
    });
    await evaluate(context);
    expect(asked.map(({ signIn }) => signIn.activeIssuerIds)).toEqual([
      ['issuer', 'other'],
      ['other'],
    ]);
  });

  it('knows the client by the newer snapshot alone', async () => {
    const context = contextWith([{ kind: 'needs_snapshot' }, decided], {
      refreshSnapshot: async () => ({ snapshot: snapshotOf(2, []), readAtMs: 2000 }),
    });
    await evaluate(context);
    expect(asked.map(({ signIn }) => signIn.structuralDenial)).toEqual([
      undefined,
      'client_not_allowed_for_application',
    ]);
  });

  it('reserves in the shard that asked for it, and keeps that when the snapshot grows old', async () => {
    const answers: Answer[] = [{ kind: 'needs_reservation' }, { kind: 'needs_snapshot' }, decided];
    expect(await evaluate(contextWith(answers))).toMatchObject({ ok: true });
    expect(reserved).toEqual([['ada', asked[0]?.shard]]);
    expect(asked.map(({ signIn }) => [signIn.reservation, signIn.snapshot.version])).toEqual([
      [undefined, 1],
      [{ ok: true, epoch: 4, sinceMs: 0 }, 1],
      [{ ok: true, epoch: 4, sinceMs: 0 }, 2],
    ]);
    expect(new Set(asked.map(({ shard }) => shard)).size).toBe(1);
  });

  it('hands on that a user is inactive', async () => {
    const context = contextWith([{ kind: 'needs_reservation' }, decided], {
      reserveBinding: async () => ({ ok: false, code: 'subject_inactive' }),
    });
    await evaluate(context);
    expect(asked[1]?.signIn.reservation).toEqual({ ok: false, reason: 'subject_inactive' });
  });

  it.each<[code: string, answers: readonly Answer[], change: Partial<EvaluateContext>]>([
    ['rate_limited', [{ kind: 'rate_limited' }], {}],
    ['storage_unavailable', [{ ok: false, code: 'storage_unavailable' }], {}],
    [
      'storage_unavailable',
      [{ kind: 'needs_reservation' }],
      { reserveBinding: async () => ({ ok: false, code: 'storage_unavailable' }) },
    ],
    [
      'snapshot_unavailable',
      [{ kind: 'needs_snapshot' }],
      { refreshSnapshot: async () => undefined },
    ],
    ['snapshot_unavailable', [{ kind: 'needs_snapshot' }], {}],
    ['snapshot_unavailable', [{ kind: 'needs_reservation' }], {}],
  ])('gives up with %s', async (code, answers, change) => {
    expect(await evaluate(contextWith(answers, change))).toEqual({ ok: false, code });
    expect(asked.length).toBeLessThanOrEqual(4);
  });

  it.each<[denial: string, change: object]>([
    ['subject_type_unknown', { subject: { type: 'User', id: 'ada' } }],
    ['subject_type_unknown', { resource: { type: 'app', id: 'app' } }],
    ['action_unknown', { action: { name: 'sign_in2' } }],
    ['application_unknown', { resource: { type: 'application', id: 'nothing' } }],
    ['application_unknown', { resource: { type: 'application', id: '__proto__' } }],
    ['client_not_allowed_for_application', { resource: { type: 'application', id: 'other' } }],
    ['subject_type_unknown', { subject: { type: 'x', id: 'x' }, action: { name: 'x' } }],
    ['action_unknown', { action: { name: 'x' }, resource: { type: 'application', id: 'x' } }],
    ['subject_inactive', { subject: { type: 'user', id: 'gone' } }],
  ])('finds %s, which no evidence can mend', async (denial, change) => {
    await evaluate(contextWith([decided]), change);
    expect(asked[0]?.signIn.structuralDenial).toBe(denial);
  });

  it('takes requests for the same when they say the same', async () => {
    const { subject, action, resource, context } = body;
    const variants = [
      {},
      { extra: 1, subject: { id: subject.id, type: subject.type, properties: { a: 1 } } },
      { context: { subject_authenticated: true, transaction: context.transaction, more: [] } },
      { action: { ...action, properties: {} }, resource: { id: resource.id, type: resource.type } },
    ];
    for (const variant of variants) await evaluate(contextWith([decided]), variant);
    const changes = [
      { subject: { type: 'user', id: 'Ada' } },
      { context: { ...context, subject_authenticated: false } },
      { context: { ...context, evidence: '' } },
      { context: { ...context, transaction: 'B'.repeat(44) } },
    ];
    for (const change of changes) await evaluate(contextWith([decided]), change);
    expect(new Set(asked.map(({ signIn }) => signIn.requestHash)).size).toBe(1 + changes.length);
    expect(
      new Set(asked.slice(0, variants.length).map(({ signIn }) => signIn.requestHash)).size,
    ).toBe(1);
  });

  it('places what opens no challenge by its client', async () => {
    for (const id of ['ada', 'grace', 'edsger']) {
      await evaluate(contextWith([decided]), { subject: { type: 'user', id } });
    }
    expect(new Set(asked.map(({ shard }) => shard)).size).toBe(1);
  });
});
