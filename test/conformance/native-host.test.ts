// What the shipped host signs for whom, over native messaging, with the real broker on the other side.
import type { UnavailableCode } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { encodePart, signEs256 } from '../support/forge-token.ts';
import { frame, NativeHost } from '../support/native-host.ts';
import { evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';

let broker: TestBroker;
let client: TestClient;
let host: NativeHost;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
  host = await NativeHost.install({ origins: [origin, 'https://second.example.com'] });
  await host.enroll(broker);
});
afterAll(async () => {
  host?.remove();
  await broker?.stopAndRemove();
});

async function signIn({ at = host, ...options }: { clock?: string; at?: NativeHost } = {}) {
  const { transaction, challenge } = await openTransaction(broker, client);
  const answer = await at.attest(challenge, origin, options);
  if (answer.type !== 'attest') return { answer };
  const evidence = evidenceOf(challenge, answer.response);
  return { answer, decision: await broker.client.evaluate(client, { transaction, evidence }) };
}

const expectError = (answer: { type: string }, code: UnavailableCode) =>
  expect(answer).toMatchObject({ type: 'error', id: '1', code });

it('answers a challenge, and the broker trusts the answer', async () => {
  const { decision } = await signIn();
  if (decision === undefined) throw new Error('the host answered');
  expectTrusted(decision);
});

it('answers several messages on one port, in order', async () => {
  const { challenge } = await openTransaction(broker, client);
  const attest = { version: 1, type: 'attest', challenge, origin };
  const { answers, exitCode } = await host.converse(
    Buffer.concat([
      frame({ version: 1, id: 'a', type: 'status' }),
      frame({ ...attest, id: 'b' }),
      frame({ ...attest, id: 'c', origin: 'https://evil.example' }),
      frame({ ...attest, id: 'd' }),
    ]),
  );
  expect(exitCode).toBe(0);
  expect(answers.map(({ id, type }) => [id, type])).toEqual([
    ['a', 'status'],
    ['b', 'attest'],
    ['c', 'error'],
    ['d', 'attest'],
  ]);
});

it.each(['+9m', '-9m'])(
  'answers with a clock that is wrong by %s, and is trusted',
  async (clock) => {
    const { decision } = await signIn({ clock });
    if (decision === undefined) throw new Error('the host answered');
    expectTrusted(decision);
  },
);

it.each(['+11m', '-11m', '+400d', '-400d'])('says that its clock is wrong by %s', async (clock) => {
  expectError((await signIn({ clock })).answer, 'clock_skew');
});

it.each([
  'https://evil.example',
  'https://sso.example.com.evil.example',
  'https://sso.example.com:8443',
  'https://second.example.com',
])('#5 does not answer for the page %s', async (evil) => {
  const { challenge } = await openTransaction(broker, client);
  expectError(await host.attest(challenge, evil), 'origin_not_allowed');
});

it.each([
  'null',
  '',
  'http://sso.example.com',
  'https://SSO.example.com',
  'https://sso.example.com/',
])('#5 takes %j for no origin', async (evil) => {
  const { challenge } = await openTransaction(broker, client);
  expectError(await host.attest(challenge, evil), 'message_malformed');
});

it('does not answer for a page that is on the list of the challenge alone', async () => {
  const other = await broker.client.registerClient({ origin: 'https://third.example.com' });
  const { challenge } = await openTransaction(broker, other);
  expectError(await host.attest(challenge, other.origin), 'origin_not_allowed');
});

describe('#8 a challenge', () => {
  type Forge = (claims: object, header: { kid: string }, challenge: string) => string;
  const key = () => readBrokerKey(broker.dataDirectory, 'challenge');
  const cases: Record<string, [UnavailableCode, Forge]> = {
    'with alg none': [
      'challenge_malformed',
      (claims, header) =>
        `${encodePart({ ...header, alg: 'none' })}.${encodePart({ ...claims })}.AA`,
    ],
    'of a foreign key': [
      'challenge_signature_invalid',
      (claims, header) => signEs256(header, { ...claims }, newKeyPair().privateKey),
    ],
    "of the broker's decision key": [
      'challenge_signature_invalid',
      (claims, header) =>
        signEs256(header, { ...claims }, readBrokerKey(broker.dataDirectory, 'decision')),
    ],
    'with an unknown key id': [
      'challenge_key_unknown',
      (claims, header) => signEs256({ ...header, kid: 'A'.repeat(43) }, { ...claims }, key()),
    ],
    'with an embedded key': [
      'challenge_malformed',
      (claims, header) =>
        signEs256({ ...header, jwk: { kty: 'EC' } }, { ...claims }, newKeyPair().privateKey),
    ],
    'with crit': [
      'challenge_malformed',
      (claims, header) => signEs256({ ...header, crit: ['exp'] }, { ...claims }, key()),
    ],
    'with the typ of a decision': [
      'challenge_malformed',
      (claims, header) => signEs256({ ...header, typ: 'decision+jwt' }, { ...claims }, key()),
    ],
    '#6 for another organization': [
      'challenge_wrong_audience',
      (claims, header) => signEs256(header, { ...claims, aud: `org_${'A'.repeat(22)}` }, key()),
    ],
    '#6 from another broker': [
      'challenge_wrong_audience',
      (claims, header) => signEs256(header, { ...claims, iss: 'https://evil.example' }, key()),
    ],
    'made eleven minutes ago': [
      'clock_skew',
      (claims, header) =>
        signEs256(header, { ...claims, iat: Math.floor(Date.now() / 1000) - 660 }, key()),
    ],
    'with an encryption key off the curve': [
      'challenge_malformed',
      (claims, header) => {
        const jwk = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
        return signEs256(header, { ...claims, response_encryption: { kid: 'a', jwk } }, key());
      },
    ],
    'changed after it was signed': [
      'challenge_signature_invalid',
      (claims, _, challenge) =>
        challenge
          .split('.')
          .with(1, encodePart({ ...claims, client_id: 'evil' }))
          .join('.'),
    ],
  };
  it.each(Object.entries(cases))('%s is not answered', async (_, [code, forge]) => {
    const { challenge } = await openTransaction(broker, client);
    const header = { alg: 'ES256', typ: 'challenge+jwt', kid: await keyIdOf(key()) };
    const forged = forge(decodeJwt(challenge), header, challenge);
    expectError(await host.attest(forged, origin), code);
  });

  it('that has expired is answered, and judged by the clock of the broker', async () => {
    const { transaction, challenge } = await openTransaction(broker, client);
    const header = { alg: 'ES256', typ: 'challenge+jwt', kid: await keyIdOf(key()) };
    const now = Math.floor(Date.now() / 1000);
    const claims: object = decodeJwt(challenge);
    const expired = signEs256(header, { ...claims, iat: now - 120, exp: now - 60 }, key());
    const answer = await host.attest(expired, origin);
    if (answer.type !== 'attest') throw new Error(`the host answered ${answer.type}`);
    const evidence = evidenceOf(expired, answer.response);
    const decision = await broker.client.evaluate(client, { transaction, evidence });
    expectDenied(decision, 'challenge_expired');
  });
});

describe('#7 a wish to sign', () => {
  const claims = { sub: 'root' };
  const wishes: Record<string, unknown> = {
    'by another name': { version: 1, id: '1', type: 'sign', data: 'AAAA' },
    'with more than is asked for': { version: 1, id: '1', type: 'status', sign: 'AAAA' },
  };
  it.each(Object.entries(wishes))('%s is refused', async (_, message) => {
    const { answers } = await host.converse(frame(message));
    expect(answers).toMatchObject([{ type: 'error', code: 'message_malformed' }]);
  });

  it.each([
    `${encodePart({ alg: 'ES256' })}.${encodePart(claims)}`,
    Buffer.concat([
      Buffer.alloc(64, 0x20),
      Buffer.from('TLS 1.3, client CertificateVerify\u0000'),
    ]).toString('base64url'),
    Buffer.from('3059301306072a8648ce3d0201', 'hex').toString('base64url'),
  ])('of bytes that are no challenge is refused', async (bytes) => {
    expectError(await host.attest(bytes, origin), 'message_malformed');
  });
});

it('in a later version is refused as that', async () => {
  const { answers } = await host.converse(frame({ version: 2, id: '1', type: 'status' }));
  expect(answers).toMatchObject([{ type: 'error', code: 'host_version_unsupported' }]);
});

it('signs in again with a new key after its certificate was revoked', async () => {
  const revoked = await NativeHost.install();
  try {
    const tokenFor = () => broker.client.createEnrollmentToken(revoked.hardwareId);
    const { device_id } = await tokenFor();
    const decide = async () => {
      const { decision } = await signIn({ at: revoked });
      if (decision === undefined) throw new Error('the host did not answer');
      return decision;
    };
    await revoked.enroll(broker);
    expectTrusted(await decide());
    const { certificates } = await broker.client.device(device_id);
    await broker.client.revoke(device_id, certificates[0]?.fingerprint_sha256 ?? '');
    expectDenied(await decide(), 'certificate_revoked');

    const enroll = ['enroll', '--broker', broker.url];
    const { enrollment_token } = await tokenFor();
    const plain = await revoked.command(enroll, { input: enrollment_token });
    expect(plain.output.toString()).toContain('nothing was changed');
    expectDenied(await decide(), 'certificate_revoked');

    const before = revoked.stateFiles();
    const replaced = await revoked.command([...enroll, '--replace'], { input: enrollment_token });
    expect(replaced.exitCode, replaced.errors).toBe(0);
    expectTrusted(await decide());
    const after = await broker.client.device(device_id);
    expect(after.certificates.map(({ status }) => status).sort()).toEqual(['bound', 'revoked']);
    const kept = Object.values(revoked.stateFiles()).join();
    for (const name of ['device-key.json', 'wrapping.key']) {
      expect(kept).not.toContain(before[name]);
    }
  } finally {
    revoked.remove();
  }
});

it('without an enrollment says so', async () => {
  const fresh = await NativeHost.install();
  try {
    const { challenge } = await openTransaction(broker, client);
    expectError(await fresh.attest(challenge, origin), 'not_enrolled');
  } finally {
    fresh.remove();
  }
});

it('#53 runs on no configuration that others than root could have written', async () => {
  const fresh = await NativeHost.install({ development: undefined });
  try {
    const { challenge } = await openTransaction(broker, client);
    expectError(await fresh.attest(challenge, origin), 'host_configuration_untrusted');
  } finally {
    fresh.remove();
  }
});
