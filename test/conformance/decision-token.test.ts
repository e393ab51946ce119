// The decision token: verified with jose against the published keys, and with the SDK against what it was made for.
import { createPublicKey } from 'node:crypto';
import { decisionTokenClaims } from '@countersign/protocol/decision-token';
import {
  type CountersignClient,
  type CountersignErrorCode,
  createCountersignClient,
} from '@countersign/sso-sdk/server';
import { randomText, sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { signEs256 } from '../support/forge-token.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let sdk: CountersignClient;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  sdk = sdkAs(client);
});
afterAll(() => broker?.stopAndRemove());

const sdkAs = ({ clientId, clientSecret }: TestClient) =>
  createCountersignClient({
    brokerUrl: broker.url,
    clientId,
    authentication: { clientSecret },
  });

/** A trusted sign-in of ada, or what happens without an answer of the device. */
async function signIn(withResponse = true) {
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = withResponse
    ? await device.evidence(challenge, client.origin)
    : `v1~${challenge}~~~host_not_installed`;
  const answer = await broker.client.evaluate(client, { subject: 'ada', transaction, evidence });
  const token = answer.context.decision_token ?? '';
  return { answer, token, transaction, challenge };
}
const expected = (transaction: string) => ({
  subject: 'ada',
  application: client.application,
  transaction,
});

describe('the published keys', () => {
  it('are the public halves of the keys of decisions and checkpoints, each with its purpose, and nothing else', async () => {
    const response = await broker.client.request('/.well-known/jwks.json');
    const published = async (name: 'decision' | 'audit') => {
      const key = readBrokerKey(broker.dataDirectory, name);
      const jwk = createPublicKey(key).export({ format: 'jwk' });
      return { ...jwk, kid: await keyIdOf(key), alg: 'ES256', use: 'sig', purpose: name };
    };
    expect(await response.json()).toEqual({
      keys: [await published('decision'), await published('audit')],
    });
  });

  it('are not the keys of challenges and responses', async () => {
    const names = ['challenge', 'decision', 'response', 'issuer', 'root'] as const;
    const ids = await Promise.all(
      names.map((name) => keyIdOf(readBrokerKey(broker.dataDirectory, name))),
    );
    expect(new Set(ids).size).toBe(names.length);
  });
});

describe('a decision token', () => {
  it('verifies with jose and says for whom, for what and for how long', async () => {
    const { answer, token, transaction } = await signIn();
    const jwks = createRemoteJWKSet(new URL('/.well-known/jwks.json', broker.url));
    const { payload, protectedHeader } = await jwtVerify(token, jwks, {
      issuer: broker.url,
      audience: client.clientId,
      subject: 'ada',
      typ: 'decision+jwt',
      algorithms: ['ES256'],
      requiredClaims: ['exp', 'iat', 'jti'],
    });
    expect(Object.keys(protectedHeader).sort()).toEqual(['alg', 'kid', 'typ']);
    const claims = decisionTokenClaims.parse(payload);
    expect(claims).toMatchObject({
      decision: true,
      device_trusted: true,
      reason_code: 'trusted_device',
      application: client.application,
      action: 'sign_in',
      transaction_hash: await sha256Base64url(transaction),
      decision_id: answer.context.decision_id,
    });
    expect(claims.exp - claims.iat).toBe(60);
    expect(Object.keys(payload).sort()).toEqual(Object.keys(decisionTokenClaims.shape).sort());
  });

  it('names no device, no certificate and no posture to the sign-in server', async () => {
    const { answer, token } = await signIn();
    const { fingerprint_sha256, serial_number } =
      (await broker.client.device(device.deviceId ?? '')).certificates[0] ?? {};
    const seen = JSON.stringify([decodeJwt(token), answer]);
    expect(fingerprint_sha256).toHaveLength(43);
    for (const secret of [device.deviceId, fingerprint_sha256, serial_number, 'linux', 'file']) {
      expect(seen).not.toContain(`"${secret}"`);
      expect(String(secret)).not.toBe('undefined');
    }
  });

  it('of a denial says so, and no verifier takes it for an allow', async () => {
    const { answer, token, transaction } = await signIn(false);
    expect(answer.decision).toBe(false);
    expect(decodeJwt(token)).toMatchObject({
      decision: false,
      device_trusted: false,
      reason_code: 'host_not_installed',
    });
    await expect(sdk.verifyDecisionToken(token, expected(transaction))).rejects.toMatchObject({
      code: 'decision_token_denies' satisfies CountersignErrorCode,
    });
  });

  it('is accepted by the SDK for exactly what it was made for', async () => {
    const { token, transaction } = await signIn();
    const claims = await sdk.verifyDecisionToken(token, expected(transaction));
    expect(claims).toMatchObject({ decision: true, sub: 'ada' });
    const other = await broker.client.registerClient();
    const wrong: [CountersignErrorCode, () => Promise<unknown>][] = [
      [
        'decision_token_wrong_subject',
        () => sdk.verifyDecisionToken(token, { ...expected(transaction), subject: 'eve' }),
      ],
      [
        'decision_token_wrong_application',
        () => sdk.verifyDecisionToken(token, { ...expected(transaction), application: 'other' }),
      ],
      [
        'decision_token_wrong_action',
        () => sdk.verifyDecisionToken(token, { ...expected(transaction), action: 'other' }),
      ],
      [
        'decision_token_wrong_transaction',
        () => sdk.verifyDecisionToken(token, expected(randomText())),
      ],
      [
        'decision_token_wrong_audience',
        () => sdkAs(other).verifyDecisionToken(token, expected(transaction)),
      ],
    ];
    for (const [code, verify] of wrong) {
      await expect(verify()).rejects.toMatchObject({ code });
    }
  });

  it('#7 is not what any other key signed, the broker other keys included', async () => {
    const { token, transaction, challenge } = await signIn();
    const decisionKid = decodeProtectedHeader(token).kid;
    const header = { alg: 'ES256', typ: 'decision+jwt', kid: decisionKid };
    const forgeries = [
      challenge,
      signEs256(header, decodeJwt(token), newKeyPair().privateKey),
      signEs256(header, decodeJwt(token), readBrokerKey(broker.dataDirectory, 'challenge')),
      signEs256(header, decodeJwt(token), readBrokerKey(broker.dataDirectory, 'issuer')),
      signEs256(
        { ...header, typ: 'challenge+jwt' },
        decodeJwt(token),
        readBrokerKey(broker.dataDirectory, 'decision'),
      ),
    ];
    for (const forged of forgeries) {
      await expect(sdk.verifyDecisionToken(forged, expected(transaction))).rejects.toMatchObject({
        code: expect.stringMatching(/^decision_token_/),
      });
    }
  });
});

it('#7 a token by the key that the broker publishes for the audit is refused as that', async () => {
  const { token, transaction } = await signIn();
  const key = readBrokerKey(broker.dataDirectory, 'audit');
  const header = { alg: 'ES256', typ: 'decision+jwt', kid: await keyIdOf(key) };
  const forged = signEs256(header, decodeJwt(token), key);
  await expect(sdk.verifyDecisionToken(forged, expected(transaction))).rejects.toMatchObject({
    code: 'decision_token_key_wrong_purpose' satisfies CountersignErrorCode,
  });
});

describe('the SDK against the broker', () => {
  it('evaluates a trusted sign-in, and one without evidence', async () => {
    const { transaction, challenge } = await openTransaction(broker, client);
    const input = {
      subject: 'ada',
      application: client.application,
      transaction,
      subjectAuthenticated: true,
    };
    const evidence = await device.evidence(challenge, client.origin);
    expect(await sdk.evaluate({ ...input, evidence })).toMatchObject({
      decision: true,
      deviceTrusted: true,
      reasonCode: 'trusted_device',
    });
    expect(await sdk.evaluate({ ...input, transaction: randomText() })).toMatchObject({
      decision: false,
      reasonCode: 'evidence_missing',
      reasonUser: expect.any(String),
    });
  });

  it('has nothing to complete yet', async () => {
    const input = {
      subject: 'ada',
      application: client.application,
      transaction: randomText(),
      subjectAuthenticated: true,
      acr: 'phr',
    };
    expect(await sdk.complete(input)).toMatchObject({
      decision: false,
      reasonCode: 'evidence_missing',
    });
  });

  it('says that its secret is wrong', async () => {
    const wrong = sdkAs({ ...client, clientSecret: randomText() });
    await expect(
      wrong.evaluate({
        subject: 'ada',
        application: client.application,
        transaction: randomText(),
        subjectAuthenticated: true,
      }),
    ).rejects.toMatchObject({ code: 'client_authentication_failed' });
  });
});
