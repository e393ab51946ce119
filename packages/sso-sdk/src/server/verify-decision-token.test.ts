import { createHash, createHmac } from 'node:crypto';
import {
  CompactSign,
  calculateJwkThumbprint,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
} from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { type FindDecisionKey, findDecisionKeyAt } from './published-keys.ts';
import { type ExpectedDecision, verifyDecisionToken } from './verify-decision-token.ts';

const nowSeconds = 1_800_000_000;
const transaction = Buffer.alloc(32, 7).toString('base64url');
const expected: ExpectedDecision = {
  issuer: 'https://broker.example.com',
  clientId: 'sso',
  subject: 'ada',
  application: 'mail',
  action: 'sign_in',
  transaction,
};
const goodClaims = {
  iss: 'https://broker.example.com',
  aud: 'sso',
  sub: 'ada',
  jti: Buffer.alloc(16, 1).toString('base64url'),
  iat: nowSeconds - 1,
  exp: nowSeconds + 59,
  application: 'mail',
  action: 'sign_in',
  transaction_hash: createHash('sha256').update(transaction).digest('base64url'),
  decision: true,
  reason_code: 'trusted_device',
  device_trusted: true,
  decision_id: '0.1',
};

type Key = {
  privateKey: CryptoKey;
  publicKey: CryptoKey;
  jwk: JWK & { purpose?: string };
  kid: string;
};

async function makeKey(purpose: string | undefined = undefined): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const published = { ...jwk, kid, alg: 'ES256', use: 'sig' };
  return {
    privateKey,
    publicKey,
    jwk: purpose === undefined ? published : { ...published, purpose },
    kid,
  };
}

const publish = (...keys: unknown[]) =>
  findDecisionKeyAt(
    { url: expected.issuer, fetch: () => Promise.resolve(Response.json({ keys })) },
    1000,
  );

let brokerKey: Key;
let foreignKey: Key;
let findKey: FindDecisionKey;

beforeAll(async () => {
  brokerKey = await makeKey('decision');
  foreignKey = await makeKey();
  const olderKey = await makeKey('decision');
  findKey = publish(olderKey.jwk, brokerKey.jwk);
});

type Changes = { claims?: object; header?: object; key?: Key };

/** Signs like the broker, with changes; a header member set to undefined is left out. */
async function sign({ claims = {}, header = {}, key = brokerKey }: Changes = {}) {
  return new CompactSign(new TextEncoder().encode(JSON.stringify({ ...goodClaims, ...claims })))
    .setProtectedHeader({ alg: 'ES256', kid: brokerKey.kid, typ: 'decision+jwt', ...header })
    .sign(key.privateKey, { crit: { 'x-own': true } });
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

const verify = (token: string, changes: Partial<ExpectedDecision> = {}) =>
  verifyDecisionToken(token, { ...expected, ...changes }, findKey, nowSeconds, 5);

describe('verifyDecisionToken', () => {
  test('returns the claims of a good token', async () => {
    expect(await verify(await sign())).toEqual(goodClaims);
  });

  test.each<[string, Changes, string]>([
    ['typ of a challenge', { header: { typ: 'challenge+jwt' } }, 'decision_token_type_wrong'],
    ['typ in capitals', { header: { typ: 'DECISION+JWT' } }, 'decision_token_type_wrong'],
    ['no typ', { header: { typ: undefined } }, 'decision_token_type_wrong'],
    ['no kid', { header: { kid: undefined } }, 'decision_token_malformed'],
    ['empty kid', { header: { kid: '' } }, 'decision_token_malformed'],
    ['unknown kid', { header: { kid: 'other' } }, 'decision_token_key_unknown'],
    ['kid of a path', { header: { kid: '../../dev/null' } }, 'decision_token_key_unknown'],
    ['crit', { header: { crit: ['x-own'], 'x-own': 1 } }, 'decision_token_malformed'],
    ['b64', { header: { b64: true } }, 'decision_token_malformed'],
    ['jku', { header: { jku: 'https://evil.example.com' } }, 'decision_token_malformed'],
    ['x5u', { header: { x5u: 'https://evil.example.com' } }, 'decision_token_malformed'],
    ['x5c', { header: { x5c: ['MA=='] } }, 'decision_token_malformed'],
    [
      'another issuer',
      { claims: { iss: 'https://evil.example.com' } },
      'decision_token_wrong_issuer',
    ],
    ['another client', { claims: { aud: 'other' } }, 'decision_token_wrong_audience'],
    ['a list of clients', { claims: { aud: ['sso', 'other'] } }, 'decision_token_malformed'],
    ['another user', { claims: { sub: 'grace' } }, 'decision_token_wrong_subject'],
    ['a user in capitals', { claims: { sub: 'ADA' } }, 'decision_token_wrong_subject'],
    [
      'another application',
      { claims: { application: 'payroll' } },
      'decision_token_wrong_application',
    ],
    ['another action', { claims: { action: 'sign_out' } }, 'decision_token_wrong_action'],
    [
      'another transaction',
      { claims: { transaction_hash: Buffer.alloc(32).toString('base64url') } },
      'decision_token_wrong_transaction',
    ],
    [
      'the transaction unhashed',
      { claims: { transaction_hash: transaction } },
      'decision_token_wrong_transaction',
    ],
    [
      'expired',
      { claims: { iat: nowSeconds - 65, exp: nowSeconds - 5 } },
      'decision_token_expired',
    ],
    [
      'issued in the future',
      { claims: { iat: nowSeconds + 6, exp: nowSeconds + 60 } },
      'decision_token_not_yet_valid',
    ],
    ['a life of 61 seconds', { claims: { exp: nowSeconds + 60 } }, 'decision_token_lifetime_wrong'],
    ['exp before iat', { claims: { exp: nowSeconds - 2 } }, 'decision_token_lifetime_wrong'],
    [
      'exp in the far future',
      { claims: { exp: 253_402_300_799 } },
      'decision_token_lifetime_wrong',
    ],
    ['no exp', { claims: { exp: undefined } }, 'decision_token_malformed'],
    ['exp as text', { claims: { exp: String(nowSeconds + 59) } }, 'decision_token_malformed'],
    ['exp beyond all numbers', { claims: { exp: 1e308 } }, 'decision_token_malformed'],
    ['a denial', { claims: { decision: false } }, 'decision_token_denies'],
    ['decision as text', { claims: { decision: 'true' } }, 'decision_token_malformed'],
    ['decision as a number', { claims: { decision: 1 } }, 'decision_token_malformed'],
    ['no decision', { claims: { decision: undefined } }, 'decision_token_malformed'],
    ['no subject', { claims: { sub: undefined } }, 'decision_token_malformed'],
  ])('%s', async (_, changes, code) => {
    await expect(verify(await sign(changes))).rejects.toMatchObject({ code });
  });

  test('a foreign key under the id of the broker, and its own key in the header', async () => {
    await expect(verify(await sign({ key: foreignKey }))).rejects.toMatchObject({
      code: 'decision_token_signature_invalid',
    });
    const { kid } = foreignKey;
    await expect(verify(await sign({ key: foreignKey, header: { kid } }))).rejects.toMatchObject({
      code: 'decision_token_key_unknown',
    });
    const header = { jwk: foreignKey.jwk };
    await expect(verify(await sign({ key: foreignKey, header }))).rejects.toMatchObject({
      code: 'decision_token_malformed',
    });
  });

  test.each<[string, unknown, string]>([
    ['for the audit', 'audit', 'decision_token_key_wrong_purpose'],
    ['for challenges', 'challenge', 'decision_token_key_wrong_purpose'],
    ['for decisions in capitals', 'DECISION', 'decision_token_key_wrong_purpose'],
    ['for nothing', '', 'decision_token_key_wrong_purpose'],
    ['for nothing that is said', undefined, 'decision_token_key_without_purpose'],
  ])('a key that is published %s', async (_, purpose, code) => {
    const key = await makeKey();
    const token = await sign({ key, header: { kid: key.kid } });
    const verifyWith = (find: FindDecisionKey) =>
      verifyDecisionToken(token, expected, find, nowSeconds, 5);
    const mixed = publish({ ...key.jwk, purpose }, brokerKey.jwk);
    await expect(verifyWith(mixed)).rejects.toMatchObject({ code });
    await expect(verifyWith(publish({ ...key.jwk, purpose }))).rejects.toMatchObject({ code });
    const right = publish({ ...key.jwk, purpose: 'decision' }, brokerKey.jwk);
    expect(await verifyWith(right)).toEqual(goodClaims);
  });

  test('a key of another purpose does not stand in the way of one with its id', async () => {
    const audit = { ...foreignKey.jwk, kid: brokerKey.kid, purpose: 'audit' };
    const find = publish(audit, brokerKey.jwk);
    const token = await sign();
    expect(await verifyDecisionToken(token, expected, find, nowSeconds, 5)).toEqual(goodClaims);
    const forged = await sign({ key: foreignKey });
    await expect(verifyDecisionToken(forged, expected, find, nowSeconds, 5)).rejects.toMatchObject({
      code: 'decision_token_signature_invalid',
    });
  });

  test.each(['none', 'None', 'HS256', 'es256', 'ES256K', 'RS256', ''])('alg %j', async (alg) => {
    const [, claims] = (await sign()).split('.');
    const signingInput = `${part({ alg, kid: brokerKey.kid, typ: 'decision+jwt' })}.${claims}`;
    const publicKey = await exportSPKI(brokerKey.publicKey);
    const withPublicKey = createHmac('sha256', publicKey).update(signingInput).digest('base64url');
    for (const signature of ['', 'AA', withPublicKey]) {
      await expect(verify(`${signingInput}.${signature}`)).rejects.toMatchObject({
        code: 'decision_token_algorithm_not_allowed',
      });
    }
  });

  test('a changed signature or a changed claim', async () => {
    const token = await sign();
    const [header, claims = '', signature = ''] = token.split('.');
    const other = part({ ...goodClaims, sub: 'grace' });
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    for (const forged of [`${header}.${claims}.${flipped}`, `${header}.${other}.${signature}`]) {
      await expect(verify(forged)).rejects.toMatchObject({
        code: 'decision_token_signature_invalid',
      });
    }
    await expect(verify(`${header}.${claims}.`)).rejects.toMatchObject({
      code: 'decision_token_signature_invalid',
    });
  });

  test('anything but the one spelling of a compact JWS', async () => {
    const token = await sign();
    const [header = '', claims = '', signature = ''] = token.split('.');
    const listHeader = `${part([])}.${claims}.${signature}`;
    const spellings = [
      '',
      'a.b',
      `${token}.`,
      `${token}.x`,
      ` ${token}`,
      `${token}\n`,
      `${header}=.${claims}.${signature}`,
      `${header}.${claims}.${signature}==`,
      `${header}.${claims}.${signature.slice(0, -1)}`,
      `e30.e30.${'A'.repeat(9000)}`,
      `bm90IEpTT04.${claims}.${signature}`,
      `bnVsbA.${claims}.${signature}`,
    ];
    for (const spelling of spellings) {
      await expect(verify(spelling), spelling).rejects.toMatchObject({
        code: 'decision_token_malformed',
      });
    }
    await expect(verify(listHeader)).rejects.toMatchObject({ code: 'decision_token_type_wrong' });
  });

  test('claims that are no JSON object', async () => {
    for (const claims of ['null', '[]', '"yes"', '{', '']) {
      const token = await new CompactSign(new TextEncoder().encode(claims))
        .setProtectedHeader({ alg: 'ES256', kid: brokerKey.kid, typ: 'decision+jwt' })
        .sign(brokerKey.privateKey);
      await expect(verify(token), claims).rejects.toMatchObject({
        code: 'decision_token_malformed',
      });
    }
  });

  test('what is expected must be said exactly', async () => {
    const token = await sign();
    const mistakes: [Partial<ExpectedDecision>, string][] = [
      [{ issuer: 'https://broker.example.com/' }, 'decision_token_wrong_issuer'],
      [{ clientId: '' }, 'decision_token_wrong_audience'],
      [{ subject: '' }, 'decision_token_wrong_subject'],
      [{ application: '' }, 'decision_token_wrong_application'],
      [{ action: '' }, 'decision_token_wrong_action'],
      [{ transaction: '' }, 'decision_token_wrong_transaction'],
    ];
    for (const [mistake, code] of mistakes) {
      await expect(verify(token, mistake)).rejects.toMatchObject({ code });
    }
  });

  test('clocks may differ by the tolerance and no more', async () => {
    const at = async (now: number) =>
      verifyDecisionToken(await sign(), expected, findKey, now, 5).then(
        () => 'allowed',
        (error) => error.code,
      );
    expect(await at(goodClaims.iat - 5)).toBe('allowed');
    expect(await at(goodClaims.iat - 6)).toBe('decision_token_not_yet_valid');
    expect(await at(goodClaims.exp + 4)).toBe('allowed');
    expect(await at(goodClaims.exp + 5)).toBe('decision_token_expired');
  });

  test('unreadable keys are told from unknown ones', async () => {
    const token = await sign();
    const offline = findDecisionKeyAt(
      { url: expected.issuer, fetch: () => Promise.reject(new TypeError('fetch failed')) },
      1000,
    );
    for (const unreadable of [offline, publish('no key'), publish({ purpose: 7 })]) {
      await expect(
        verifyDecisionToken(token, expected, unreadable, nowSeconds, 5),
      ).rejects.toMatchObject({ code: 'decision_keys_unavailable' });
    }
  });
});
