import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { decisionTokenTyp } from '@countersign/protocol/decision-token';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ShownRow } from '../device/shown-sign-in.ts';
import {
  type OrganizationSnapshot,
  unsetAdministration,
} from '../directory/organization-snapshot.ts';
import { ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf } from '../testing/token-keys.ts';
import { encodeHeader, signCompactJws } from '../token/compact-jws.ts';
import type { SigningKeys } from '../token/token-key.ts';
import type { FoundSignIn } from './shown-sign-in.ts';
import { ShownTrust } from './shown-trust.ts';

// Whom a token asks, and how often. What the shard finds there is tried on a real one.

const nowMs = 1_800_000_000_000;
const brokerUrl = 'https://broker.example.com';
const snapshot: OrganizationSnapshot = {
  version: 4,
  applications: new Map(),
  clients: new Map(),
  inactiveUsers: new Set(),
  ...unsetAdministration,
  issuers: { issuing: undefined, retired: ['old'] },
};
const record: DecisionRecord = {
  v: 1,
  shard: 3,
  sequence: 17,
  recorded_at_ms: nowMs,
  id: 'A'.repeat(22),
  opened: true,
  stage: 0,
  client_id: 'sso',
  subject_type: 'user',
  subject: 'ada',
  resource_type: 'application',
  application: 'app',
  action: 'sign_in',
  subject_authenticated: true,
  transaction_hash: 'A'.repeat(43),
  request_hash: 'A'.repeat(43),
  organization_version: 4,
  policy_version: 1,
  decision: true,
  reason: 'trusted_device',
  rule: 'trusted-devices',
  device_trusted: true,
  device_id: 'd',
  bound_now: false,
};
const idOf = (letter: string) => `${letter.repeat(21)}A`;

let decisionKeys: SigningKeys;
beforeAll(async () => {
  decisionKeys = await signingKeysOf(await ecdsaKeys());
});

let asked: { readonly shard: number; readonly row: ShownRow; readonly facts: object }[];
let answer: FoundSignIn;
let shown: ShownTrust;
beforeEach(() => {
  asked = [];
  answer = { ok: true, shown: { record, lost: undefined } };
  shown = new ShownTrust(
    {
      shardCount: 8,
      issuers: [{ issuerId: 'old' }, { issuerId: 'new' }],
      findShown: async (shard, row, facts) => {
        asked.push({ shard, row, facts });
        return answer;
      },
      token: { brokerUrl, decisionKeys, clientId: 'sso', nowMs },
    },
    snapshot,
  );
});

function tokenOf(claims: object = {}): Promise<string> {
  const { active } = decisionKeys;
  const iat = nowMs / 1000;
  const honest = {
    iss: brokerUrl,
    aud: 'sso',
    sub: 'ada',
    jti: idOf('b'),
    iat,
    exp: iat + 60,
    application: 'app',
    action: 'sign_in',
    transaction_hash: 'A'.repeat(43),
    decision: true,
    reason_code: 'trusted_device',
    device_trusted: true,
    decision_id: '3.17',
  };
  const header = encodeHeader(decisionTokenTyp, active.kid);
  return signCompactJws(header, { ...honest, ...claims }, active.privateKey);
}
const ada = { type: 'user', id: 'ada' };

describe('a token of a sign-in with a trusted device', () => {
  it('has its shard asked once for all evaluations of a request, with what counts now', async () => {
    const token = await tokenOf();
    // Signed anew, as for a retry, it is another text.
    for (const text of [token, token, await tokenOf()]) {
      expect(await shown.find(text, ada)).toEqual({ ok: true, trust: { trusted: true } });
    }
    const together = await Promise.all([shown.find(token, ada), shown.find(token, ada)]);
    expect(together.every(({ ok }) => ok)).toBe(true);
    expect(asked).toEqual([
      {
        shard: 3,
        row: { sequence: 17, tokenId: idOf('b') },
        facts: {
          activeIssuerIds: ['new'],
          integrations: [expect.objectContaining({ id: '', standing: 'active' })],
        },
      },
    ]);
  });

  it('has it asked once for each other sign-in', async () => {
    await shown.find(await tokenOf(), ada);
    await shown.find(await tokenOf({ jti: idOf('c'), decision_id: '5.2' }), ada);
    expect(asked.map(({ shard }) => shard)).toEqual([3, 5]);
  });

  it('says what has been lost since', async () => {
    answer = { ok: true, shown: { record, lost: 'certificate_revoked' } };
    expect(await shown.find(await tokenOf(), ada)).toEqual({
      ok: true,
      trust: { trusted: false, reason: 'certificate_revoked' },
    });
  });

  it('tells nothing where the shard does not have it, or there is no such shard', async () => {
    answer = { ok: true, shown: undefined };
    const nothing = { ok: true, trust: undefined };
    expect(await shown.find(await tokenOf(), ada)).toEqual(nothing);
    for (const decision_id of ['8.1', '3.0', 'x']) {
      const jti = idOf('c');
      expect(await shown.find(await tokenOf({ decision_id, jti }), ada)).toEqual(nothing);
    }
    expect(asked).toHaveLength(1);
  });

  it('is no word on the device where the shard does not answer', async () => {
    answer = { ok: false, code: 'storage_unavailable' };
    expect(await shown.find(await tokenOf(), ada)).toEqual(answer);
  });
});

describe('nobody is asked', () => {
  it.each<[string, object, object, object]>([
    ['about another subject', {}, { type: 'user', id: 'bob' }, { trust: undefined }],
    ['about something of that name', {}, { type: 'robot', id: 'ada' }, { trust: undefined }],
    ['of another client', { aud: 'crm' }, ada, { trust: undefined }],
    ['about a denial', { decision: false }, ada, { trust: undefined }],
    ['by a token that has ended', { exp: nowMs / 1000 }, ada, { trust: undefined }],
    [
      'about a device that was not trusted then',
      { device_trusted: false },
      ada,
      { trust: { trusted: false } },
    ],
  ])('%s', async (_, claims, subject, expected) => {
    const about = { ...ada, ...subject };
    expect(await shown.find(await tokenOf(claims), about)).toEqual({ ok: true, ...expected });
    expect(asked).toEqual([]);
  });

  it('where no token is shown, or one that is none', async () => {
    for (const token of [undefined, '', 'x.y.z']) {
      expect(await shown.find(token, ada)).toEqual({ ok: true, trust: undefined });
    }
    expect(asked).toEqual([]);
  });
});
