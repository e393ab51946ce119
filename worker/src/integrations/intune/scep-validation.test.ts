import { setDefaultCACertificates } from 'node:tls';
import { type FakeIntune, startFakeIntune } from '@countersign/testkit/fake-intune';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseOutboundNetworks } from '../outbound-url.ts';
import { deriveConnectionUrls } from '../tenant-url.ts';
import { scepValidation } from './scep-validation.ts';

const networks = parseOutboundNetworks('127.0.0.0/8') ?? [];
const request = { transactionId: 'valid', certificationRequest: Uint8Array.of(0x30, 0x00) };
let fake: FakeIntune;

function service(secret = fake.clientSecret) {
  const client = { tenant_id: fake.tenantId, client_id: fake.clientId };
  const { url } = fake;
  const connection = { login_url: url, graph_url: url, management_url: url, ...client };
  const derived = deriveConnectionUrls({ kind: 'intune', ...connection }, networks);
  if (!derived.ok) throw new Error(derived.detail);
  return scepValidation(client, { fetch, urls: derived.urls, secret, networks, now: Date.now });
}

beforeAll(async () => {
  fake = await startFakeIntune();
  fake.validTransactions.add('valid');
  setDefaultCACertificates([fake.certificatePem]);
});
afterEach(() => {
  fake.setFault(undefined);
  fake.serviceUri = `${fake.url}/scep`;
});
afterAll(() => fake.stop());

describe("Intune's validation of SCEP requests", () => {
  it('finds the service once and asks it about each request', async () => {
    const intune = service();
    expect(await intune.validateRequest(request)).toEqual({ ok: true, value: { valid: true } });
    expect(await intune.validateRequest({ ...request, transactionId: 'other' })).toEqual({
      ok: true,
      value: { valid: false, reason: 'ChallengeDecryptionError' },
    });
    expect(fake.requests.filter(({ path }) => path.endsWith('/endpoints'))).toHaveLength(1);
    const validation = fake.requests.find(({ path }) => path.endsWith('/validateRequest'));
    expect(JSON.parse(validation?.body ?? '')).toEqual({
      request: { transactionId: 'valid', certificateRequest: 'MAA=', callerInfo: 'Countersign' },
    });
  });

  it('reports what became of a request', async () => {
    const issued = {
      ...request,
      certificateThumbprint: 'AB'.repeat(20),
      serialNumber: '01AB',
      notAfterMs: Date.parse('2027-01-01T00:00:00Z'),
      issuerName: 'CN=MTLS Certificate Authority',
    };
    expect(await service().successNotification(issued)).toEqual({ ok: true, value: undefined });
    const failed = { ...request, hResult: -2147467259, description: 'x'.repeat(300) };
    expect(await service().failureNotification(failed)).toEqual({ ok: true, value: undefined });
    expect(fake.notifications).toMatchObject([
      {
        action: 'successNotification',
        body: { certificateExpirationDateUtc: '2027-01-01T00:00:00.000Z' },
      },
      { action: 'failureNotification', body: { errorDescription: 'x'.repeat(255) } },
    ]);
  });

  it('asks for another token when the one that it has is refused', async () => {
    const intune = service();
    await intune.validateRequest(request);
    fake.forgetTokens();
    expect(await intune.validateRequest(request)).toMatchObject({
      ok: true,
      value: { valid: true },
    });
  });

  it('#62 goes nowhere else than to a public address by https', async () => {
    for (const uri of [
      'https://169.254.169.254/scep',
      'http://scep.example',
      'https://localhost.internal',
    ]) {
      fake.serviceUri = uri;
      const client = { tenant_id: fake.tenantId, client_id: fake.clientId };
      const urls = { api: `${fake.url}/v1.0`, login: fake.url, management: fake.url };
      const asked: string[] = [];
      const watched = (url: string, init: RequestInit) => {
        asked.push(new URL(url).origin);
        return fetch(url, init);
      };
      const context = {
        fetch: watched,
        urls,
        secret: fake.clientSecret,
        networks: [],
        now: Date.now,
      };
      expect(await scepValidation(client, context).validateRequest(request)).toMatchObject({
        ok: false,
        reason: 'answer_malformed',
      });
      expect(new Set(asked)).toEqual(new Set([fake.url]));
    }
  });

  it('says why there is no answer', async () => {
    expect(await service('wrong').validateRequest(request)).toMatchObject({
      reason: 'credentials_refused',
    });
    const intune = service();
    await intune.validateRequest(request);
    for (const [fault, reason] of [
      [{ kind: 'failing' }, 'server_failed'],
      [{ kind: 'garbage' }, 'answer_malformed'],
      [{ kind: 'outage' }, 'unreachable'],
      [{ kind: 'redirect', location: fake.url }, 'redirected'],
    ] as const) {
      fake.setFault(fault, '/scep');
      expect(await intune.validateRequest(request)).toMatchObject({ ok: false, reason });
    }
  });
});
