// How a sign-in server proves which client it is: a secret (HTTP Basic) or a signed assertion (RFC 7523).
import { createHmac, createPublicKey, type KeyObject } from 'node:crypto';
import { p256PublicJwk } from '@countersign/protocol/schemas';
import { createCountersignClient } from '@countersign/sso-sdk/server';
import { randomText, sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { expectProblem, readDecision } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { encodePart, signEs256 } from '../support/forge-token.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let withSecret: TestClient;
let device: FakeDevice;
/** A client that authenticates with a key. */
const withKey = { clientId: 'with-key', key: newKeyPair().privateKey, kid: '' };
const otherWithKey = { clientId: 'other-with-key', key: newKeyPair().privateKey, kid: '' };
const origin = 'https://sso.example.com';

beforeAll(async () => {
  broker = await TestBroker.start();
  withSecret = await broker.client.registerClient({ origin });
  device = await enrollDevice(broker);
  for (const client of [withKey, otherWithKey]) {
    client.kid = await keyIdOf(client.key);
    await broker.client.putClient(client.clientId, {
      name: client.clientId,
      origins: [origin],
      applications: [withSecret.application],
      authentication: { method: 'private_key_jwt', keys: [publicJwk(client.key, client.kid)] },
    });
  }
});
afterAll(() => broker?.stopAndRemove());

const publicJwk = (key: KeyObject, kid: string) => ({
  ...p256PublicJwk.parse(createPublicKey(key).export({ format: 'jwk' })),
  kid,
});

function evaluateAs(authorization: string | undefined): Promise<Response> {
  const body = broker.client.evaluationBody(withSecret, { transaction: randomText() });
  const headers: Record<string, string> =
    authorization === undefined ? {} : { Authorization: authorization };
  return broker.client.post('/access/v1/evaluation', body, headers);
}

const expectAccepted = async (authorization: string) =>
  await readDecision(await evaluateAs(authorization));

async function expectRefused(authorization: string | undefined): Promise<void> {
  const response = await evaluateAs(authorization);
  expect(response.headers.get('WWW-Authenticate')).toBe('Basic realm="countersign", Bearer');
  await expectProblem(response, 401, 'client_authentication_failed');
}

describe('a client secret', () => {
  const basic = (id: string, secret: string) => `Basic ${btoa(`${id}:${secret}`)}`;

  it('is accepted, and the name of the scheme in any case', async () => {
    const { clientId, clientSecret } = withSecret;
    await expectAccepted(basic(clientId, clientSecret));
    await expectAccepted(basic(clientId, clientSecret).replace('Basic', 'bAsIc'));
    await expectAccepted(basic(encodeURIComponent(clientId), encodeURIComponent(clientSecret)));
  });

  it('is refused for everything that is not it', async () => {
    const other = await broker.client.registerClient();
    const { clientId: id, clientSecret: secret } = withSecret;
    const wrong = [
      undefined,
      '',
      'Basic',
      'Basic ',
      'Basic :',
      basic(id, ''),
      basic('', secret),
      basic(id, other.clientSecret),
      basic(other.clientId, secret),
      basic('nobody', secret),
      basic('constructor', secret),
      basic('__proto__', secret),
      basic(id.toUpperCase(), secret),
      basic(id, `${secret} `),
      basic(id, secret.slice(0, -1)),
      basic(id, secret.toLowerCase()),
      basic(id, await sha256Base64url(secret)),
      basic(id, '%zz'),
      basic(withKey.clientId, secret),
      `Basic ${btoa(id)}`,
      `Basic ${id}:${secret}`,
      `Basic ${btoa(`${id}:${secret}`).replace(/.$/, '*')}`,
      `Basic  ${btoa(`${id}:${secret}`)}`,
      `${basic(id, secret)} x`,
      `${basic(id, secret)}, Basic x`,
      `Bearer ${secret}`,
      `Bearer ${broker.server.ownerToken}`,
      `Digest username="${id}"`,
      secret,
    ];
    for (const authorization of wrong) await expectRefused(authorization);
  });

  it('#74 is refused in the same words, whatever was wrong', async () => {
    const answers = await Promise.all(
      [basic(withSecret.clientId, 'wrong'), basic('nobody', 'wrong'), 'Bearer x', undefined].map(
        async (authorization) => (await evaluateAs(authorization)).text(),
      ),
    );
    expect(new Set(answers).size).toBe(1);
  });

  it('is replaced by a newer one', async () => {
    const name = 'changing';
    const first = await broker.client.registerClient({ name });
    const second = await broker.client.registerClient({ name });
    await expectRefused(basic(name, first.clientSecret));
    await expectAccepted(basic(name, second.clientSecret));
  });
});

describe('a signed assertion', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const header = () => ({ alg: 'ES256', typ: 'JWT', kid: withKey.kid });
  const claims = () => ({
    iss: withKey.clientId,
    sub: withKey.clientId,
    aud: broker.url,
    iat: now(),
    exp: now() + 60,
    jti: randomText(16),
  });
  type Changes = Readonly<Record<string, unknown>>;
  const assertion = (changes: Changes = {}, headerChanges: Changes = {}, key = withKey.key) =>
    `Bearer ${signEs256({ ...header(), ...headerChanges }, { ...claims(), ...changes }, key)}`;

  it('is accepted', async () => {
    await expectAccepted(assertion());
    await expectAccepted(assertion({ exp: now() + 290 }));
    await expectAccepted(assertion({ nbf: now() - 5 }));
  });

  it.each<[string, () => Changes]>([
    ['of another client', () => ({ iss: otherWithKey.clientId, sub: otherWithKey.clientId })],
    ['by one client about another', () => ({ sub: otherWithKey.clientId })],
    ['of a client with a secret', () => ({ iss: withSecret.clientId, sub: withSecret.clientId })],
    ['of nobody', () => ({ iss: 'nobody', sub: 'nobody' })],
    ['of a member of objects', () => ({ iss: 'constructor', sub: 'constructor' })],
    ['without iss', () => ({ iss: undefined })],
    ['with a list as iss', () => ({ iss: [withKey.clientId] })],
    ['without sub', () => ({ sub: undefined })],
    ['for another server', () => ({ aud: 'https://other.example.com' })],
    ['for the endpoint', () => ({ aud: `${broker.url}/access/v1/evaluation` })],
    ['for the broker with a slash', () => ({ aud: `${broker.url}/` })],
    ['for nobody', () => ({ aud: undefined })],
    ['expired', () => ({ iat: now() - 120, exp: now() - 60 })],
    ['without an end', () => ({ exp: undefined })],
    ['with its end as text', () => ({ exp: String(now() + 60) })],
    ['with an end in an hour', () => ({ exp: now() + 3600 })],
    ['made ten minutes ago', () => ({ iat: now() - 600, exp: now() + 60 })],
    ['made in the future', () => ({ iat: now() + 120, exp: now() + 180 })],
    ['without a time', () => ({ iat: undefined })],
    ['good only later', () => ({ nbf: now() + 120 })],
    ['without an id', () => ({ jti: undefined })],
  ])('%s is refused', async (_, changes) => {
    await expectRefused(assertion(changes()));
  });

  it.each<[string, () => Changes]>([
    ['without kid', () => ({ kid: undefined })],
    ['with an unknown kid', () => ({ kid: 'A'.repeat(43) })],
    ["with another client's kid", () => ({ kid: otherWithKey.kid })],
    ['with an embedded key', () => ({ kid: undefined, jwk: publicJwk(withKey.key, 'a') })],
    ['with crit', () => ({ crit: ['exp'] })],
    ['with b64 false', () => ({ b64: false, crit: ['b64'] })],
    ['with alg none', () => ({ alg: 'none' })],
    ['with alg ES384', () => ({ alg: 'ES384' })],
    ['with alg RS256', () => ({ alg: 'RS256' })],
  ])('#10 %s is refused', async (_, changes) => {
    await expectRefused(assertion({}, changes()));
  });

  it('with a signature of another key is refused', async () => {
    const brokerKeys = (['challenge', 'decision', 'issuer'] as const).map((name) =>
      readBrokerKey(broker.dataDirectory, name),
    );
    for (const key of [newKeyPair().privateKey, otherWithKey.key, ...brokerKeys]) {
      await expectRefused(assertion({}, {}, key));
    }
  });

  it('without a signature, or with one by HS256 and the public key, is refused', async () => {
    const payload = encodePart(claims());
    await expectRefused(`Bearer ${encodePart({ ...header(), alg: 'none' })}.${payload}.`);
    await expectRefused(`Bearer ${encodePart(header())}.${payload}.`);
    const input = `${encodePart({ ...header(), alg: 'HS256' })}.${payload}`;
    const pem = createPublicKey(withKey.key).export({ format: 'pem', type: 'spki' });
    const signature = createHmac('sha256', pem).update(input).digest('base64url');
    await expectRefused(`Bearer ${input}.${signature}`);
  });

  it('in another form is refused', async () => {
    const good = assertion().slice('Bearer '.length);
    const [first, second] = good.split('.');
    for (const text of [`${first}.${second}`, `${good}.x`, ` ${good}`, `${good}=`, '..', 'a.b.c']) {
      await expectRefused(`Bearer ${text}`);
    }
    await expectRefused(`Basic ${btoa(`${withKey.clientId}:${good}`)}`);
  });

  it('#7 is none of the other tokens of the broker', async () => {
    const challenge = await broker.client.challenge(withSecret, randomText());
    const { context } = await broker.client.signIn(withSecret, device);
    await expectRefused(`Bearer ${challenge}`);
    await expectRefused(`Bearer ${context.decision_token}`);
  });

  it('with any of two keys is accepted, and with a removed one refused', async () => {
    const newKey = newKeyPair().privateKey;
    const newKid = await keyIdOf(newKey);
    const rotating = 'rotating';
    const register = (keys: KeyObject[], kids: string[]) =>
      broker.client.putClient(rotating, {
        name: rotating,
        origins: [origin],
        applications: [withSecret.application],
        authentication: {
          method: 'private_key_jwt',
          keys: keys.map((key, index) => publicJwk(key, kids[index] ?? '')),
        },
      });
    const own = { iss: rotating, sub: rotating };
    await register([withKey.key, newKey], [withKey.kid, newKid]);
    await expectAccepted(assertion(own));
    await expectAccepted(assertion(own, { kid: newKid }, newKey));
    await register([newKey], [newKid]);
    await expectRefused(assertion(own));
    await expectAccepted(assertion(own, { kid: newKid }, newKey));
  });

  it('is what the SDK sends', async () => {
    const client = { ...withSecret, clientId: withKey.clientId };
    const { transaction, challenge } = await openTransaction(broker, client);
    const sdk = createCountersignClient({
      brokerUrl: broker.url,
      clientId: withKey.clientId,
      authentication: {
        privateKey: withKey.key.export({ format: 'pem', type: 'pkcs8' }).toString(),
        keyId: withKey.kid,
      },
    });
    const decision = await sdk.evaluate({
      subject: 'ada',
      application: withSecret.application,
      transaction,
      evidence: await device.evidence(challenge, origin),
      subjectAuthenticated: true,
    });
    expect(decision).toMatchObject({ decision: true, deviceTrusted: true });
  });
});
