// What a device may answer: header, signature and claims, and the origin that the browser reported.
import { createHmac } from 'node:crypto';
import type { DecisionReason } from '@countersign/protocol';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { keyOf, partsOf, type ResponseParts, recipientOf } from '../support/forge-response.ts';
import {
  encodePart,
  encryptJwe,
  type JsonPart,
  signatureOf,
  signEs256,
  withSignature,
} from '../support/forge-token.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  evidenceOf,
} from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
/** Never trusted here, so it must stay without a user. */
let device: FakeDevice;
/** Signs in well, beside each table. */
let honest: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  honest = await enrollDevice(broker);
});
afterAll(() => broker?.stopAndRemove());

/** Evaluates with the JWS that `forge` makes, encrypted as it should be. */
async function evaluateJws(forge: (parts: ResponseParts) => string, signer = device) {
  return await evaluateWith(broker, client, (challenge) =>
    evidenceOf(
      challenge,
      encryptJwe(forge(partsOf(challenge, signer, client.origin)), recipientOf(challenge)),
    ),
  );
}

const signed = (header: JsonPart, claims: JsonPart, signer = device) =>
  signEs256(header, claims, keyOf(signer));

it('accepts an answer that is forged in nothing: the tables below fail for what they change', async () => {
  const answer = await evaluateJws(({ header, claims }) => signed(header, claims, honest), honest);
  expectTrusted(answer);
});

it.each(['ec-p256', 'ec-p384', 'rsa-2048'] as const)(
  'accepts a device with a key of %s',
  async (kind) => {
    const other = await enrollDevice(broker, kind);
    expectTrusted(await broker.client.signIn(client, other));
  },
);

describe('#10 the header of the response', () => {
  const leaf = () => Buffer.from(device.certificate ?? []).toString('base64');
  const cases: Record<string, [DecisionReason, () => Readonly<Record<string, unknown>>]> = {
    'alg none': ['response_malformed', () => ({ alg: 'none' })],
    'alg HS256': ['response_malformed', () => ({ alg: 'HS256' })],
    'alg ES384 with a P-256 key': ['response_malformed', () => ({ alg: 'ES384' })],
    'alg RS256 with a P-256 key': ['response_malformed', () => ({ alg: 'RS256' })],
    'alg in lower case': ['response_malformed', () => ({ alg: 'es256' })],
    'no alg': ['response_malformed', () => ({ alg: undefined })],
    "a challenge's typ": ['response_malformed', () => ({ typ: 'challenge+jwt' })],
    'no typ': ['response_malformed', () => ({ typ: undefined })],
    crit: ['response_malformed', () => ({ crit: ['exp'] })],
    'b64 false': ['response_malformed', () => ({ b64: false })],
    'an embedded jwk': ['response_malformed', () => ({ jwk: { kty: 'EC' } })],
    jku: ['response_malformed', () => ({ jku: 'https://evil.example/jwks' })],
    x5u: ['response_malformed', () => ({ x5u: 'https://evil.example/chain' })],
    kid: ['response_malformed', () => ({ kid: 'any' })],
    'no certificate': ['response_malformed', () => ({ x5c: undefined })],
    'an empty chain': ['response_malformed', () => ({ x5c: [] })],
    'a chain of two': ['response_malformed', () => ({ x5c: [leaf(), leaf()] })],
    'a certificate outside of a list': ['response_malformed', () => ({ x5c: leaf() })],
    'a certificate in PEM': [
      'response_malformed',
      () => ({ x5c: [`-----BEGIN CERTIFICATE-----\n${leaf()}\n-----END CERTIFICATE-----`] }),
    ],
    'a certificate with a line break': ['response_malformed', () => ({ x5c: [`${leaf()}\n`] })],
    'a certificate with a byte too many': [
      'certificate_malformed',
      () => ({ x5c: [Buffer.from([...(device.certificate ?? []), 0]).toString('base64')] }),
    ],
    'a certificate cut short': [
      'certificate_malformed',
      () => ({
        x5c: [
          Buffer.from(device.certificate ?? [])
            .subarray(0, -1)
            .toString('base64'),
        ],
      }),
    ],
    'no certificate but bytes': ['certificate_malformed', () => ({ x5c: ['AAAA'] })],
  };
  it.each(Object.entries(cases))('%s', async (_, [reason, changes]) => {
    expectDenied(
      await evaluateJws(({ header, claims }) => signed({ ...header, ...changes() }, claims)),
      reason,
    );
  });

  it('a member twice, in the header or in the claims', async () => {
    const twice = (part: object, member: string) =>
      `${JSON.stringify(part).slice(0, -1)},${member}}`;
    for (const forge of [
      ({ header, claims }: ResponseParts) => signed(twice(header, '"alg":"ES256"'), claims),
      ({ header, claims }: ResponseParts) =>
        signed(header, twice(claims, '"origin":"https://evil.example"')),
    ]) {
      expectDenied(await evaluateJws(forge), 'response_malformed');
    }
  });

  it('alg HS256 with the public key of the certificate as the secret', async () => {
    const answer = await evaluateJws(({ header, claims }) => {
      const input = `${encodePart({ ...header, alg: 'HS256' })}.${encodePart(claims)}`;
      const secret = device.publicKey.spki;
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    });
    expectDenied(answer, 'response_malformed');
  });
});

describe('the signature of the response', () => {
  const cases: Record<string, (jws: string, parts: ResponseParts) => string> = {
    'of another key': (_, { header, claims }) => signEs256(header, claims, newKeyPair().privateKey),
    "of another device's key": (_, { header, claims }) => signed(header, claims, honest),
    'that is empty': (jws) => withSignature(jws, new Uint8Array()),
    'of zeros': (jws) => withSignature(jws, new Uint8Array(64)),
    'with a byte too many': (jws) => withSignature(jws, Buffer.from([...signatureOf(jws), 0])),
    'over other claims': (jws, { claims }) => {
      const [header, , signature] = jws.split('.');
      return `${header}.${encodePart({ ...claims, development: true })}.${signature}`;
    },
  };
  it.each(Object.entries(cases))('%s is refused', async (_, forge) => {
    const answer = await evaluateJws((parts) => forge(signed(parts.header, parts.claims), parts));
    expectDenied(answer, 'response_signature_invalid');
  });
});

describe('#5 the origin that the browser reported', () => {
  it.each<[string, DecisionReason]>([
    ['https://evil.example', 'response_wrong_origin'],
    ['https://sso.example.com.evil.example', 'response_wrong_origin'],
    ['https://sso.example.com:8443', 'response_wrong_origin'],
    ['https://other.example.com', 'response_wrong_origin'],
    ['http://localhost', 'response_wrong_origin'],
    ['http://sso.example.com', 'response_malformed'],
    ['null', 'response_malformed'],
    ['', 'response_malformed'],
    ['https://SSO.example.com', 'response_malformed'],
    ['https://sso.example.com/', 'response_malformed'],
    ['https://sso.example.com:443', 'response_malformed'],
    ['https://user@sso.example.com', 'response_malformed'],
    ['https://*.example.com', 'response_malformed'],
    ['chrome-extension://abcdefgh', 'response_malformed'],
    ['file://', 'response_malformed'],
  ])('#4 origin %j is refused', async (origin, reason) => {
    const answer = await evaluateJws(({ header, claims }) => signed(header, { ...claims, origin }));
    expectDenied(answer, reason);
  });
});

describe('#4 the origins of a client that change while somebody signs in', () => {
  const oldOrigin = 'https://old.example.com';
  const newOrigin = 'https://new.example.com';

  /** Evaluates an answer from `origin` to a challenge made for `before`, once the client has the origin `after`. */
  async function evaluateAcross(before: string, after: string, origin: string) {
    const name = `moving-${crypto.randomUUID()}`;
    const moving = await broker.client.registerClient({ name, origin: before });
    const transaction = randomText();
    const challenge = await broker.client.challenge(moving, transaction);
    const moved = await broker.client.registerClient({ name, origin: after });
    const evidence = await honest.evidence(challenge, origin);
    return await broker.client.evaluate(moved, { transaction, evidence });
  }

  it('a page that is new is not one that the challenge was made for', async () => {
    const answer = await evaluateAcross(oldOrigin, newOrigin, newOrigin);
    expectDenied(answer, 'response_wrong_origin');
  });

  it('a page that was removed counts no more', async () => {
    const answer = await evaluateAcross(oldOrigin, newOrigin, oldOrigin);
    expect([answer.decision, answer.context.reason_code]).toEqual([false, 'response_wrong_origin']);
  });

  it('a page that stays counts', async () => {
    expectTrusted(await evaluateAcross(oldOrigin, oldOrigin, oldOrigin));
  });
});

describe('#9 the other claims of the response', () => {
  const cases: Record<string, [DecisionReason, Readonly<Record<string, unknown>>]> = {
    '#6 another audience': ['response_wrong_audience', { aud: 'https://other.example.com' }],
    '#6 an audience with a slash': ['response_wrong_audience', { aud: 'http://127.0.0.1:1/' }],
    '#6 no audience': ['response_malformed', { aud: undefined }],
    '#6 a list of audiences': ['response_malformed', { aud: ['https://other.example.com'] }],
    'another challenge': ['response_wrong_challenge', { challenge_id: 'A'.repeat(22) }],
    'no challenge': ['response_malformed', { challenge_id: undefined }],
    'time as text': ['response_malformed', { iat: '1' }],
    'time 1e308': ['response_malformed', { iat: 1e308 }],
    'no time': ['response_malformed', { iat: undefined }],
    'an unknown key protection': ['response_malformed', { key_protection: 'blessed' }],
    'development as text': ['response_malformed', { development: 'false' }],
    'no posture': ['response_malformed', { posture: undefined }],
    'an unknown platform': [
      'response_malformed',
      { posture: { platform: 'plan9', os_version: '' } },
    ],
    'an endless version': [
      'response_malformed',
      { posture: { platform: 'linux', os_version: 'x'.repeat(129) } },
    ],
    'a disk that is encrypted in words': [
      'response_malformed',
      { posture: { platform: 'linux', os_version: '', disk_encryption: 'true' } },
    ],
    'a firewall that is null': [
      'response_malformed',
      { posture: { platform: 'linux', os_version: '', firewall: null } },
    ],
    'a measurement at no time': [
      'response_malformed',
      { posture: { platform: 'linux', os_version: '', measured_at: 'yesterday' } },
    ],
  };
  it.each(Object.entries(cases))('%s', async (_, [reason, changes]) => {
    const answer = await evaluateJws(({ header, claims }) =>
      signed(header, { ...claims, ...changes }),
    );
    expectDenied(answer, reason);
  });

  it.each(['[]', 'null', '"text"', '', '{', '{"aud":1e999}'])(
    '%j is no claims',
    async (payload) => {
      const answer = await evaluateJws(({ header }) => signed(header, payload));
      expectDenied(answer, 'response_malformed');
    },
  );

  it.each([
    ['years ago', -3 * 365 * 86_400],
    ['years ahead', 3 * 365 * 86_400],
  ])("the device's clock is recorded and never judged: %s", async (_, seconds) => {
    const answer = await evaluateJws(
      ({ header, claims }) =>
        signed(header, { ...claims, iat: Number(claims.iat) + seconds }, honest),
      honest,
    );
    expectTrusted(answer);
  });
});

it("#7 refuses what the broker's own keys signed as a device's answer", async () => {
  for (const name of ['challenge', 'decision', 'issuer', 'root'] as const) {
    const key = readBrokerKey(broker.dataDirectory, name);
    const answer = await evaluateJws(({ header, claims }) => signEs256(header, claims, key));
    expectDenied(answer, 'response_signature_invalid');
  }
});

it('has bound the device to nobody through all of this', async () => {
  expect((await certificateOf(broker, device)).status).toBe('issued');
});
