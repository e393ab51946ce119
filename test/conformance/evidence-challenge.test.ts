// What a sign-in server may pass on as a challenge, and what the broker takes for its own.
import { createHmac, createPublicKey, type KeyObject } from 'node:crypto';
import type { DecisionReason } from '@countersign/protocol';
import { keySetAnswer } from '@countersign/protocol/key-set';
import type { TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, type FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectProblem, expectTrusted } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import {
  encodePart,
  type JsonPart,
  mirrorSignature,
  signatureOf,
  signEs256,
  withSignature,
} from '../support/forge-token.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  evidenceOf,
  openTransaction,
} from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
/** Never trusted here, so it must stay without a user. */
let device: FakeDevice;
let key: KeyObject;
let kid: string;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  key = readBrokerKey(broker.dataDirectory, 'challenge');
  kid = await keyIdOf(key);
});
afterAll(() => broker?.stopAndRemove());

const header = () => ({ alg: 'ES256', typ: 'challenge+jwt', kid });

/** Evaluates with a challenge that `forge` made of a genuine one; the device answers the forged one. */
async function evaluateForged(forge: (challenge: string, claims: object) => string) {
  return await evaluateWith(broker, client, async (challenge) => {
    const forged = forge(challenge, decodeJwt(challenge));
    const response = await device.respond(challenge, client.origin);
    return evidenceOf(forged, response);
  });
}

/** Signed with the broker's own key, as only the broker could. */
const signedByBroker = (changedHeader: JsonPart, changedClaims: JsonPart) =>
  signEs256(changedHeader, changedClaims, key);

it('accepts a challenge that is forged in nothing: the tables below fail for what they change', async () => {
  const other = await enrollDevice(broker);
  const answer = await evaluateWith(broker, client, async (challenge) => {
    const copy = signedByBroker(header(), decodeJwt(challenge));
    return evidenceOf(copy, await other.respond(challenge, client.origin));
  });
  expectTrusted(answer);
});

describe('#8 a challenge that the broker did not sign', () => {
  const cases: Record<string, [DecisionReason, (challenge: string, claims: object) => string]> = {
    'has no signature and alg none': [
      'challenge_malformed',
      (_, claims) => `${encodePart({ ...header(), alg: 'none' })}.${encodePart({ ...claims })}.`,
    ],
    'has an empty signature': [
      'challenge_signature_invalid',
      (challenge) => withSignature(challenge, new Uint8Array()),
    ],
    'has a signature of zeros': [
      'challenge_signature_invalid',
      (challenge) => withSignature(challenge, new Uint8Array(64)),
    ],
    'has its signature in DER': [
      'challenge_signature_invalid',
      (challenge) => {
        const integer = (bytes: Buffer) => Buffer.concat([Buffer.from([2, 33, 0]), bytes]);
        const raw = signatureOf(challenge);
        const both = [integer(raw.subarray(0, 32)), integer(raw.subarray(32))];
        return withSignature(challenge, Buffer.concat([Buffer.from([0x30, 70]), ...both]));
      },
    ],
    'has a signature with one bit changed': [
      'challenge_signature_invalid',
      (challenge) => {
        const changed = signatureOf(challenge);
        changed[40] = (changed[40] ?? 0) ^ 1;
        return withSignature(challenge, changed);
      },
    ],
    'has other claims than were signed': [
      'challenge_signature_invalid',
      (challenge, claims) => {
        const [first, , last] = challenge.split('.');
        return `${first}.${encodePart({ ...claims, exp: 4102444800 })}.${last}`;
      },
    ],
    'is signed with a foreign key under the right kid': [
      'challenge_signature_invalid',
      (_, claims) => signEs256(header(), { ...claims }, newKeyPair().privateKey),
    ],
    "is signed with the broker's decision key under the right kid": [
      'challenge_signature_invalid',
      (_, claims) =>
        signEs256(header(), { ...claims }, readBrokerKey(broker.dataDirectory, 'decision')),
    ],
    "is signed with the broker's response key under the right kid": [
      'challenge_signature_invalid',
      (_, claims) =>
        signEs256(header(), { ...claims }, readBrokerKey(broker.dataDirectory, 'response')),
    ],
  };
  it.each(Object.entries(cases))('%s', async (_, [reason, forge]) => {
    expectDenied(await evaluateForged(forge), reason);
  });

  it('is signed with a foreign key under its own kid', async () => {
    const foreign = newKeyPair().privateKey;
    const foreignKid = await keyIdOf(foreign);
    const answer = await evaluateForged((_, claims) =>
      signEs256({ ...header(), kid: foreignKid }, { ...claims }, foreign),
    );
    expectDenied(answer, 'challenge_key_unknown');
  });
});

describe('#10 a header that talks the verifier into something else', () => {
  const jwk = () => createPublicKey(key).export({ format: 'jwk' });
  const cases: Record<string, [DecisionReason, () => JsonPart]> = {
    'alg ES384': ['challenge_malformed', () => ({ ...header(), alg: 'ES384' })],
    'alg ES256K': ['challenge_malformed', () => ({ ...header(), alg: 'ES256K' })],
    'alg in lower case': ['challenge_malformed', () => ({ ...header(), alg: 'es256' })],
    'alg as a list': ['challenge_malformed', () => ({ ...header(), alg: ['ES256'] })],
    'no alg': ['challenge_malformed', () => ({ typ: 'challenge+jwt', kid })],
    'typ JWT': ['challenge_malformed', () => ({ ...header(), typ: 'JWT' })],
    'no typ': ['challenge_malformed', () => ({ alg: 'ES256', kid })],
    "a decision's typ": ['challenge_malformed', () => ({ ...header(), typ: 'decision+jwt' })],
    "a response's typ": [
      'challenge_malformed',
      () => ({ ...header(), typ: 'device-response+jwt' }),
    ],
    'typ in capitals': ['challenge_malformed', () => ({ ...header(), typ: 'CHALLENGE+JWT' })],
    crit: ['challenge_malformed', () => ({ ...header(), crit: ['exp'] })],
    'crit that is empty': ['challenge_malformed', () => ({ ...header(), crit: [] })],
    'b64 false': ['challenge_malformed', () => ({ ...header(), b64: false })],
    'an embedded jwk': ['challenge_malformed', () => ({ ...header(), jwk: jwk() })],
    jku: ['challenge_malformed', () => ({ ...header(), jku: 'https://evil.example/jwks' })],
    x5u: ['challenge_malformed', () => ({ ...header(), x5u: 'https://evil.example/chain' })],
    x5c: ['challenge_malformed', () => ({ ...header(), x5c: ['AAAA'] })],
    cty: ['challenge_malformed', () => ({ ...header(), cty: 'json' })],
    __proto__: [
      'challenge_malformed',
      () => `{"alg":"ES256","typ":"challenge+jwt","kid":"${kid}","__proto__":{"a":1}}`,
    ],
    'a member twice': [
      'challenge_malformed',
      () => `{"alg":"none","alg":"ES256","typ":"challenge+jwt","kid":"${kid}"}`,
    ],
    'no kid': ['challenge_key_unknown', () => ({ alg: 'ES256', typ: 'challenge+jwt' })],
    'a kid that is a path': [
      'challenge_key_unknown',
      () => ({ ...header(), kid: '../../keys/challenge' }),
    ],
    'a kid with SQL': ['challenge_key_unknown', () => ({ ...header(), kid: "' OR 1=1 --" })],
    'a kid that is a list': ['challenge_key_unknown', () => ({ ...header(), kid: [kid] })],
    'a header that is a list': ['challenge_malformed', () => '[]'],
    'a header that is no JSON': ['challenge_malformed', () => '{'],
  };
  it.each(Object.entries(cases))('%s', async (_, [reason, makeHeader]) => {
    const answer = await evaluateForged((__, claims) =>
      signedByBroker(makeHeader(), { ...claims }),
    );
    expectDenied(answer, reason);
  });

  it('HS256 with the public key as the secret', async () => {
    const spelled = [
      createPublicKey(key).export({ format: 'pem', type: 'spki' }),
      JSON.stringify(createPublicKey(key).export({ format: 'jwk' })),
    ];
    for (const secret of spelled) {
      const answer = await evaluateForged((_, claims) => {
        const input = `${encodePart({ ...header(), alg: 'HS256' })}.${encodePart({ ...claims })}`;
        return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      });
      expectDenied(answer, 'challenge_malformed');
    }
  });
});

describe('#9 claims that the broker never signs', () => {
  const yesterday = Math.floor(Date.now() / 1000) - 86_400;
  const cases: Record<string, [DecisionReason, Readonly<Record<string, unknown>>]> = {
    'expired yesterday': ['challenge_expired', { iat: yesterday, exp: yesterday + 60 }],
    'expired two seconds ago': ['challenge_expired', { exp: Math.floor(Date.now() / 1000) - 2 }],
    'exp missing': ['challenge_malformed', { exp: undefined }],
    'exp as text': ['challenge_malformed', { exp: '4102444800' }],
    'exp 1e308': ['challenge_malformed', { exp: 1e308 }],
    'exp with a fraction': ['challenge_malformed', { exp: 4102444800.5 }],
    'exp below zero': ['challenge_malformed', { exp: -1 }],
    'exp null': ['challenge_malformed', { exp: null }],
    'iat missing': ['challenge_malformed', { iat: undefined }],
    'jti too short': ['challenge_malformed', { jti: 'AAAA' }],
    'jti a number': ['challenge_malformed', { jti: 7 }],
    'no origins': ['challenge_malformed', { origins: [] }],
    'an origin without TLS': ['challenge_malformed', { origins: ['http://sso.example.com'] }],
    'the origin null': ['challenge_malformed', { origins: ['null'] }],
    'no encryption key': ['challenge_malformed', { response_encryption: undefined }],
    '#6 another broker': ['challenge_wrong_audience', { iss: 'https://other.example.com' }],
    '#6 another organization': ['challenge_wrong_audience', { aud: `org_${'A'.repeat(22)}` }],
    '#6 several audiences': ['challenge_malformed', { aud: ['org_a', 'org_b'] }],
    '#6 another client': ['challenge_wrong_client', { client_id: 'other' }],
    '#13 another transaction': [
      'challenge_wrong_transaction',
      { transaction_hash: 'A'.repeat(43) },
    ],
  };
  it.each(Object.entries(cases))('%s', async (_, [reason, changes]) => {
    const answer = await evaluateForged((__, claims) =>
      signedByBroker(header(), { ...claims, ...changes }),
    );
    expectDenied(answer, reason);
  });

  it('no claims but something else', async () => {
    for (const payload of ['[]', '"text"', 'null', '', '{', '{"iss":1']) {
      const answer = await evaluateForged(() => signedByBroker(header(), payload));
      expectDenied(answer, 'challenge_malformed');
    }
  });
});

describe('#7 another token of the broker as a challenge', () => {
  it('a decision token', async () => {
    const other = await enrollDevice(broker);
    const { context } = await broker.client.signIn(client, other);
    const answer = await evaluateForged(() => context.decision_token ?? '');
    expectDenied(answer, 'challenge_malformed');
  });

  it('the key set', async () => {
    const response = await broker.client.request('/v1/key-set');
    const { key_set } = keySetAnswer.parse(await response.json());
    expectDenied(await evaluateForged(() => key_set), 'challenge_malformed');
  });
});

describe('#11 another spelling of a challenge that was used', () => {
  it('is the same challenge when the signature is the mirrored one', async () => {
    const other = await enrollDevice(broker);
    const { transaction, challenge } = await openTransaction(broker, client);
    const response = await other.respond(challenge, client.origin);
    const first = evidenceOf(challenge, response);
    expectTrusted(await broker.client.evaluate(client, { transaction, evidence: first }));
    const mirrored = withSignature(challenge, mirrorSignature(signatureOf(challenge)));
    const second = evidenceOf(mirrored, response);
    expectDenied(
      await broker.client.evaluate(client, { transaction, evidence: second }),
      'challenge_already_used',
    );
  });

  it.each<[string, DecisionReason, (challenge: string) => string]>([
    ['padding', 'evidence_malformed', (text) => `${text}=`],
    ['a space', 'evidence_malformed', (text) => `${text} `],
    ['a line break', 'evidence_malformed', (text) => text.replace('.', '.\n')],
    ['the other base64 alphabet', 'evidence_malformed', (text) => text.replace('.', '.+/')],
    ['bits after the last byte', 'challenge_malformed', (text) => `${text.slice(0, -1)}_`],
    ['a fourth part', 'challenge_malformed', (text) => `${text}.AAAA`],
    ['only two parts', 'challenge_malformed', (text) => text.slice(0, text.lastIndexOf('.'))],
    ['more than 8 KiB', 'challenge_malformed', (text) => `${text}${'A'.repeat(8192)}`],
  ])('is refused for %s', async (_, reason, spell) => {
    expectDenied(await evaluateForged(spell), reason);
  });
});

describe('evidence that is none', () => {
  it.each<[string, DecisionReason, (challenge: string) => string]>([
    ['nothing', 'evidence_missing', () => ''],
    ['text', 'evidence_malformed', () => 'hello'],
    ['a separator', 'evidence_malformed', () => '~'],
    ['too few parts', 'evidence_malformed', (challenge) => `v1~${challenge}~`],
    ['too many parts', 'evidence_malformed', (challenge) => `v1~${challenge}~~~~`],
    ['another version', 'evidence_malformed', (challenge) => `v2~${challenge}~~~`],
    ['an unknown report', 'evidence_malformed', (challenge) => `v1~${challenge}~~~hacked`],
    [
      'an allow as a report',
      'evidence_malformed',
      (challenge) => `v1~${challenge}~~~trusted_device`,
    ],
    [
      'mTLS evidence that is none',
      'mtls_evidence_undecryptable',
      (challenge) => `v1~${challenge}~~a.b.c~`,
    ],
    ['no challenge', 'challenge_malformed', () => 'v1~~~~'],
    ['no response', 'evidence_missing', (challenge) => evidenceWithoutResponse(challenge)],
    [
      'a report',
      'host_not_installed',
      (challenge) => evidenceWithoutResponse(challenge, 'host_not_installed'),
    ],
  ])('%s', async (_, reason, makeEvidence) => {
    expectDenied(await evaluateWith(broker, client, makeEvidence), reason);
  });

  it('more than 32 KiB is refused as a request', async () => {
    const body = broker.client.evaluationBody(client, {
      transaction: 'A'.repeat(43),
      evidence: `v1~${'A'.repeat(32 * 1024)}~~~`,
    });
    await expectProblem(
      await broker.client.sendEvaluation(client, body),
      400,
      'field_invalid',
      'context.evidence',
    );
  });
});

it('has bound the device to nobody through all of this', async () => {
  expect((await certificateOf(broker, device)).status).toBe('issued');
});
