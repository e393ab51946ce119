// The sign-in side against the real broker: the SDK's page part and server part and the sample site, with the device
// side of the native host. Without a browser; test/e2e has the same in Chromium.

import { type RunningSampleSite, startSampleSite } from '@countersign/sample-sso';
import { AttestError, attest } from '@countersign/sso-sdk';
import { createCountersignClient, createTransaction } from '@countersign/sso-sdk/server';
import type { TestClient } from '@countersign/testkit/broker-client';
import { openFakeBrowser } from '@countersign/testkit/fake-browser';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../support/free-port.ts';
import { enrollNativeDevice, type NativeDevice } from '../support/native-device.ts';
import { type Extension, inPageOf } from '../support/page-of-origin.ts';
import { TestBroker } from '../support/test-broker.ts';

const password = 'countersign-demo';
let broker: TestBroker;
let client: TestClient;
let site: RunningSampleSite;
let device: NativeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  const port = await findFreePort();
  client = await broker.client.registerClient({ origin: `http://127.0.0.1:${port}` });
  const { clientId, clientSecret, application } = client;
  const brokerUrl = broker.url;
  site = await startSampleSite({ port, brokerUrl, clientId, clientSecret, application });
  device = await enrollNativeDevice(broker, 'SAMPLE-SITE-0001', [site.url]);
});
afterAll(async () => {
  device?.remove();
  await site?.stop();
  await broker?.stopAndRemove();
});

const attestAs = (extension: Extension, transaction: string, options = {}) =>
  inPageOf(client.origin, extension, () =>
    attest({ brokerUrl: broker.url, clientId: client.clientId, transaction, ...options }),
  );

/** Opens the form, lets the device answer and returns the browser with the fields that it would post. */
async function fillForm(username: string, extension: Extension) {
  const browser = openFakeBrowser(site);
  const { transaction } = await browser.get('/');
  const { evidence } = await attestAs(extension, transaction);
  return { browser, fields: { username, password, evidence } };
}

async function signIn(username: string, extension: Extension) {
  const { browser, fields } = await fillForm(username, extension);
  return browser.post('/sign-in', fields);
}

describe('the sample site', () => {
  it('signs in from a managed device, whose certificate is from then on the user’s own', async () => {
    const result = await signIn('ada', device.answer);
    expect(result).toMatchObject({
      status: 200,
      outcome: 'trusted',
      reasonCode: 'trusted_device',
      reasonText: 'This device is managed by your company.',
    });
    const [certificate] = (await broker.client.device(device.deviceId)).certificates;
    expect(certificate).toMatchObject({ status: 'bound', bound_user: 'ada' });
    const recorded = await broker.recordedDecisions();
    expect(
      recorded.find((row) => `${row.shard}.${row.sequence}` === result.decisionId),
    ).toMatchObject({
      decision: true,
      subject: 'ada',
      device_id: device.deviceId,
      application: client.application,
    });
    expect(await signIn('grace', device.answer)).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'certificate_bound_to_other_user',
    });
  });

  it('refuses a browser without the extension, and a host that may not answer here', async () => {
    expect(await signIn('ada', undefined)).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'extension_not_installed',
    });
    const elsewhere = await enrollNativeDevice(broker, 'SAMPLE-SITE-0002', [
      'https://other.example.com',
    ]);
    expect(await signIn('ada', elsewhere.answer)).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'origin_not_allowed',
    });
    elsewhere.remove();
  });

  it('refuses evidence of another sign-in, and the same form twice', async () => {
    const victim = await fillForm('ada', device.answer);
    const attacker = await fillForm('ada', undefined);
    const relayed = { ...attacker.fields, evidence: victim.fields.evidence };
    expect(await attacker.browser.post('/sign-in', relayed)).toMatchObject({
      status: 403,
      reasonCode: 'challenge_wrong_transaction',
    });
    const cookies = [...victim.browser.cookies];
    expect(await victim.browser.post('/sign-in', victim.fields)).toMatchObject({
      outcome: 'trusted',
    });
    victim.browser.cookies.clear();
    for (const [name, value] of cookies) victim.browser.cookies.set(name, value);
    expect(await victim.browser.post('/sign-in', victim.fields)).toMatchObject({
      status: 400,
      reasonCode: 'transaction_missing',
    });
  });

  it('refuses evidence that is missing or garbage', async () => {
    for (const [evidence, reasonCode] of [
      ['', 'evidence_missing'],
      ['garbage', 'evidence_malformed'],
      ['v1~a.b.c~~~', 'challenge_malformed'],
    ] as const) {
      const { browser, fields } = await fillForm('ada', device.answer);
      expect(await browser.post('/sign-in', { ...fields, evidence })).toMatchObject({
        status: 403,
        outcome: 'not-trusted',
        reasonCode,
      });
    }
  });

  it('refuses a device whose certificate was revoked', async () => {
    const lost = await enrollNativeDevice(broker, 'SAMPLE-SITE-0003', [site.url]);
    expect(await signIn('grace', lost.answer)).toMatchObject({ outcome: 'trusted' });
    const [certificate] = (await broker.client.device(lost.deviceId)).certificates;
    await broker.client.revoke(lost.deviceId, certificate?.fingerprint_sha256 ?? '');
    expect(await signIn('grace', lost.answer)).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'certificate_revoked',
    });
    lost.remove();
  });
});

describe('the SDK', () => {
  const countersign = (options = {}) =>
    createCountersignClient({
      brokerUrl: broker.url,
      clientId: client.clientId,
      authentication: { clientSecret: client.clientSecret },
      ...options,
    });

  async function prepare() {
    const transaction = createTransaction();
    const { evidence } = await attestAs(device.answer, transaction);
    const { application } = client;
    return { subject: 'ada', application, transaction, evidence, subjectAuthenticated: true };
  }

  it('verifies the token of an allow, and gets the same one for a lost answer', async () => {
    const input = await prepare();
    let calls = 0;
    const fetchLosingOneAnswer: typeof fetch = async (url, init) => {
      const response = await fetch(url, init);
      calls += 1;
      if (calls > 1) return response;
      await response.text();
      throw new TypeError('the connection broke');
    };
    const decision = await countersign({ fetch: fetchLosingOneAnswer }).evaluate(input);
    if (!decision.decision) throw new Error(decision.reasonCode);
    expect(calls).toBe(3);
    const again = await countersign().evaluate(input);
    expect(again).toMatchObject({ decision: true, decisionId: decision.decisionId });

    const claims = await countersign().verifyDecisionToken(decision.decisionToken, input);
    expect(claims).toMatchObject({
      iss: broker.url,
      aud: client.clientId,
      sub: 'ada',
      application: client.application,
      action: 'sign_in',
      decision: true,
      device_trusted: true,
      decision_id: decision.decisionId,
    });
    const other = { ...input, subject: 'grace' };
    await expect(
      countersign().verifyDecisionToken(decision.decisionToken, other),
    ).rejects.toMatchObject({ code: 'decision_token_wrong_subject' });
  });

  it('authenticates with a private key', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const { x = '', y = '' } = await exportJWK(publicKey);
    const clientId = `${client.clientId.slice(0, 40)}-key`;
    await broker.client.putClient(clientId, {
      name: clientId,
      origins: [client.origin],
      applications: [client.application],
      authentication: {
        method: 'private_key_jwt',
        keys: [{ kty: 'EC', crv: 'P-256', x, y, kid: 'first' }],
      },
    });
    const transaction = createTransaction();
    const { evidence } = await attestAs(device.answer, transaction, { clientId });
    const input = {
      subject: 'ada',
      application: client.application,
      transaction,
      evidence,
      subjectAuthenticated: true,
    };
    const authentication = { privateKey, keyId: 'first' };
    const decision = await countersign({ clientId, authentication }).evaluate(input);
    expect(decision).toMatchObject({ decision: true, reasonCode: 'trusted_device' });

    const stranger = await generateKeyPair('ES256');
    for (const wrong of [
      { privateKey: stranger.privateKey, keyId: 'first' },
      { privateKey, keyId: 'second' },
      { clientSecret: client.clientSecret },
    ]) {
      await expect(
        countersign({ clientId, authentication: wrong }).evaluate(input),
      ).rejects.toMatchObject({ code: 'client_authentication_failed', status: 401 });
    }
  });

  it('says that nothing is pending', async () => {
    const input = await prepare();
    expect(await countersign().complete(input)).toMatchObject({
      decision: false,
      reasonCode: 'not_pending',
    });
  });

  it('passes on that monitor-only allowed a device that proved nothing', async () => {
    const monitored = await broker.client.registerClient({
      enforcement: 'monitor',
      origin: client.origin,
    });
    const { clientId, clientSecret, application } = monitored;
    const transaction = createTransaction();
    const { evidence } = await attestAs(undefined, transaction, { clientId });
    const input = { subject: 'ada', application, transaction, subjectAuthenticated: true };
    const asMonitored = countersign({ clientId, authentication: { clientSecret } });
    expect(await asMonitored.evaluate({ ...input, evidence })).toMatchObject({
      decision: true,
      deviceTrusted: false,
      reasonCode: 'monitor_only',
    });
    expect(await asMonitored.evaluate(input)).toMatchObject({
      decision: false,
      reasonCode: 'evidence_missing',
    });
  });

  it('tells the page why it gets no challenge', async () => {
    const askAs = (options: object, origin = client.origin) =>
      inPageOf(origin, undefined, () =>
        attest({
          brokerUrl: broker.url,
          clientId: client.clientId,
          transaction: createTransaction(),
          ...options,
        }),
      ).then(
        () => undefined,
        (error: unknown) => (error instanceof AttestError ? error.code : error),
      );
    expect(await askAs({}, 'https://evil.example.com')).toBe('origin_not_registered');
    expect(await askAs({ clientId: 'nobody' })).toBe('client_unknown');
    expect(await askAs({ transaction: 'short' })).toBe('field_invalid');
  });
});

it('a broker that is away signs nobody in', async () => {
  const { browser, fields } = await fillForm('ada', device.answer);
  await broker.stop();
  expect(await browser.post('/sign-in', fields)).toMatchObject({
    status: 502,
    outcome: 'error',
    reasonCode: 'broker_unreachable',
  });
  await broker.startAgain();
  expect(await signIn('ada', device.answer)).toMatchObject({ outcome: 'trusted' });
});
