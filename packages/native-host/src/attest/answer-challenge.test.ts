import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deviceResponseClaims } from '@countersign/protocol/device-response';
import type { KeySetClaims } from '@countersign/protocol/key-set';
import { maxDeviceResponseBytes } from '@countersign/protocol/limits';
import { compactJwe } from '@countersign/protocol/schemas';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { afterAll, describe, expect, it } from 'vitest';
import { FileKeyStore } from '../keystore/file-keystore.ts';
import { fail, succeed } from '../result.ts';
import { type AttestingDevice, answerChallenge } from './answer-challenge.ts';

const now = 1_900_000_000;
const origin = 'https://sso.example.com';
const deviceId = 'device-0000000000';
const folder = mkdtempSync(join(tmpdir(), 'countersign-answer-'));
afterAll(() => rmSync(folder, { recursive: true }));

const organization = await FakeOrganization.create();
const keyStore = new FileKeyStore(join(folder, 'state'));
const spki = await keyStore.ensureKey();
if (!spki.ok) throw new Error(spki.detail);
const leafCertificate = await organization.issueCertificate(spki.value, deviceId);

const keysNow = (): KeySetClaims['keys'] => [
  {
    ...organization.challengeKey.publicJwk,
    kid: organization.challengeKey.kid,
    alg: 'ES256',
    use: 'sig',
    purpose: 'challenge',
  },
];
const keysAtStart = keysNow();

function device(changes: Partial<AttestingDevice> = {}): AttestingDevice {
  return {
    enrollment: {
      brokerUrl: organization.brokerUrl,
      requestedUrl: organization.brokerUrl,
      organizationId: organization.organizationId,
      deviceId,
      leafCertificate,
      issuerCertificate: organization.issuer.certificate.der,
      rootCertificate: organization.root.certificate.der,
      keySetVersion: 1,
    },
    allowedOrigins: [origin],
    keyStore,
    facts: {
      hostVersion: '1.2.3',
      development: true,
      posture: { platform: 'linux', os_version: 'debian 12' },
    },
    keys: keysAtStart,
    refreshKeys: () => Promise.reject(new Error('not to be called')),
    ...changes,
  };
}

describe('the answer to a challenge', () => {
  it('is opened and verified by jose, and says what it should', async () => {
    const challenge = await organization.signChallenge(origin, now - 30);
    const { jti } = JSON.parse(Buffer.from(challenge.split('.')[1] ?? '', 'base64url').toString());
    const answer = await answerChallenge({ challenge, origin }, device(), now);
    if (!answer.ok) throw new Error(answer.detail);
    expect(compactJwe(maxDeviceResponseBytes).parse(answer.value)).toBe(answer.value);

    const opened = await organization.openResponse(answer.value);
    expect(opened.encryptionHeader).toMatchObject({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid: organization.responseKey.kid,
    });
    expect(opened.encryptionHeader).not.toHaveProperty('zip');
    expect(opened.header).toEqual({
      alg: 'ES256',
      typ: 'device-response+jwt',
      x5c: [Buffer.from(leafCertificate).toString('base64')],
    });
    expect(opened.claims).toEqual({
      aud: organization.brokerUrl,
      challenge_id: jti,
      origin,
      iat: now,
      host_version: '1.2.3',
      key_protection: 'file',
      development: true,
      posture: { platform: 'linux', os_version: 'debian 12' },
    });
    expect(deviceResponseClaims.parse(opened.claims)).toEqual(opened.claims);
  });

  it('is never the same twice', async () => {
    const challenge = await organization.signChallenge(origin, now);
    const answers = await Promise.all(
      [1, 2, 3].map(() => answerChallenge({ challenge, origin }, device(), now)),
    );
    expect(new Set(answers.map((answer) => answer.ok && answer.value)).size).toBe(3);
  });
});

describe('a challenge under a key that is not known', () => {
  it('is answered after one refresh that brings the key', async () => {
    organization.rotateChallengeKey();
    const challenge = await organization.signChallenge(origin, now);
    let refreshes = 0;
    const answer = await answerChallenge(
      { challenge, origin },
      device({
        refreshKeys: async () => {
          refreshes += 1;
          return succeed(keysNow());
        },
      }),
      now,
    );
    expect(answer.ok).toBe(true);
    expect(refreshes).toBe(1);
  });

  it('is refused after one refresh that does not', async () => {
    organization.rotateChallengeKey();
    const challenge = await organization.signChallenge(origin, now);
    let refreshes = 0;
    const answer = await answerChallenge(
      { challenge, origin },
      device({
        refreshKeys: async () => {
          refreshes += 1;
          return succeed(keysAtStart);
        },
      }),
      now,
    );
    expect(answer).toMatchObject({ ok: false, reason: 'challenge_key_unknown' });
    expect(refreshes).toBe(1);
  });

  it.each(['broker_unreachable', 'key_set_invalid'] as const)(
    'is refused with %s when that is how the refresh ended',
    async (reason) => {
      organization.rotateChallengeKey();
      const challenge = await organization.signChallenge(origin, now);
      const refreshKeys = async () => fail(reason, 'why');
      const answer = await answerChallenge({ challenge, origin }, device({ refreshKeys }), now);
      expect(answer).toEqual({ ok: false, reason, detail: 'why' });
    },
  );
});

describe('nothing is signed', () => {
  it('and nothing refreshed, for a malformed challenge', async () => {
    const answer = await answerChallenge({ challenge: 'a.b.c', origin }, device(), now);
    expect(answer).toMatchObject({ ok: false, reason: 'challenge_malformed' });
  });

  it('when the challenge does not open, even with the key at hand', async () => {
    let signatures = 0;
    const counting = {
      protection: 'file',
      ensureKey: () => keyStore.ensureKey(),
      publicKeySpki: () => keyStore.publicKeySpki(),
      keepCertificate: () => keyStore.keepCertificate(),
      findCertificate: () => keyStore.findCertificate(),
      delete: () => keyStore.delete(),
      sign: (data: Uint8Array) => {
        signatures += 1;
        return keyStore.sign(data);
      },
    } as const;
    const keys = keysNow();
    const challenge = await organization.signChallenge(origin, now);
    for (const [request, at] of [
      [{ challenge, origin: 'https://evil.example.com' }, now],
      [{ challenge, origin }, now + 601],
      [{ challenge: challenge.replace(/\.[^.]*$/, `.${'A'.repeat(86)}`), origin }, now],
    ] as const) {
      const answer = await answerChallenge(request, device({ keys, keyStore: counting }), at);
      expect(answer.ok).toBe(false);
    }
    expect(signatures).toBe(0);
  });

  it('without the key', async () => {
    const challenge = await organization.signChallenge(origin, now);
    const without = new FileKeyStore(join(folder, 'none'));
    const answer = await answerChallenge(
      { challenge, origin },
      device({ keys: keysNow(), keyStore: without }),
      now,
    );
    expect(answer).toMatchObject({ ok: false, reason: 'key_unavailable' });
  });

  it('to a key that is no point of its curve', async () => {
    const { x, ...rest } = organization.responseKey.publicJwk;
    const challenge = await organization.signChallenge(origin, now, {
      claims: { response_encryption: { kid: 'k', jwk: { ...rest, x, y: x } } },
    });
    const answer = await answerChallenge({ challenge, origin }, device({ keys: keysNow() }), now);
    expect(answer).toMatchObject({ ok: false, reason: 'challenge_malformed' });
  });
});
