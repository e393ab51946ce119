import { accessDocument } from '@countersign/policy';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EvaluateResult } from '../challenge/evaluate-sign-in.ts';
import type { AccessEntry } from '../device/record-access.ts';
import {
  type OrganizationSnapshot,
  registeredClient,
  unsetAdministration,
} from '../directory/organization-snapshot.ts';
import { ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf } from '../testing/token-keys.ts';
import type { SigningKeys } from '../token/token-key.ts';
import { type EvaluateAllContext, evaluateAll } from './evaluate-all.ts';
import { readEvaluation, withDefaults } from './read-evaluation.ts';

// What is asked, recorded and left undone; what a decision rests on is tried against a broker.

const client = registeredClient.parse({
  client_id: 'sso',
  name: 'sso',
  origins: ['https://sso.example.com'],
  applications: ['app'],
  authentication: { method: 'client_secret', secret_sha256: 'A'.repeat(43) },
});
const access = accessDocument.parse({
  version: 3,
  resource_types: [{ type: 'page', actions: ['read'] }],
  rules: [{ id: 'ada', when: { people: { users: ['ada'] } }, effect: 'allow' }],
});
const snapshot: OrganizationSnapshot = {
  version: 4,
  applications: new Map(),
  clients: new Map([['sso', client]]),
  inactiveUsers: new Set(),
  ...unsetAdministration,
  access: new Map([['app', access]]),
};

let decisionKeys: SigningKeys;
beforeAll(async () => {
  decisionKeys = await signingKeysOf(await ecdsaKeys());
});

let asked: string[];
let recorded: { readonly shard: number; readonly entry: AccessEntry }[];
let signInAnswer: EvaluateResult;
let recordAnswer: Awaited<ReturnType<EvaluateAllContext['recordAccess']>>;
beforeEach(() => {
  asked = [];
  recorded = [];
  signInAnswer = { ok: false, code: 'rate_limited' };
  recordAnswer = { kind: 'recorded', decisionId: '3.9' };
});

const read = (id: string) => ({
  subject: { type: 'user', id },
  action: { name: 'read' },
  resource: { type: 'page', id: 'one' },
});
const signIn = (id: string) => ({
  subject: { type: 'user', id },
  action: { name: 'sign_in' },
  resource: { type: 'application', id: 'app' },
});

const evaluate = (
  bodies: readonly unknown[],
  semantic: Parameters<typeof evaluateAll>[3] = 'execute_all',
) =>
  evaluateAll(
    {
      token: { brokerUrl: 'https://b.example', decisionKeys, clientId: 'sso', nowMs: 0 },
      shardCount: 8,
      issuers: [],
      findShown: async () => ({ ok: true, shown: undefined }),
      evaluateSignIn: async ({ subject }) => {
        asked.push(subject.id);
        return signInAnswer;
      },
      recordAccess: async (shard, entry) => {
        recorded.push({ shard, entry });
        return recordAnswer;
      },
    },
    client,
    bodies.map(readEvaluation),
    semantic,
    { snapshot, readAtMs: 7 },
  );

const kinds = (result: Awaited<ReturnType<typeof evaluate>>) =>
  result.ok ? result.evaluated.map(({ kind }) => kind) : result.code;

describe('several evaluations', () => {
  it('are recorded in one place, with the snapshot that they rest on', async () => {
    const result = await evaluate([read('ada'), read('bob'), {}]);
    expect(kinds(result)).toEqual(['access', 'access', 'failed']);
    expect(recorded).toMatchObject([
      {
        entry: {
          clientId: 'sso',
          organizationVersion: 4,
          readAtMs: 7,
          evaluations: [
            { subject: 'ada', decision: true, rule: 'ada', policy_version: 3 },
            { subject: 'bob', decision: false, rule: 'default' },
          ],
        },
      },
    ]);
    await evaluate([read('ada')]);
    expect(recorded[1]?.shard).toBe(recorded[0]?.shard);
  });

  it('record nothing of their own where all are sign-ins', async () => {
    expect(kinds(await evaluate([signIn('ada'), signIn('bob')]))).toEqual(['failed', 'failed']);
    expect([asked, recorded]).toEqual([['ada', 'bob'], []]);
  });

  it('tell in its place why a sign-in could not be decided', async () => {
    const result = await evaluate([signIn('ada'), read('ada')]);
    expect(result).toMatchObject({
      ok: true,
      evaluated: [
        { kind: 'failed', problem: { code: 'rate_limited' } },
        { kind: 'access', decisionId: '3.9' },
      ],
    });
  });

  it('do not ask about what comes after the end', async () => {
    const denied = await evaluate([read('bob'), signIn('ada'), read('ada')], 'deny_on_first_deny');
    expect(kinds(denied)).toEqual(['access']);
    const permitted = [read('bob'), read('ada'), signIn('eve')];
    expect(kinds(await evaluate(permitted, 'permit_on_first_permit'))).toEqual([
      'access',
      'access',
    ]);
    expect(asked).toEqual([]);
    await evaluate([signIn('ada'), signIn('bob')], 'deny_on_first_deny');
    expect(asked).toEqual(['ada']);
  });

  it('are no decisions where they cannot be recorded', async () => {
    recordAnswer = { ok: false, code: 'storage_unavailable' };
    expect(kinds(await evaluate([read('ada')]))).toBe('storage_unavailable');
    recordAnswer = { kind: 'needs_snapshot' };
    expect(kinds(await evaluate([read('ada')]))).toBe('snapshot_unavailable');
  });
});

describe('a default', () => {
  const defaults = {
    subject: { type: 'user', id: 'ada', properties: { role: 'owner' } },
    action: { name: 'read' },
    context: { note: 'all' },
  };

  it.each<[string, unknown, unknown]>([
    ['stands where nothing is said', {}, defaults],
    [
      'names what has no name',
      { subject: { id: 'bob' } },
      { ...defaults, subject: { type: 'user', id: 'bob' } },
    ],
    [
      'goes with its properties',
      { subject: {} },
      { ...defaults, subject: { type: 'user', id: 'ada' } },
    ],
    ['gives way to a context, whole', { context: {} }, { ...defaults, context: {} }],
    ['gives way to null', { subject: null }, { ...defaults, subject: null }],
    ['is nothing to what is no object', 7, 7],
    ['keeps what else there is', { more: 1 }, { ...defaults, more: 1 }],
  ])('%s', (_, evaluation, expected) => {
    expect(withDefaults(evaluation, defaults)).toEqual(expected);
  });
});
