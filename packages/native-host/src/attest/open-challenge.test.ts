import { createHmac, createPublicKey } from 'node:crypto';
import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization, signRawToken } from '@countersign/testkit/fake-organization';
import { describe, expect, it } from 'vitest';
import { type ChallengeExpectations, openChallenge, readChallenge } from './open-challenge.ts';

const now = 1_900_000_000;
const origin = 'https://sso.example.com';
const organization = await FakeOrganization.create();
const { challengeKey } = organization;
const stranger = makeTestKey();

const expected: ChallengeExpectations = {
  origin,
  organizationId: organization.organizationId,
  brokerUrl: organization.brokerUrl,
  keys: [
    {
      ...challengeKey.publicJwk,
      kid: challengeKey.kid,
      alg: 'ES256',
      use: 'sig',
      purpose: 'challenge',
    },
  ],
  allowedOrigins: ['https://other.example.com', origin],
  nowSeconds: now,
};

/** `opened`, or the reason why not. */
function open(challenge: string, changes: Partial<ChallengeExpectations> = {}): string {
  const read = readChallenge(challenge);
  if (!read.ok) return read.reason;
  const opened = openChallenge(read.value, { ...expected, ...changes });
  return opened.ok ? 'opened' : opened.reason;
}

const honest = await organization.signChallenge(origin, now);
const [headerPart = '', claimsPart = '', signaturePart = ''] = honest.split('.');
const claimsText = Buffer.from(claimsPart, 'base64url').toString();
const headerText = Buffer.from(headerPart, 'base64url').toString();
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signed by the right key, whatever the header says. */
const withHeader = (changes: object) =>
  signRawToken(
    JSON.stringify({ ...JSON.parse(headerText), ...changes }),
    claimsText,
    challengeKey.privateKey,
  );
const withClaims = (change: (text: string) => string) =>
  signRawToken(headerText, change(claimsText), challengeKey.privateKey);
const withClaim = (name: string, value: unknown) =>
  withClaims((text) => JSON.stringify({ ...JSON.parse(text), [name]: value }));

describe('a challenge is opened', () => {
  it('when a broker of jose signed it for this organization and origin', () => {
    expect(open(honest)).toBe('opened');
  });

  it.each([0, 1, -1, 600, -600])('with clocks that differ by %d s', (skew) => {
    expect(open(honest, { nowSeconds: now + skew })).toBe('opened');
  });

  it('after its expiry, which is for the broker to judge', async () => {
    const expired = await organization.signChallenge(origin, now - 300);
    expect(open(expired)).toBe('opened');
  });

  it('when its origin is one of several', () => {
    expect(open(withClaim('origins', ['https://a.example.com', origin]))).toBe('opened');
  });

  it('with claims that a later version may add', () => {
    expect(open(withClaim('later', { anything: 1 }))).toBe('opened');
  });
});

describe('a challenge with another header is refused', () => {
  it.each<[what: string, changes: object]>([
    ['alg none', { alg: 'none' }],
    ['alg HS256', { alg: 'HS256' }],
    ['alg ES256K', { alg: 'ES256K' }],
    ['alg in lower case', { alg: 'es256' }],
    ['alg of another curve', { alg: 'ES384' }],
    ['alg missing', { alg: undefined }],
    ['alg as a list', { alg: ['ES256'] }],
    ['the type of a response', { typ: 'device-response+jwt' }],
    ['the type of a decision', { typ: 'decision+jwt' }],
    ['typ in upper case', { typ: 'CHALLENGE+JWT' }],
    ['typ missing', { typ: undefined }],
    ['crit', { crit: ['exp'], exp: 1 }],
    ['an empty crit', { crit: [] }],
    ['b64', { b64: false, crit: ['b64'] }],
    ['jwk', { jwk: stranger.publicJwk }],
    ['jku', { jku: 'https://evil.example.com/keys' }],
    ['x5u', { x5u: 'https://evil.example.com/chain' }],
    ['x5c', { x5c: ['MIIB'] }],
    ['a member that is not known', { anything: 1 }],
    ['kid missing', { kid: undefined }],
    ['kid as a path', { kid: '../../etc/passwd' }],
    ['kid as SQL', { kid: "' OR 1=1 --" }],
    ['kid as a number', { kid: 1 }],
  ])('%s', (_, changes) => {
    expect(open(withHeader(changes))).toBe('challenge_malformed');
  });

  it.each([
    ['a repeated member', headerText.replace('{', '{"alg":"none",')],
    ['__proto__', headerText.replace('{', '{"__proto__":{},')],
    ['a list', '[]'],
    ['null', 'null'],
    ['no JSON', 'alg=ES256'],
    ['nothing', ''],
  ])('%s', (_, text) => {
    expect(open(signRawToken(text, claimsText, challengeKey.privateKey))).toBe(
      'challenge_malformed',
    );
  });
});

describe('a challenge in another spelling is refused', () => {
  const nonCanonical = signaturePart.replace(/.$/, (last) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return alphabet[alphabet.indexOf(last) + 1] ?? 'B';
  });
  it.each([
    ['white space before', ` ${honest}`],
    ['a line break after', `${honest}\n`],
    ['white space inside', honest.replace('.', '. ')],
    ['padding', `${honest}=`],
    ['base64 instead of base64url', `${headerPart}.${claimsPart}.+/${signaturePart.slice(2)}`],
    ['trailing bits', `${headerPart}.${claimsPart}.${nonCanonical}`],
    ['two parts', `${headerPart}.${claimsPart}`],
    ['four parts', `${honest}.`],
    ['five parts', `${honest}.a.b`],
    ['no signature', `${headerPart}.${claimsPart}.`],
    ['a signature of 63 bytes', `${headerPart}.${claimsPart}.${'A'.repeat(84)}`],
    [
      'a signature of 65 bytes',
      `${headerPart}.${claimsPart}.${Buffer.alloc(65).toString('base64url')}`,
    ],
    ['a detached payload', `${headerPart}..${signaturePart}`],
    ['JSON serialization', JSON.stringify({ payload: claimsPart, protected: headerPart })],
    ['nothing', ''],
  ])('%s', (_, challenge) => {
    expect(open(challenge)).not.toBe('opened');
  });
});

describe('a challenge that the broker did not sign is refused', () => {
  const signWith = stranger.privateKey;
  it('a foreign key under the known kid', async () => {
    const forged = await organization.signChallenge(origin, now, { signWith });
    expect(open(forged)).toBe('challenge_signature_invalid');
  });

  it('a foreign key under its own kid', async () => {
    const header = { kid: stranger.kid };
    const forged = await organization.signChallenge(origin, now, { signWith, header });
    expect(open(forged)).toBe('challenge_key_unknown');
  });

  it('no key in the key set at all', () => {
    expect(open(honest, { keys: [] })).toBe('challenge_key_unknown');
  });

  it('changed claims', () => {
    const claims = encode({ ...JSON.parse(claimsText), aud: 'another' });
    expect(open(`${headerPart}.${claims}.${signaturePart}`)).toBe('challenge_signature_invalid');
  });

  it('changed bits of the signature', () => {
    const bytes = Buffer.from(signaturePart, 'base64url');
    for (const index of [0, 31, 32, 63]) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      const challenge = `${headerPart}.${claimsPart}.${changed.toString('base64url')}`;
      expect(open(challenge)).toBe('challenge_signature_invalid');
    }
  });

  it.each([
    ['zeros', Buffer.alloc(64)],
    ['ones', Buffer.alloc(64, 0xff)],
  ])('a signature of %s', (_, bytes) => {
    const challenge = `${headerPart}.${claimsPart}.${bytes.toString('base64url')}`;
    expect(open(challenge)).toBe('challenge_signature_invalid');
  });

  it('an HMAC with the public key as the secret', () => {
    const header = encode({ ...JSON.parse(headerText), alg: 'HS256' });
    const spki = createPublicKey(challengeKey.privateKey).export({ format: 'pem', type: 'spki' });
    const mac = createHmac('sha256', spki).update(`${header}.${claimsPart}`).digest('base64url');
    expect(open(`${header}.${claimsPart}.${mac}`)).toBe('challenge_malformed');
  });
});

describe('a signed challenge with wrong claims is refused', () => {
  it.each<[name: string, value: unknown]>([
    ['iss', undefined],
    ['iss', 'x'.repeat(256)],
    ['aud', undefined],
    ['aud', [organization.organizationId]],
    ['jti', undefined],
    ['jti', 'A'.repeat(21)],
    ['iat', undefined],
    ['iat', String(now)],
    ['iat', now + 0.5],
    ['iat', -1],
    ['iat', null],
    ['exp', undefined],
    ['exp', String(now + 60)],
    ['exp', 253_402_300_800],
    ['client_id', undefined],
    ['transaction_hash', 'short'],
    ['origins', undefined],
    ['origins', []],
    ['origins', [`${origin}/`]],
    ['origins', ['http://sso.example.com']],
    ['origins', ['null']],
    ['origins', [origin, 'HTTPS://SSO.EXAMPLE.COM']],
    ['origins', Array.from({ length: 33 }, (_, index) => `https://a${index}.example.com`)],
    ['response_encryption', undefined],
    ['response_encryption', { kid: 'k', jwk: { ...stranger.publicJwk, crv: 'P-384' } }],
    ['response_encryption', { kid: 'k', jwk: { kty: 'oct', k: 'AAAA' } }],
  ])('%s %j', (name, value) => {
    expect(open(withClaim(name, value))).toBe('challenge_malformed');
  });

  it.each([
    ['NaN', 'NaN'],
    ['1e308', '1e308'],
    ['1e400, which JSON reads as infinity', '1e400'],
    ['-1e400', '-1e400'],
  ])('iat of %s', (_, number) => {
    expect(open(withClaims((text) => text.replace(/"iat":\d+/, `"iat":${number}`)))).toBe(
      'challenge_malformed',
    );
  });

  it.each([
    ['a repeated member', (text: string) => text.replace('{', '{"aud":"another",')],
    ['a list', () => '[]'],
    ['no JSON', () => 'claims'],
  ])('%s', (_, change) => {
    expect(open(withClaims(change))).toBe('challenge_malformed');
  });

  it('another organization', () => {
    expect(open(withClaim('aud', 'org_another'))).toBe('challenge_wrong_audience');
  });

  it.each(['https://other.example.com', `${organization.brokerUrl}/`])(
    'another broker: %s',
    (url) => {
      expect(open(withClaim('iss', url))).toBe('challenge_wrong_audience');
    },
  );

  it.each([601, -601, 86_400 * 365, -86_400 * 365, Number.NaN, Number.POSITIVE_INFINITY])(
    'clocks that differ by %d s',
    (skew) => {
      expect(open(honest, { nowSeconds: now + skew })).toBe('clock_skew');
    },
  );
});

describe('an origin is refused', () => {
  it('that is not on the own list, though the challenge names it', async () => {
    const phishing = 'https://sso.example.com.evil.example';
    const challenge = await organization.signChallenge(phishing, now);
    expect(open(challenge, { origin: phishing })).toBe('origin_not_allowed');
  });

  it('that is on the own list, though the challenge does not name it', () => {
    expect(open(honest, { origin: 'https://other.example.com' })).toBe('origin_not_allowed');
  });

  it.each([
    `${origin}:443`,
    `${origin}/`,
    'http://sso.example.com',
    'https://SSO.example.com',
    'null',
    '',
  ])('that only resembles one on the list: %j', (similar) => {
    expect(open(honest, { origin: similar })).toBe('origin_not_allowed');
  });

  it('when the list is empty', () => {
    expect(open(honest, { allowedOrigins: [] })).toBe('origin_not_allowed');
  });
});

it('reports the first thing that is wrong: signature, then audience, then clock, then origin', async () => {
  const everythingWrong = { nowSeconds: now + 9999, origin: 'https://evil.example.com' };
  const foreign = await organization.signChallenge(origin, now, {
    claims: { aud: 'org_another' },
    signWith: stranger.privateKey,
  });
  expect(open(foreign, everythingWrong)).toBe('challenge_signature_invalid');
  expect(open(withClaim('aud', 'org_another'), everythingWrong)).toBe('challenge_wrong_audience');
  expect(open(honest, everythingWrong)).toBe('clock_skew');
});
