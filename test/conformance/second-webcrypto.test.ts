// A second WebCrypto and a second X.509 library as the device: @peculiar/webcrypto makes the key and the signatures,
// @peculiar/x509 the request and the verdict on the certificate.
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { Crypto } from '@peculiar/webcrypto';
import 'reflect-metadata';
import {
  Pkcs10CertificateRequestGenerator,
  X509Certificate,
  X509ChainBuilder,
} from '@peculiar/x509';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestBroker } from '../support/test-broker.ts';

const provider = new Crypto();
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
let broker: TestBroker;

beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(() => broker.stop());

const certificateOf = (text: string) =>
  new X509Certificate(decodeBase64url(text) ?? new Uint8Array());

it('enrolls a key of another WebCrypto, which verifies the certificate up to the root', async () => {
  const keys = await provider.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create(
    { name: 'CN=whatever it asks for', keys, signingAlgorithm: algorithm },
    provider,
  );
  const hardwareId = { serial_number: 'WEBCRYPTO0001' };
  const { enrollment_token, device_id } = await broker.client.createEnrollmentToken(hardwareId);
  const response = await broker.client.post('/v1/enrollments', {
    authority: { type: 'one_time_token', token: enrollment_token },
    hardware_id: hardwareId,
    csr: encodeBase64url(new Uint8Array(request.rawData)),
  });
  expect(response.status).toBe(201);
  const answer = enrollmentAnswer.parse(await response.json());

  const leaf = certificateOf(answer.certificate);
  const issuer = certificateOf(answer.issuer_certificate);
  const root = certificateOf(answer.root_certificate);
  expect(await leaf.verify({ publicKey: issuer.publicKey }, provider)).toBe(true);
  expect(await issuer.verify({ publicKey: root.publicKey }, provider)).toBe(true);
  expect(await leaf.verify({ publicKey: root.publicKey }, provider)).toBe(false);
  const chain = await new X509ChainBuilder({ certificates: [issuer, root] }).build(leaf, provider);
  expect(chain.map((certificate) => certificate.subject)).toEqual([
    leaf.subject,
    issuer.subject,
    root.subject,
  ]);
  expect(leaf.subject).not.toContain('whatever');
  const spki = await provider.subtle.exportKey('spki', keys.publicKey);
  expect(Buffer.from(leaf.publicKey.rawData).equals(Buffer.from(spki))).toBe(true);
  expect(device_id).toBe(answer.device_id);
});
