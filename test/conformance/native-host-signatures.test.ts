// #7: the device's key signs answers to challenges, which the host builds itself, and nothing else, whatever comes in.
import { createHash, type KeyObject, randomBytes, verify, X509Certificate } from 'node:crypto';
import type { TestClient } from '@countersign/testkit/broker-client';
import {
  buildCertificationRequestInfo,
  parseSubjectPublicKeyInfo,
  type X509Result,
} from '@countersign/x509';
import { compactDecrypt, decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { keyIdOf, readBrokerKey } from '../support/broker-keys.ts';
import { encodePart, signatureOf, signEs256 } from '../support/forge-token.ts';
import { frame, NativeHost } from '../support/native-host.ts';
import { openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';

let broker: TestBroker;
let client: TestClient;
let host: NativeHost;
let deviceKey: KeyObject;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
  host = await NativeHost.install();
  await host.enroll(broker);
  const { challenge } = await openTransaction(broker, client);
  const answer = await host.attest(challenge, origin);
  if (answer.type !== 'attest') throw new Error(`the host answered ${answer.type}`);
  const { x5c } = responseHeader.parse(decodeProtectedHeader(await decrypt(answer.response)));
  deviceKey = new X509Certificate(Buffer.from(x5c[0], 'base64')).publicKey;
});
afterAll(async () => {
  host?.remove();
  await broker?.stopAndRemove();
});

const responseHeader = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('device-response+jwt'),
  x5c: z.tuple([z.string()]),
});

async function decrypt(response: string): Promise<string> {
  const { plaintext } = await compactDecrypt(
    response,
    readBrokerKey(broker.dataDirectory, 'response'),
  );
  return Buffer.from(plaintext).toString();
}

const isSigned = (signature: Uint8Array, bytes: Uint8Array): boolean =>
  verify('sha256', bytes, { key: deviceKey, dsaEncoding: 'ieee-p1363' }, signature);

/** What a thief would like to have the device's signature on. */
const wanted: Record<string, () => Buffer> = {
  'a signing request for a further certificate': () => {
    const spki = new Uint8Array(deviceKey.export({ format: 'der', type: 'spki' }));
    return Buffer.from(
      must(buildCertificationRequestInfo(must(parseSubjectPublicKeyInfo(spki)), 'device')),
    );
  },
  // RFC 8446 section 4.4.3.
  'a TLS 1.3 handshake as this client': () =>
    Buffer.concat([
      Buffer.alloc(64, 0x20),
      Buffer.from('TLS 1.3, client CertificateVerify\0'),
      randomBytes(32),
    ]),
  'a decision token': () =>
    Buffer.from(
      `${encodePart({ alg: 'ES256', typ: 'decision+jwt' })}.${encodePart({ decision: true })}`,
    ),
  'a security event': () =>
    Buffer.from(`${encodePart({ alg: 'ES256', typ: 'secevent+jwt' })}.${encodePart({ jti: 'a' })}`),
  'an answer to a challenge that it never saw': () =>
    Buffer.from(
      `${encodePart({ alg: 'ES256', typ: 'device-response+jwt' })}.${encodePart({ challenge_id: 'a' })}`,
    ),
};

/** The ways in which bytes are written into a text. */
function spellingsOf(bytes: Buffer): readonly string[] {
  const digest = createHash('sha256').update(bytes).digest();
  return [
    bytes.toString('latin1'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    `${bytes.toString('base64url')}.AAAA`,
    digest.toString('base64url'),
    digest.subarray(0, 16).toString('base64url'),
    bytes.toString('latin1').slice(0, 64),
  ];
}

describe('#7 what a thief wants signed', () => {
  it.each(Object.entries(wanted))('%s is signed by no way into the host', async (_, make) => {
    const bytes = make();
    const { challenge } = await openTransaction(broker, client);
    const claims = decodeJwt(challenge);
    const key = readBrokerKey(broker.dataDirectory, 'challenge');
    const header = { alg: 'ES256', typ: 'challenge+jwt', kid: await keyIdOf(key) };
    const encryption = z.looseObject({}).parse(claims.response_encryption);
    const honest = { version: 1, id: '1', type: 'attest', challenge, origin };
    const messages = spellingsOf(bytes).flatMap((text) => [
      // From the extension, or any program in its place.
      { ...honest, id: text },
      { ...honest, origin: text },
      { ...honest, challenge: text },
      { ...honest, type: text },
      { ...honest, data: text },
      { version: 1, id: '1', type: 'sign', data: text },
      // From whoever has the broker's key: the claims of a challenge that opens.
      ...Object.keys(claims).map((name) => ({
        ...honest,
        challenge: signEs256(header, { ...claims, [name]: text }, key),
      })),
      {
        ...honest,
        challenge: signEs256(
          header,
          { ...claims, response_encryption: { ...encryption, kid: text } },
          key,
        ),
      },
    ]);
    const { answers, exitCode, errors } = await host.converse(Buffer.concat(messages.map(frame)));
    expect(exitCode, errors).toBe(0);
    expect(answers).toHaveLength(messages.length);
    const responses = answers.flatMap((answer) =>
      answer.type === 'attest' ? [answer.response] : [],
    );
    // Some fields are free: what they hold is answered, as an answer to a challenge.
    expect(responses.length).toBeGreaterThan(3);
    expect(responses.length).toBeLessThan(messages.length / 2);
    for (const response of responses) {
      const jws = await decrypt(response);
      // What is signed begins with this header: never as a signing request (DER) or a handshake (spaces) does.
      responseHeader.parse(decodeProtectedHeader(jws));
      const signature = signatureOf(jws);
      expect(isSigned(signature, Buffer.from(jws.slice(0, jws.lastIndexOf('.'))))).toBe(true);
      const texts = spellingsOf(bytes).map((text) => Buffer.from(text, 'latin1'));
      for (const text of [bytes, ...texts]) expect(isSigned(signature, text)).toBe(false);
    }
  });
});

function must<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.value;
}
