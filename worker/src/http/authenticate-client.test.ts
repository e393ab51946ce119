import { createHash } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import { exportJWK, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type OrganizationSnapshot,
  type RegisteredClient,
  registeredClient,
  unsetAdministration,
} from '../directory/organization-snapshot.ts';
import { ecdsaKeys, rsaKeys } from '../testing/generate-keys.ts';
import { authenticateClient, secretMatches } from './authenticate-client.ts';

const brokerUrl = 'https://broker.example.com';
const nowMs = 1_800_000_000_000;
const now = nowMs / 1000;

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');
const base64 = (text: string) => Buffer.from(text).toString('base64');

const client = (id: string, authentication: unknown): RegisteredClient =>
  registeredClient.parse({
    client_id: id,
    name: id,
    origins: ['https://sso.example.com'],
    applications: ['app'],
    authentication,
  });
const withSecret = (id: string, secret: string) =>
  client(id, { method: 'client_secret', secret_sha256: sha256(secret) });

let keys: CryptoKeyPair;
let keysOfOther: CryptoKeyPair;
let snapshot: OrganizationSnapshot;

beforeAll(async () => {
  keys = await ecdsaKeys();
  keysOfOther = await ecdsaKeys();
  const jwkOf = async ({ publicKey }: CryptoKeyPair, kid: string) => ({
    ...(await exportJWK(publicKey)),
    kid,
  });
  const clients = [
    withSecret('sso', 'correct horse'),
    withSecret('colon', 'a:b%c+d'),
    withSecret('unicode', 'pässwörd'),
    client('signer', { method: 'private_key_jwt', keys: [await jwkOf(keys, 'k1')] }),
    client('other', { method: 'private_key_jwt', keys: [await jwkOf(keysOfOther, 'k1')] }),
  ];
  snapshot = {
    version: 1,
    applications: new Map(),
    clients: new Map(clients.map((each) => [each.client_id, each])),
    inactiveUsers: new Set(),
    ...unsetAdministration,
  };
});

const authenticate = (authorization: string | null) =>
  authenticateClient(authorization, snapshot, brokerUrl, nowMs);
const idOf = async (authorization: string | null) => {
  const result = await authenticate(authorization);
  return result.ok ? result.client.client_id : undefined;
};

describe('HTTP Basic', () => {
  it.each([
    ['plain', 'sso', base64('sso:correct horse')],
    ['percent-encoded', 'sso', base64('sso:correct%20horse')],
    ['with an encoded id', 'sso', base64('%73so:correct%20horse')],
    ['with a colon in the secret', 'colon', base64('colon:a:b%25c%2Bd')],
    ['with an encoded colon', 'colon', base64('colon:a%3Ab%25c%2bd')],
    ['with encoded UTF-8', 'unicode', base64('unicode:p%C3%A4ssw%C3%B6rd')],
  ])('takes a secret %s', async (_what, id, credentials) => {
    expect(await idOf(`Basic ${credentials}`)).toBe(id);
    expect(await idOf(`bASIC ${credentials}`)).toBe(id);
  });

  it.each([
    ['a wrong secret', base64('sso:wrong')],
    ['an empty secret', base64('sso:')],
    ['the hash of the secret', base64(`sso:${sha256('correct horse')}`)],
    ['an unknown client', base64('nobody:correct horse')],
    ['an inherited name', base64('__proto__:correct horse')],
    ['another client', base64('colon:correct horse')],
    ['a client in another spelling', base64('SSO:correct horse')],
    ['a client that signs', base64('signer:')],
    ['no colon', base64('sso')],
    ['nothing', ''],
    ['no base64', '!!!!'],
    ['half an escape', base64('sso:%2')],
    ['an escape that is not UTF-8', base64('sso:%ff')],
  ])('refuses %s', async (_what, credentials) => {
    expect(await authenticate(`Basic ${credentials}`)).toMatchObject({ ok: false });
  });
});

describe('the Authorization header', () => {
  const good = base64('sso:correct horse');
  it.each([
    ['none', null],
    ['an empty one', ''],
    ['credentials without a scheme', good],
    ['a scheme without credentials', 'Basic'],
    ['another scheme', `Digest ${good}`],
    ['a bearer of a secret', `Bearer ${good}`],
    ['a third part', `Basic ${good} x`],
    ['two spaces', `Basic  ${good}`],
    ['two headers joined', `Basic ${good}, Basic ${good}`],
  ])('is refused: %s', async (_what, authorization) => {
    expect(await authenticate(authorization)).toMatchObject({ ok: false });
  });
});

type Changes = {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly key?: CryptoKey | Uint8Array;
};

async function assertion({ header, claims, key }: Changes = {}): Promise<string> {
  return await new SignJWT({
    iss: 'signer',
    sub: 'signer',
    aud: brokerUrl,
    iat: now,
    exp: now + 60,
    jti: 'once',
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'JWT', ...header })
    .sign(key ?? keys.privateKey, { crit: { extra: true } });
}

describe('a signed assertion', () => {
  it.each<[what: string, changes: Changes]>([
    ['as the SDK makes it', {}],
    ['without a type', { header: { typ: undefined } }],
    ['of the longest lifetime', { claims: { exp: now + 300 } }],
    ['of a clock that is 20 s ahead', { claims: { iat: now + 20, exp: now + 320 } }],
    ['of a clock that is 20 s behind', { claims: { iat: now - 80, exp: now - 20 } }],
  ])('is taken %s', async (_what, changes) => {
    expect(await idOf(`Bearer ${await assertion(changes)}`)).toBe('signer');
  });

  it.each<[what: string, changes: Changes]>([
    ['another audience', { claims: { aud: 'https://other.example.com' } }],
    ['the audience with a slash', { claims: { aud: `${brokerUrl}/` } }],
    ['another audience as well', { claims: { aud: [brokerUrl, 'https://other.example.com'] } }],
    ['a list of audiences', { claims: { aud: [brokerUrl] } }],
    ['no audience', { claims: { aud: undefined } }],
    ['another subject', { claims: { sub: 'other' } }],
    ['no subject', { claims: { sub: undefined } }],
    ['an unknown issuer', { claims: { iss: 'nobody', sub: 'nobody' } }],
    ['an issuer that is no text', { claims: { iss: 1, sub: 1 } }],
    ['no issuer', { claims: { iss: undefined } }],
    ['an issuer that has a secret', { claims: { iss: 'sso', sub: 'sso' } }],
    ['an expiry in the past', { claims: { iat: now - 200, exp: now - 31 } }],
    ['an expiry too far away', { claims: { exp: now + 331 } }],
    ['an expiry in a year', { claims: { exp: now + 31_536_000 } }],
    ['no expiry', { claims: { exp: undefined } }],
    ['an expiry that is a text', { claims: { exp: String(now + 60) } }],
    ['no time of issue', { claims: { iat: undefined } }],
    ['a time of issue in the future', { claims: { iat: now + 60, exp: now + 120 } }],
    ['a time of issue long ago', { claims: { iat: now - 3600 } }],
    ['a validity that has not begun', { claims: { nbf: now + 60 } }],
    ['no id', { claims: { jti: undefined } }],
    ['an unknown key', { header: { kid: 'k2' } }],
    ['no key id', { header: { kid: undefined } }],
    ['a key id that is a path', { header: { kid: '../../dev/null' } }],
    ['an unknown critical member', { header: { crit: ['extra'], extra: 1 } }],
  ])('is refused for %s', async (_what, changes) => {
    expect(await authenticate(`Bearer ${await assertion(changes)}`)).toMatchObject({ ok: false });
  });

  it("is refused when another client's key signed it", async () => {
    const forged = await assertion({ key: keysOfOther.privateKey });
    expect(await authenticate(`Bearer ${forged}`)).toMatchObject({ ok: false });
  });

  it('is refused with another algorithm', async () => {
    const p384 = await ecdsaKeys('P-384');
    const rsa = await rsaKeys();
    const spki = new TextEncoder().encode(JSON.stringify(await exportJWK(keys.publicKey)));
    const unsigned = (await assertion()).split('.').slice(0, 2);
    const none = encodeBase64url(new TextEncoder().encode('{"alg":"none","kid":"k1"}'));
    for (const token of [
      await assertion({ header: { alg: 'ES384' }, key: p384.privateKey }),
      await assertion({ header: { alg: 'RS256' }, key: rsa.privateKey }),
      await assertion({ header: { alg: 'HS256' }, key: spki }),
      `${none}.${unsigned[1]}.`,
      `${unsigned.join('.')}.`,
    ]) {
      expect(await authenticate(`Bearer ${token}`)).toMatchObject({ ok: false });
    }
  });

  it('is refused in any other spelling', async () => {
    const good = await assertion();
    for (const token of [
      `${good}=`,
      `${good}.`,
      good.slice(0, -1),
      good.replace('.', '..'),
      '.',
      '',
    ]) {
      expect(await authenticate(`Bearer ${token}`)).toMatchObject({ ok: false });
    }
  });

  it('is refused with a claim that is there twice', async () => {
    const claims = `{"iss":"other","sub":"signer","aud":"${brokerUrl}","iat":${now},"exp":${now + 60},"jti":"a","iss":"signer"}`;
    const encode = (text: string) => encodeBase64url(new TextEncoder().encode(text));
    const input = `${encode('{"alg":"ES256","kid":"k1"}')}.${encode(claims)}`;
    const signature = await crypto.subtle.sign(
      { name: 'ECDSA', hash: 'SHA-256' },
      keys.privateKey,
      new TextEncoder().encode(input),
    );
    const token = `${input}.${encodeBase64url(new Uint8Array(signature))}`;
    expect(await authenticate(`Bearer ${token}`)).toMatchObject({ ok: false });
  });

  it('tells the log, and only the log, what was wrong', async () => {
    const refused = await authenticate(
      `Bearer ${await assertion({ claims: { exp: now + 9999 } })}`,
    );
    expect(refused).toEqual({ ok: false, detail: 'client signer: exp is too far away' });
  });
});

describe('secretMatches', () => {
  it('compares with the hash on record', () => {
    expect(secretMatches('a', sha256('a'))).toBe(true);
    expect(secretMatches('b', sha256('a'))).toBe(false);
    expect(secretMatches('', sha256(''))).toBe(true);
  });

  it('matches nothing where the record is damaged', () => {
    for (const record of ['', 'x', `${sha256('a')}=`, sha256('a').slice(1)]) {
      expect(secretMatches('a', record)).toBe(false);
    }
  });
});
