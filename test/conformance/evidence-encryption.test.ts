// The JWE around a device's answer: one algorithm, one key, nothing optional.
import type { DecisionReason } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { keyOf, partsOf, recipientOf } from '../support/forge-response.ts';
import {
  encryptJwe,
  type JweChanges,
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

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
});
afterAll(() => broker?.stopAndRemove());

it('accepts an answer that is changed in nothing: the tables below fail for what they change', async () => {
  const honest = await enrollDevice(broker);
  const answer = await evaluateWith(broker, client, (challenge) => {
    const { header, claims } = partsOf(challenge, honest, client.origin);
    const jws = signEs256(header, claims, keyOf(honest));
    return evidenceOf(challenge, encryptJwe(jws, recipientOf(challenge)));
  });
  expectTrusted(answer);
});

describe('#10 the encryption of the response', () => {
  const offCurve = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
  const cases: Record<string, JweChanges> = {
    'with compression': { header: { zip: 'DEF' } },
    'with alg dir': { header: { alg: 'dir' } },
    'with a wrapped key': { header: { alg: 'ECDH-ES+A256KW' }, encryptedKey: 'AAAA' },
    'with an encrypted key that nobody asked for': { encryptedKey: 'AAAA' },
    'with another cipher': { header: { enc: 'A128GCM' } },
    'with party infos': { header: { apu: 'AAAA', apv: 'AAAA' } },
    'with crit': { header: { crit: ['exp'] } },
    'without kid': { header: { kid: undefined } },
    'with an unknown kid': { header: { kid: 'A'.repeat(43) } },
    'with a kid that is a path': { header: { kid: '../response' } },
    'with a point off the curve': { header: { epk: offCurve } },
    'with the point at infinity': { header: { epk: { ...offCurve, x: '', y: '' } } },
    'with a point of another curve': { header: { epk: { ...offCurve, crv: 'P-384' } } },
    'with a private ephemeral key': { header: { epk: { ...offCurve, d: 'A'.repeat(43) } } },
    'without an ephemeral key': { header: { epk: undefined } },
    'with another content key': { contentKey: new Uint8Array(32) },
    'with a longer nonce': { ivBytes: 16 },
  };
  it.each(Object.entries(cases))('%s is refused', async (_, changes) => {
    const answer = await evaluateWith(broker, client, (challenge) => {
      const { header, claims } = partsOf(challenge, device, client.origin);
      const jwe = encryptJwe(
        signEs256(header, claims, keyOf(device)),
        recipientOf(challenge),
        changes,
      );
      return evidenceOf(challenge, jwe);
    });
    expectDenied(answer, 'response_undecryptable');
  });

  it.each<[string, DecisionReason, (jws: string, jwe: string) => string]>([
    ['left out', 'response_undecryptable', (jws) => jws],
    ['of four parts', 'response_undecryptable', (_, jwe) => jwe.slice(0, jwe.lastIndexOf('.'))],
    ['of six parts', 'response_undecryptable', (_, jwe) => `${jwe}.AAAA`],
    ['with one byte changed', 'response_undecryptable', (_, jwe) => flipByte(jwe, 3)],
    ['with another tag', 'response_undecryptable', (_, jwe) => flipByte(jwe, 4)],
    ['with a short tag', 'response_undecryptable', (_, jwe) => jwe.slice(0, -4)],
    ['with padding', 'evidence_malformed', (_, jwe) => `${jwe}=`],
    ['of more than 16 KiB', 'response_malformed', (_, jwe) => `${jwe}${'A'.repeat(16_384)}`],
  ])('%s is refused', async (_, reason, spell) => {
    const answer = await evaluateWith(broker, client, (challenge) => {
      const { header, claims } = partsOf(challenge, device, client.origin);
      const jws = signEs256(header, claims, keyOf(device));
      return evidenceOf(challenge, spell(jws, encryptJwe(jws, recipientOf(challenge))));
    });
    expectDenied(answer, reason);
  });

  it.each(['', 'text', 'a.b', 'a.b.c.d', '{}', '..', '\u0000'])(
    'around %j is refused',
    async (text) => {
      const answer = await evaluateWith(broker, client, (challenge) =>
        evidenceOf(challenge, encryptJwe(text, recipientOf(challenge))),
      );
      expectDenied(answer, 'response_malformed');
    },
  );

  it('to a foreign key is refused', async () => {
    const answer = await evaluateWith(broker, client, (challenge) => {
      const { header, claims } = partsOf(challenge, device, client.origin);
      const jwk = newKeyPair().publicKey.export({ format: 'jwk' });
      const jwe = encryptJwe(signEs256(header, claims, keyOf(device)), {
        ...recipientOf(challenge),
        jwk,
      });
      return evidenceOf(challenge, jwe);
    });
    expectDenied(answer, 'response_undecryptable');
  });
});

describe('#11 another spelling of a response that was used', () => {
  it.each<[string, (jws: string) => string]>([
    ['encrypted anew', (jws) => jws],
    ['with the mirrored signature', (jws) => withSignature(jws, mirrorSignature(signatureOf(jws)))],
  ])('%s does not decide again, nor for another user', async (_, spell) => {
    const other = await enrollDevice(broker);
    const { transaction, challenge } = await openTransaction(broker, client);
    const { header, claims } = partsOf(challenge, other, client.origin);
    const jws = signEs256(header, claims, keyOf(other));
    const evaluate = (response: string, subject: string) => {
      const evidence = evidenceOf(challenge, encryptJwe(response, recipientOf(challenge)));
      return broker.client.evaluate(client, { transaction, evidence, subject });
    };
    expectTrusted(await evaluate(jws, 'ada'));
    for (const subject of ['ada', 'eve']) {
      expectDenied(await evaluate(spell(jws), subject), 'challenge_already_used');
    }
  });
});

it('has bound the device to nobody through all of this', async () => {
  expect((await certificateOf(broker, device)).status).toBe('issued');
});

function flipByte(jwe: string, part: number): string {
  const parts = jwe.split('.');
  const bytes = Buffer.from(parts[part] ?? '', 'base64url');
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return parts.with(part, bytes.toString('base64url')).join('.');
}
