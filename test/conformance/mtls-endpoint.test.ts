// POST /v1/mtls-evidence from outside: who gets evidence, where, and for which certificate.
import { KeyObject } from 'node:crypto';
import type { ProblemCode } from '@countersign/protocol';
import { problemDocument } from '@countersign/protocol/problem';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerCertificate, readBrokerKey } from '../support/broker-keys.ts';
import {
  type ForgedIssuer,
  impersonateIssuer,
  issueLookAlike,
  newKeyPair,
  parsed,
  signAgain,
} from '../support/forge-certificate.ts';
import { signEs256 } from '../support/forge-token.ts';
import {
  askMtls,
  type ClientKeyPair,
  evidenceIn,
  keyPairOf,
  type MtlsAnswer,
  type MtlsRequest,
  pemOf,
} from '../support/mtls-client.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let issuer: ForgedIssuer;

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true });
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  issuer = {
    certificate: parsed(readBrokerCertificate(broker.dataDirectory, 'issuer').raw),
    privateKey: readBrokerKey(broker.dataDirectory, 'issuer'),
  };
});
afterAll(() => broker?.stopAndRemove());

const newChallenge = async () => (await openTransaction(broker, client)).challenge;

/** A request that would get evidence if nothing were changed. */
const ask = async (changes: MtlsRequest = {}) =>
  askMtls(broker, {
    pair: keyPairOf(device),
    challenge: await newChallenge(),
    origin: client.origin,
    ...changes,
  });

function expectRefused(answer: MtlsAnswer, status: number, code: ProblemCode, what = ''): void {
  expect(answer.body, what).toContain(`"code":"${code}"`);
  expect(answer.status).toBe(status);
  const problem = problemDocument.parse(JSON.parse(answer.body));
  expect(problem.user_text).toBe(reasonTexts[code].person);
  expect(answer.body).not.toContain(device.deviceId);
  expect(answer.headers['cache-control']).toBe('no-store');
}

describe('the mTLS endpoint', () => {
  it('answers a page with evidence that only this page may read', async () => {
    const answer = await ask();
    expect(evidenceIn(answer).split('.')).toHaveLength(5);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': client.origin,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
      'cache-control': 'no-store',
      connection: 'close',
    });
    expect(answer.headers).not.toHaveProperty('set-cookie');
  });

  it('is named in the answer to the request for a challenge', async () => {
    const answer = await broker.client.post(
      '/v1/challenges',
      { client_id: client.clientId, transaction: 'A'.repeat(22) },
      { Origin: client.origin },
    );
    expect(await answer.json()).toMatchObject({ mtls_url: broker.mtlsUrl });
  });

  it('lets a page of the client read why it was refused', async () => {
    const answer = await ask({ pair: undefined });
    expectRefused(answer, 403, 'mtls_certificate_missing');
    expect(answer.headers['access-control-allow-origin']).toBe(client.origin);
  });

  it.each([undefined, 'null', 'https://evil.example', 'https://SSO.example.com'])(
    'refuses the origin %j, whose page may not read it either',
    async (origin) => {
      const answer = await ask({ origin });
      expectRefused(answer, 403, 'origin_not_registered');
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
    },
  );

  it("refuses another client's page", async () => {
    const other = await broker.client.registerClient({ origin: 'https://other.example.com' });
    expectRefused(await ask({ origin: other.origin }), 403, 'origin_not_registered');
  });

  it.each(['GET', 'PUT', 'DELETE'])('takes no %s', async (method) => {
    expectRefused(await ask({ method }), 405, 'method_not_allowed');
  });

  it('answers no preflight, so that only requests without one are sent', async () => {
    const answer = await ask({
      method: 'OPTIONS',
      headers: {
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type',
      },
    });
    expectRefused(answer, 405, 'method_not_allowed');
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it.each([
    ['application/json', '{}', 'content_type_unsupported'],
    ['application/x-www-form-urlencoded', 'challenge=a.b.c', 'content_type_unsupported'],
    ['text/plain', 'a.b.c', 'json_malformed'],
    ['text/plain', '{}', 'field_invalid'],
    ['text/plain', '{"challenge":7}', 'field_invalid'],
    ['text/plain', `{"challenge":"${'a'.repeat(9_000)}.b.c"}`, 'field_invalid'],
    ['text/plain', '{"challenge":"a.b.c","challenge":"a.b.c"}', 'json_malformed'],
  ] as const)('refuses a body of %s like %s', async (contentType, body, code) => {
    expectRefused(await ask({ contentType, body }), 400, code);
  });

  it('is the only thing at its address', async () => {
    for (const [method, path] of [
      ['GET', '/healthz'],
      ['POST', '/v1/challenges'],
      ['POST', '/access/v1/evaluation'],
      ['GET', '/v1/admin/shards/0/decisions'],
      ['GET', '/'],
      ['POST', '/v1/mtls-evidence/'],
      ['POST', '//v1/mtls-evidence'],
    ] as const) {
      const authorization = { Authorization: `Bearer ${broker.server.ownerToken}` };
      expectRefused(await ask({ method, path, headers: authorization }), 404, 'not_found', path);
    }
  });
});

describe('#8 #9 a challenge', () => {
  const forged = (
    challenge: string,
    claims: object,
    header: Readonly<Record<string, unknown>> = {},
  ) => {
    const own = decodeJwt(challenge);
    return signEs256(
      { ...decodeProtectedHeader(challenge), ...header },
      { ...own, ...claims },
      readBrokerKey(broker.dataDirectory, 'challenge'),
    );
  };

  it('that has expired gets no evidence', async () => {
    const exp = Math.floor(Date.now() / 1000) - 1;
    const challenge = forged(await newChallenge(), { exp });
    expectRefused(await ask({ challenge }), 403, 'mtls_challenge_expired');
  });

  it('that this broker did not make gets none, and the answer says what is wrong', async () => {
    const genuine = await newChallenge();
    const changed = `${genuine.slice(0, -2)}${genuine.endsWith('AA') ? 'BA' : 'AA'}`;
    const cases: [string, string][] = [
      [changed, 'challenge_signature_invalid'],
      [forged(genuine, {}, { kid: 'other' }), 'challenge_key_unknown'],
      [forged(genuine, {}, { typ: 'decision+jwt' }), 'challenge_malformed'],
      [forged(genuine, { iss: 'https://other.example' }), 'challenge_wrong_audience'],
      [forged(genuine, { aud: 'org_other' }), 'challenge_wrong_audience'],
      [forged(genuine, { jti: 7 }), 'challenge_malformed'],
    ];
    for (const [challenge, reason] of cases) {
      const answer = await ask({ challenge });
      expectRefused(answer, 400, 'mtls_challenge_invalid', reason);
      expect(JSON.parse(answer.body)).toMatchObject({ field: 'challenge', detail: reason });
    }
  });

  it('of a client that is gone gets none', async () => {
    const challenge = forged(await newChallenge(), { client_id: 'nobody' });
    expectRefused(await ask({ challenge }), 403, 'client_unknown');
  });
});

describe('#20 a certificate', () => {
  const dayMs = 86_400_000;
  const pairOf = (certificate: Uint8Array, key: KeyObject): ClientKeyPair => ({
    cert: pemOf(certificate),
    key: String(key.export({ format: 'pem', type: 'pkcs8' })),
  });
  const deviceKey = () => KeyObject.from(device.privateKey);

  it('of another authority with the same names and serial number is none of ours', async () => {
    const attacker = newKeyPair();
    const stranger = impersonateIssuer(issuer.certificate);
    const original = parsed(device.certificate);
    const forgeries: [Uint8Array, KeyObject][] = [
      [signAgain(original, newKeyPair().privateKey), deviceKey()],
      [
        await issueLookAlike(original, stranger, { publicKey: attacker.publicKey }),
        attacker.privateKey,
      ],
    ];
    for (const [certificate, key] of forgeries) {
      // OpenSSL does not get as far as the signature: it has no issuer whose key fits.
      const answer = await ask({ pair: pairOf(certificate, key) });
      expectRefused(answer, 403, 'mtls_certificate_not_verified');
    }
  });

  it("of the broker's own that is no device's is none either", async () => {
    const root = readBrokerCertificate(broker.dataDirectory, 'root');
    const rootPair = { cert: root.toString(), key: '' };
    const key = readBrokerKey(broker.dataDirectory, 'root').export({
      format: 'pem',
      type: 'pkcs8',
    });
    const issuerPair = pairOf(issuer.certificate.der, issuer.privateKey);
    for (const pair of [{ ...rootPair, key: String(key) }, issuerPair]) {
      const answer = await ask({ pair });
      expect(answer.status).toBe(403);
      expect(answer.body).toMatch(/mtls_certificate_(foreign|not_verified)/);
    }
  });

  it('that has expired, or is not valid yet, gets no evidence', async () => {
    const now = Date.now();
    for (const [validity, code] of [
      [{ notBeforeMs: now - 3 * dayMs, notAfterMs: now - dayMs }, 'mtls_certificate_expired'],
      [{ notBeforeMs: now + dayMs, notAfterMs: now + 3 * dayMs }, 'mtls_certificate_not_yet_valid'],
    ] as const) {
      const certificate = await issueLookAlike(parsed(device.certificate), issuer, validity);
      const answer = await ask({ pair: pairOf(certificate, deviceKey()) });
      expectRefused(answer, 403, code);
    }
  });

  it('needs its key: without one the handshake fails', async () => {
    const pair = pairOf(device.certificate ?? new Uint8Array(), newKeyPair().privateKey);
    await expect(ask({ pair })).rejects.toThrow(/key values mismatch/);
  });
});

describe('#23 the mTLS host name', () => {
  it('must be the one that was called and the one that is asked', async () => {
    const { host, hostname } = new URL(broker.mtlsUrl);
    const plainHost = new URL(broker.url).host;
    const cases: [MtlsRequest, number, ProblemCode][] = [
      [{ called: 'broker.corp.test', host }, 403, 'mtls_certificate_missing'],
      [{ called: '', host }, 403, 'mtls_certificate_missing'],
      [{ host: plainHost }, 421, 'mtls_wrong_host'],
      [{ host: hostname }, 421, 'mtls_wrong_host'],
      [{ host: `${hostname}:443` }, 421, 'mtls_wrong_host'],
      [{ host: `${hostname}.:${broker.tlsPort}` }, 421, 'mtls_wrong_host'],
      [{ called: 'broker.corp.test', host: plainHost }, 421, 'mtls_wrong_host'],
    ];
    for (const [changes, status, code] of cases) {
      expectRefused(await ask(changes), status, code, JSON.stringify(changes));
    }
  });

  it('is no address of plain HTTP', async () => {
    const answer = await fetch(`${broker.url}/v1/mtls-evidence`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain', Origin: client.origin },
      body: JSON.stringify({ challenge: await newChallenge() }),
    });
    expect([answer.status, Object(await answer.json()).code]).toEqual([421, 'mtls_wrong_host']);
  });
});

describe('a broker without an mTLS URL', () => {
  it('gives no evidence, asks nobody for a certificate, and tells pages of no address', async () => {
    const without = await TestBroker.start();
    try {
      const other = await without.client.registerClient();
      const answer = await without.client.post(
        '/v1/challenges',
        { client_id: other.clientId, transaction: 'A'.repeat(22) },
        { Origin: other.origin },
      );
      expect(Object.keys(Object(await answer.json())).toSorted()).toEqual([
        'challenge',
        'expires_in_seconds',
      ]);
      const refused = await fetch(`${without.url}/v1/mtls-evidence`, { method: 'POST' });
      expect([refused.status, Object(await refused.json()).code]).toEqual([
        404,
        'mtls_not_enabled',
      ]);
    } finally {
      await without.stopAndRemove();
    }
  });
});
