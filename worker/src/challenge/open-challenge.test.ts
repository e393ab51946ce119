import { createHash } from 'node:crypto';
import { encodeBase64url, type VerificationCode } from '@countersign/protocol';
import { type ChallengeClaims, challengeTyp } from '@countersign/protocol/challenge';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecdhKeys, ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf, tokenKeyOf } from '../testing/token-keys.ts';
import { hashTransaction, issueChallenge } from './issue-challenge.ts';
import { IssuedChallenges } from './issued-challenges.ts';
import { type ExpectedChallenge, openChallenge } from './open-challenge.ts';

const nowMs = 1_800_000_000_000;
const transaction = encodeBase64url(new Uint8Array(32).fill(1));
const utf8 = (text: string) => new TextEncoder().encode(text);
const part = (value: unknown) =>
  encodeBase64url(utf8(typeof value === 'string' ? value : JSON.stringify(value)));

let keys: CryptoKeyPair;
let foreign: CryptoKeyPair;
let kid: string;
let issuer: Parameters<typeof issueChallenge>[0];
let expected: ExpectedChallenge;
const input = {
  clientId: 'sso',
  transaction,
  origins: ['https://sso.example.com', 'http://localhost:8790'],
};

beforeAll(async () => {
  keys = await ecdsaKeys();
  foreign = await ecdsaKeys();
  const response = await ecdhKeys();
  issuer = {
    brokerUrl: 'https://broker.example.com',
    organizationId: `org_${'a'.repeat(22)}`,
    challengeKeys: await signingKeysOf(keys),
    responseKeys: [await tokenKeyOf(response)],
  };
  kid = issuer.challengeKeys.active.kid;
  expected = {
    brokerUrl: issuer.brokerUrl,
    organizationId: issuer.organizationId,
    clientId: 'sso',
    transactionHash: hashTransaction(transaction),
    keys: issuer.challengeKeys.accepted,
  };
});

const issue = () => issueChallenge(issuer, input, nowMs);
const claimsOf = (challenge: string): ChallengeClaims =>
  JSON.parse(Buffer.from(challenge.split('.')[1] ?? '', 'base64url').toString());
const goodHeader = () => ({ alg: 'ES256', typ: challengeTyp, kid });

/** Signs any header and payload; `key` defaults to the broker's own. */
async function sign(header: unknown, payload: unknown, key: CryptoKey = keys.privateKey) {
  const signingInput = `${part(header)}.${part(payload)}`;
  const signature = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    key,
    utf8(signingInput),
  );
  return `${signingInput}.${encodeBase64url(new Uint8Array(signature))}`;
}

describe('issueChallenge', () => {
  it('says for whom, for which transaction and for how long', async () => {
    const claims = claimsOf(await issue());
    expect(claims).toEqual({
      iss: 'https://broker.example.com',
      aud: issuer.organizationId,
      jti: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      iat: nowMs / 1000,
      exp: nowMs / 1000 + 60,
      client_id: 'sso',
      transaction_hash: createHash('sha256').update(transaction).digest('base64url'),
      origins: input.origins,
      response_encryption: {
        kid: issuer.responseKeys[0]?.kid,
        jwk: issuer.responseKeys[0]?.publicJwk,
      },
    });
  });

  it('never gives the same id twice', async () => {
    const challenges = await Promise.all(Array.from({ length: 100 }, issue));
    expect(new Set(challenges.map((challenge) => claimsOf(challenge).jti)).size).toBe(100);
  });
});

describe('openChallenge', () => {
  const reasonOf = async (challenge: string) => {
    const opened = await openChallenge(challenge, expected);
    return opened.ok ? 'ok' : opened.reason;
  };

  it('opens what the broker issued', async () => {
    const challenge = await issue();
    expect(await openChallenge(challenge, expected)).toEqual({
      ok: true,
      claims: claimsOf(challenge),
    });
  });

  it('leaves the expiry to the decision', async () => {
    const old = await issueChallenge(issuer, input, nowMs - 86_400_000);
    expect(await reasonOf(old)).toBe('ok');
  });

  it('opens what the key before or the key after has signed, while these are accepted', async () => {
    const previous = { ...issuer, challengeKeys: await signingKeysOf(foreign) };
    const challenge = await issueChallenge(previous, input, nowMs);
    const both = new Map([...expected.keys, ...previous.challengeKeys.accepted]);
    const opened = await openChallenge(challenge, { ...expected, keys: both });
    expect(opened).toEqual({ ok: true, claims: claimsOf(challenge) });
    expect(await openChallenge(await issue(), { ...expected, keys: both })).toMatchObject({
      ok: true,
    });
    expect(await reasonOf(challenge)).toBe('challenge_key_unknown');
    // One accepted key under the other's id.
    const [header = '', payload, signature] = challenge.split('.');
    const renamed = { ...JSON.parse(Buffer.from(header, 'base64url').toString()), kid };
    const forged = `${part(renamed)}.${payload}.${signature}`;
    expect(await openChallenge(forged, { ...expected, keys: both })).toEqual({
      ok: false,
      reason: 'challenge_signature_invalid',
    });
  });

  type Row = readonly [
    reason: VerificationCode,
    what: string,
    make: (claims: ChallengeClaims, good: string) => string | Promise<string>,
  ];
  const rows: readonly Row[] = [
    ['challenge_malformed', 'nothing', () => ''],
    ['challenge_malformed', 'two parts', (_, good) => good.split('.').slice(0, 2).join('.')],
    ['challenge_malformed', 'four parts', (_, good) => `${good}.`],
    ['challenge_malformed', 'padding', (_, good) => `${good}==`],
    ['challenge_malformed', 'white space', (_, good) => `${good} `],
    ['challenge_malformed', 'more than 8 KiB', (_, good) => good + 'A'.repeat(8192)],
    [
      'challenge_malformed',
      'another type',
      (claims) => sign({ ...goodHeader(), typ: 'decision+jwt' }, claims),
    ],
    ['challenge_malformed', 'no type', (claims) => sign({ alg: 'ES256', kid }, claims)],
    [
      'challenge_malformed',
      'no algorithm',
      (claims) => sign({ ...goodHeader(), alg: 'none' }, claims),
    ],
    [
      'challenge_malformed',
      'another algorithm',
      (claims) => sign({ ...goodHeader(), alg: 'HS256' }, claims),
    ],
    ['challenge_malformed', 'crit', (claims) => sign({ ...goodHeader(), crit: ['exp'] }, claims)],
    [
      'challenge_malformed',
      'a key in the header',
      (claims) => sign({ ...goodHeader(), jwk: {} }, claims),
    ],
    [
      'challenge_malformed',
      'a repeated member of the header',
      (claims) => sign(`{"alg":"ES256","typ":"${challengeTyp}","kid":"x","kid":"${kid}"}`, claims),
    ],
    [
      'challenge_key_unknown',
      'an unknown key',
      (claims) => sign({ ...goodHeader(), kid: 'other' }, claims),
    ],
    [
      'challenge_key_unknown',
      'no key id',
      (claims) => sign({ alg: 'ES256', typ: challengeTyp }, claims),
    ],
    [
      'challenge_key_unknown',
      'a key id in a list',
      (claims) => sign({ ...goodHeader(), kid: [kid] }, claims),
    ],
    [
      'challenge_signature_invalid',
      'a foreign signature',
      (claims) => sign(goodHeader(), claims, foreign.privateKey),
    ],
    [
      'challenge_signature_invalid',
      'no signature',
      (_, good) => `${good.split('.').slice(0, 2).join('.')}.AA`,
    ],
    [
      'challenge_signature_invalid',
      'a changed payload',
      (claims, good) => {
        const [header, , signature] = good.split('.');
        return [header, part({ ...claims, exp: claims.exp + 1 }), signature].join('.');
      },
    ],
    ['challenge_malformed', 'no claims', () => sign(goodHeader(), {})],
    [
      'challenge_malformed',
      'an expiry as text',
      (claims) => sign(goodHeader(), { ...claims, exp: '1' }),
    ],
    [
      'challenge_malformed',
      'an expiry that is huge',
      (claims) => sign(goodHeader(), { ...claims, exp: 1e308 }),
    ],
    [
      'challenge_malformed',
      'no expiry',
      (claims) => sign(goodHeader(), { ...claims, exp: undefined }),
    ],
    [
      'challenge_malformed',
      'a short id',
      (claims) => sign(goodHeader(), { ...claims, jti: 'AAAA' }),
    ],
    [
      'challenge_malformed',
      'no origins',
      (claims) => sign(goodHeader(), { ...claims, origins: [] }),
    ],
    [
      'challenge_malformed',
      'an origin with a path',
      (claims) => sign(goodHeader(), { ...claims, origins: ['https://sso.example.com/'] }),
    ],
    [
      'challenge_malformed',
      'a repeated claim',
      (claims) => sign(goodHeader(), `${JSON.stringify(claims).slice(0, -1)},"client_id":"sso"}`),
    ],
    [
      'challenge_wrong_audience',
      'another issuer',
      (claims) => sign(goodHeader(), { ...claims, iss: 'https://other.example.com' }),
    ],
    [
      'challenge_wrong_audience',
      'another organization',
      (claims) => sign(goodHeader(), { ...claims, aud: `org_${'b'.repeat(22)}` }),
    ],
    [
      'challenge_wrong_client',
      'another client',
      (claims) => sign(goodHeader(), { ...claims, client_id: 'sso2' }),
    ],
    [
      'challenge_wrong_transaction',
      'another transaction',
      (claims) => sign(goodHeader(), { ...claims, transaction_hash: hashTransaction('x') }),
    ],
  ];
  it.each(rows)('gives %s for %s', async (reason, _what, make) => {
    const good = await issue();
    expect(await reasonOf(await make(claimsOf(good), good))).toBe(reason);
  });

  it('judges the audience before the client, and the client before the transaction', async () => {
    const claims = claimsOf(await issue());
    const wrong = {
      ...claims,
      aud: 'other',
      client_id: 'other',
      transaction_hash: hashTransaction('x'),
    };
    expect(await reasonOf(await sign(goodHeader(), wrong))).toBe('challenge_wrong_audience');
    const { aud } = claims;
    expect(await reasonOf(await sign(goodHeader(), { ...wrong, aud }))).toBe(
      'challenge_wrong_client',
    );
  });

  it('has a row for every reason that it can give', () => {
    expect(new Set(rows.map(([reason]) => reason))).toEqual(
      new Set<VerificationCode>([
        'challenge_malformed',
        'challenge_key_unknown',
        'challenge_signature_invalid',
        'challenge_wrong_audience',
        'challenge_wrong_client',
        'challenge_wrong_transaction',
      ]),
    );
  });
});

describe('a challenge that this isolate has issued', () => {
  const issueRemembered = async () => {
    const issuedChallenges = new IssuedChallenges();
    const challenge = await issueChallenge({ ...issuer, issuedChallenges }, input, nowMs);
    return { issuedChallenges, challenge };
  };

  it('opens without a verification, to what a verification gives', async () => {
    const { issuedChallenges, challenge } = await issueRemembered();
    const unverifying = { ...expected, issuedChallenges, publicKey: foreign.publicKey };
    const verified = await openChallenge(challenge, expected);
    expect(verified.ok).toBe(true);
    expect(await openChallenge(challenge, unverifying)).toEqual(verified);
  });

  it.each<[keyof ExpectedChallenge, string, VerificationCode]>([
    ['clientId', 'other', 'challenge_wrong_client'],
    ['transactionHash', hashTransaction('other'), 'challenge_wrong_transaction'],
    ['organizationId', 'org_other', 'challenge_wrong_audience'],
    ['brokerUrl', 'https://other.example.com', 'challenge_wrong_audience'],
  ])('is refused for another %s', async (field, value, reason) => {
    const { issuedChallenges, challenge } = await issueRemembered();
    const opened = await openChallenge(challenge, {
      ...expected,
      issuedChallenges,
      [field]: value,
    });
    expect(opened).toEqual({ ok: false, reason });
  });

  it('is verified when one letter of it is another', async () => {
    const { issuedChallenges, challenge } = await issueRemembered();
    const last = challenge.endsWith('A') ? 'Q' : 'A';
    const altered = `${challenge.slice(0, -1)}${last}`;
    expect(await openChallenge(altered, { ...expected, issuedChallenges })).toEqual({
      ok: false,
      reason: 'challenge_signature_invalid',
    });
  });

  it('is forgotten when thousands came after it, and opens all the same', async () => {
    const { issuedChallenges, challenge } = await issueRemembered();
    const claims = claimsOf(challenge);
    for (let count = 0; count < 4096; count++) issuedChallenges.remember(`later ${count}`, claims);
    expect(issuedChallenges.find(challenge)).toBeUndefined();
    expect(issuedChallenges.find('later 4095')).toBe(claims);
    expect((await openChallenge(challenge, { ...expected, issuedChallenges })).ok).toBe(true);
  });
});
