import { createHash, createHmac, type KeyObject, sign } from 'node:crypto';
import type { DecisionReceiptClaims } from '@countersign/policy';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { encodePem } from '@countersign/x509';
import canonicalize from 'canonicalize';
import { beforeAll, describe, expect, it } from 'vitest';
import { receiptFailures } from './receipt-failure.ts';
import { common, nowMs, office, pending, policy } from './testing/recorded-decisions.ts';
import { verifyReceipt } from './verify-receipt.ts';

const yearMs = 365 * 86_400_000;
const auditKey = makeTestKey();

let organization: FakeOrganization;
let other: FakeOrganization;
let rootPem: string;

beforeAll(async () => {
  organization = await FakeOrganization.create('https://broker.example.com', nowMs);
  organization.auditKeys = [auditKey];
  other = await FakeOrganization.create('https://broker.example.com', nowMs);
  other.auditKeys = [auditKey];
  rootPem = encodePem('CERTIFICATE', organization.root.certificate.der);
});

const sha256 = (...parts: (Buffer | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('base64url');
};

function claimsOf(record: DecisionRecord): DecisionReceiptClaims {
  const text = canonicalize(record) ?? '';
  const previous = createHash('sha256').update('the row before').digest();
  return {
    iss: organization.brokerUrl,
    org: organization.organizationId,
    iat: nowMs / 1000,
    decision_id: `${record.shard}.${record.sequence}`,
    row: {
      chain: String(record.shard),
      sequence: record.sequence,
      record: text,
      previous_hash: previous.toString('base64url'),
      hash: sha256(previous, text),
    },
    policy: {
      sha256: sha256(canonicalize(policy) ?? ''),
      document: policy,
      source: 'rules',
      author: 'owner',
      comment: '',
      created_at: '2026-11-01T00:00:00.000Z',
      zones: [office],
    },
  };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

function signJws(header: object, claims: object, key: KeyObject = auditKey.privateKey): string {
  const input = `${encode(header)}.${encode(claims)}`;
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return `${input}.${sign('sha256', Buffer.from(input), options).toString('base64url')}`;
}

const header = () => ({ alg: 'ES256', typ: 'decision-receipt+jwt', kid: auditKey.kid });

type Forgery = {
  readonly receipt?: string;
  readonly keySet?: string;
  readonly text?: string;
  readonly root?: string;
  readonly atMs?: number;
};
async function verify(claims: object, forgery: Forgery = {}) {
  const receipt = forgery.receipt ?? signJws(header(), claims);
  const key_set = forgery.keySet ?? (await organization.signKeySet());
  const text = forgery.text ?? JSON.stringify({ receipt, key_set });
  const asked = { text, rootPem: forgery.root ?? rootPem, nowMs: forgery.atMs ?? nowMs };
  const answer = await verifyReceipt(asked);
  return answer.ok ? answer.replay.kind : answer.failure;
}

describe('an honest receipt', () => {
  it('is verified by the root alone, with the decision computed once more', async () => {
    expect(await verify(claimsOf(common))).toBe('same');
    expect(await verify(claimsOf(pending))).toBe('same');
  });

  it('of a completion is computed with what was asserted', async () => {
    const { pending: _, ...waiting } = pending;
    const completion: DecisionRecord = {
      ...waiting,
      stage: 1,
      decision: true,
      reason: 'step_up_completed',
      asserted: { acr: 'phr', amr: [] },
    };
    expect(await verify(claimsOf(completion))).toBe('same');
    const { reauthenticate_after_seconds: __, ...endless } = completion;
    expect(await verify(claimsOf(endless))).toBe('replay_different');
    const weaker = { ...completion, asserted: { acr: 'password', amr: [] } };
    expect(await verify(claimsOf(weaker))).toBe('replay_different');
  });

  it('of a refusal that no policy was asked about has none', async () => {
    const refused = { ...common, opened: false, rule: 'none', decision: false, policy_version: 0 };
    const { policy: _, ...claims } = claimsOf({ ...refused, reason: 'challenge_malformed' });
    expect(await verify(claims)).toBe('not_asked');
    expect(await verify(claimsOf({ ...refused, reason: 'challenge_malformed' }))).toBe(
      'policy_wrong',
    );
  });

  it('of a chain that an import archived names it', async () => {
    const chain = `${'E'.repeat(22)}.3`;
    const { row, ...claims } = claimsOf(common);
    const archived = { ...claims, decision_id: `${chain}.2`, row: { ...row, chain } };
    expect(await verify(archived)).toBe('same');
  });

  it('holds for years: signer and root are judged as of when it was signed', async () => {
    expect(await verify(claimsOf(common), { atMs: nowMs + 50 * yearMs })).toBe('same');
  });

  it('is one that this clock, ten minutes behind, calls the future', async () => {
    expect(await verify(claimsOf(common), { atMs: nowMs - 599_000 })).toBe('same');
  });
});

describe('a receipt that was changed', () => {
  it('in any member and signed by nobody again is refused', async () => {
    const claims = claimsOf(pending);
    const [first, , signature] = signJws(header(), claims).split('.');
    const paths = Object.keys(claims).flatMap((name) => [[name]]);
    const changed = [
      ...paths.map(([name = '']) => ({ ...claims, [name]: undefined })),
      { ...claims, iss: 'https://evil.example.com' },
      { ...claims, org: other.organizationId },
      { ...claims, iat: claims.iat - 1 },
      { ...claims, decision_id: '3.3' },
      ...Object.keys(claims.row).map((name) => ({
        ...claims,
        row: { ...claims.row, [name]: name === 'sequence' ? 3 : `${Object(claims.row)[name]}A` },
      })),
      { ...claims, policy: { ...claims.policy, author: 'eve' } },
      { ...claims, extra: true },
    ];
    for (const forged of changed) {
      const receipt = [first, encode(forged), signature].join('.');
      expect(await verify(claims, { receipt })).toMatch(/^receipt_(signature_invalid|malformed)$/);
    }
    expect(changed.length).toBeGreaterThan(15);
  });

  it('at any character, or cut at any, is refused', async () => {
    const claims = claimsOf(common);
    const text = JSON.stringify({
      receipt: signJws(header(), claims),
      key_set: await organization.signKeySet(),
    });
    const step = Math.ceil(text.length / 60);
    for (let at = 3; at < text.length; at += step) {
      const was = text[at] ?? '';
      const forged = text.slice(0, at) + (was === 'A' ? 'B' : 'A') + text.slice(at + 1);
      expect(receiptFailures).toContain(await verify(claims, { text: forged }));
      expect(await verify(claims, { text: text.slice(0, at) })).toBe('file_malformed');
    }
  });

  it.each([
    ['another kind of token', { typ: 'audit-checkpoint+jwt' }, 'receipt_type_wrong'],
    ['no kind', { typ: undefined }, 'receipt_type_wrong'],
    ['no algorithm', { alg: 'none' }, 'receipt_algorithm_not_allowed'],
    ['a shared secret', { alg: 'HS256' }, 'receipt_algorithm_not_allowed'],
    ['a key of its own', { jwk: auditKey.publicJwk }, 'receipt_malformed'],
    ['a critical member', { crit: ['exp'] }, 'receipt_malformed'],
    ['no key', { kid: undefined }, 'receipt_malformed'],
    ['a key that nobody named', { kid: makeTestKey().kid }, 'receipt_key_unknown'],
  ])('to %s is refused', async (_, changes, failure) => {
    const claims = claimsOf(common);
    const receipt = signJws({ ...header(), ...changes }, claims);
    expect(await verify(claims, { receipt })).toBe(failure);
  });

  it('without a signature, or with an HMAC keyed with what is public, is refused', async () => {
    const claims = claimsOf(common);
    const unsigned = `${encode({ ...header(), alg: 'none' })}.${encode(claims)}.`;
    expect(await verify(claims, { receipt: unsigned })).toBe('file_malformed');
    for (const alg of ['HS256', 'ES256']) {
      const secret = Buffer.from(auditKey.publicJwk.x, 'base64url');
      const text = `${encode({ ...header(), alg })}.${encode(claims)}`;
      const mac = createHmac('sha256', secret).update(text).digest('base64url');
      expect(await verify(claims, { receipt: `${text}.${mac}` })).toBe(
        alg === 'HS256' ? 'receipt_algorithm_not_allowed' : 'receipt_signature_invalid',
      );
    }
    const forged = signJws(header(), claims, makeTestKey().privateKey);
    expect(await verify(claims, { receipt: forged })).toBe('receipt_signature_invalid');
  });
});

/** Signed by the right key: what a broker that lies, or one that has a mistake, could hand out. */
describe('a receipt that does not hold together', () => {
  it('has a record that does not give the hash', async () => {
    const claims = claimsOf(common);
    const record = claims.row.record.replace('"subject":"ada"', '"subject":"eve"');
    expect(await verify({ ...claims, row: { ...claims.row, record } })).toBe('record_hash_wrong');
    const previous_hash = sha256('another row');
    expect(await verify({ ...claims, row: { ...claims.row, previous_hash } })).toBe(
      'record_hash_wrong',
    );
  });

  it('has the record of another row', async () => {
    const claims = claimsOf(common);
    expect(await verify({ ...claims, decision_id: '3.3' })).toBe('record_foreign');
    expect(await verify({ ...claims, row: { ...claims.row, chain: '4' } })).toBe('record_foreign');
    expect(await verify({ ...claims, row: { ...claims.row, sequence: 3 } })).toBe('record_foreign');
  });

  it.each([
    ['none', undefined],
    ['one of another version', { document: { ...policy, version: 8 } }],
    ['one whose hash is another', { document: { ...policy, otherwise: 'allow' } }],
    ['a hash that is another', { sha256: sha256('another policy') }],
  ])('has a policy that is not the one that decided: %s', async (_, changes) => {
    const claims = claimsOf(common);
    const forged = changes === undefined ? undefined : { ...claims.policy, ...changes };
    expect(await verify({ ...claims, policy: forged })).toBe('policy_wrong');
  });

  it('lets somebody in, or has them wait, and no policy was asked', async () => {
    for (const changes of [{ decision: true }, { decision: false, pending: pending.pending }]) {
      const {
        policy: _,
        criteria: __,
        ...claims
      } = claimsOf({
        ...common,
        ...changes,
        opened: false,
        rule: 'none',
      });
      expect(await verify(claims)).toBe('policy_wrong');
    }
  });

  it('tells of criteria what it likes, and is not believed', async () => {
    const claims = claimsOf(common);
    const invented = [{ criterion: 'posture', verdict: 'met', wanted: 'a', seen: 'a' }];
    const receipt = signJws(header(), { ...claims, criteria: invented });
    const text = JSON.stringify({ receipt, key_set: await organization.signKeySet() });
    const verified = await verifyReceipt({ text, rootPem, nowMs });
    expect(verified.ok && verified.rules).toMatchObject([
      { rule: 'managed', verdict: 'met', criteria: [{ criterion: 'device_trust' }] },
    ]);
  });

  it('tells another outcome than its policy gives', async () => {
    const recorded: Partial<DecisionRecord>[] = [
      { decision: false, reason: 'policy_denied' },
      { rule: 'office' },
      { reason: 'policy_allowed' },
      { device_trusted: false, untrusted_reason: 'certificate_revoked' },
      { reauthenticate_after_seconds: 60 },
    ];
    for (const changes of recorded) {
      expect(await verify(claimsOf({ ...common, ...changes }))).toBe('replay_different');
    }
    const elsewhere = { ...pending, facts: { ip_address: '198.51.100.1' } };
    expect(await verify(claimsOf(elsewhere))).toBe('replay_different');
    const claims = claimsOf(pending);
    const zones = [{ ...office, blocks: ['198.51.100.0/24'] }];
    expect(await verify({ ...claims, policy: { ...claims.policy, zones } })).toBe(
      'replay_different',
    );
  });

  it('was signed before what it tells of, before its key set, or in the future', async () => {
    const claims = claimsOf(common);
    const late = claimsOf({ ...common, recorded_at_ms: nowMs + 601_000 });
    expect(await verify(late)).toBe('receipt_time_wrong');
    const keySet = await organization.signKeySet({ claims: { iat: nowMs / 1000 + 601 } });
    expect(await verify(claims, { keySet })).toBe('receipt_time_wrong');
    expect(await verify(claims, { atMs: nowMs - 601_000 })).toBe('receipt_time_wrong');
  });
});

describe('the way to the root', () => {
  it('is refused under another root, and where the root is no certificate', async () => {
    const claims = claimsOf(common);
    const root = encodePem('CERTIFICATE', other.root.certificate.der);
    expect(await verify(claims, { root })).toBe('key_set_signer_untrusted');
    const keySet = await other.signKeySet();
    expect(await verify(claims, { keySet })).toBe('key_set_signer_untrusted');
    expect(await verify(claims, { root: 'nothing' })).toBe('root_malformed');
    const leaf = encodePem('CERTIFICATE', organization.issuer.certificate.der);
    expect(await verify(claims, { root: leaf })).toBe('key_set_signer_untrusted');
  });

  it('is refused where the signer is for something else', async () => {
    const { issuer } = organization;
    const x5c = [Buffer.from(issuer.certificate.der).toString('base64')];
    const keySet = await organization.signKeySet({
      header: { x5c },
      signWith: issuer.privateKey,
    });
    expect(await verify(claimsOf(common), { keySet })).toBe('key_set_signer_untrusted');
  });

  it('is refused where the signer was not valid when the receipt was signed', async () => {
    const decadesLater = nowMs + 30 * yearMs;
    const late = { ...claimsOf(common), iat: decadesLater / 1000 };
    expect(await verify(late, { atMs: decadesLater })).toBe('key_set_signer_not_valid_then');
    const early = { ...claimsOf(common), iat: nowMs / 1000 - 40 * 31_536_000 };
    expect(await verify(early)).toBe('key_set_signer_not_valid_then');
  });

  it('is refused where the key set was changed, or is another kind of token', async () => {
    const claims = claimsOf(common);
    const forged = [
      { signWith: makeTestKey().privateKey },
      { header: { typ: 'key-set-2+jwt' } },
      { header: { jku: 'https://evil.example.com' } },
      { claims: { version: 0 } },
    ];
    for (const changes of forged) {
      const keySet = await organization.signKeySet(changes);
      expect(await verify(claims, { keySet })).toMatch(/^key_set_(malformed|signature_invalid)$/);
    }
    const [first = '', ...rest] = (await organization.signKeySet()).split('.');
    const honest: object = JSON.parse(Buffer.from(first, 'base64url').toString());
    for (const alg of ['none', 'HS256', 'ES384']) {
      const keySet = [encode({ ...honest, alg }), ...rest].join('.');
      expect(await verify(claims, { keySet })).toBe('key_set_malformed');
    }
  });

  it('leads through keys for receipts alone, each under its own thumbprint', async () => {
    const claims = claimsOf(common);
    const without = await organization.signKeySet({ claims: { audit_keys: undefined } });
    expect(await verify(claims, { keySet: without })).toBe('receipt_key_unknown');
    const { challengeKey } = organization;
    const receipt = signJws(
      { ...header(), kid: challengeKey.kid },
      claims,
      challengeKey.privateKey,
    );
    expect(await verify(claims, { receipt })).toBe('receipt_key_unknown');
    for (const purpose of ['decision', 'challenge', undefined]) {
      const { publicJwk, kid } = auditKey;
      const keySet = await organization.signKeySet({
        claims: { audit_keys: [{ ...publicJwk, kid, alg: 'ES256', use: 'sig', purpose }] },
      });
      expect(await verify(claims, { keySet })).toBe('key_set_malformed');
    }
    const misnamed = { ...makeTestKey().publicJwk, kid: auditKey.kid };
    const audit_keys = [{ ...misnamed, alg: 'ES256', use: 'sig', purpose: 'audit' }];
    const keySet = await organization.signKeySet({ claims: { audit_keys } });
    expect(await verify(claims, { keySet })).toBe('key_set_malformed');
  });

  it('is of the broker and the organization that the receipt names', async () => {
    const claims = claimsOf(common);
    expect(await verify({ ...claims, iss: 'https://other.example.com' })).toBe(
      'receipt_of_other_broker',
    );
    expect(await verify({ ...claims, org: other.organizationId })).toBe('receipt_of_other_broker');
  });
});
