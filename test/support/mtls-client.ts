import { KeyObject, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, type AgentOptions, request } from 'node:https';
import { packEvidence } from '@countersign/protocol';
import { mtlsEvidenceAnswer } from '@countersign/protocol/mtls-evidence';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { encodePem } from '@countersign/x509';
import type { TestBroker } from './test-broker.ts';

/** PEM, as TLS clients take them. */
export type ClientKeyPair = { readonly key: string; readonly cert: string };

export const pemOf = (certificate: Uint8Array) => encodePem('CERTIFICATE', certificate);

/** What a browser would present for the device. `certificate` by default is the device's own. */
export function keyPairOf(device: FakeDevice, certificate = device.certificate): ClientKeyPair {
  const key = KeyObject.from(device.privateKey).export({ format: 'pem', type: 'pkcs8' });
  return { key: String(key), cert: pemOf(certificate ?? new Uint8Array()) };
}

/** RFC 9440. */
export const clientCertOf = ({ cert }: ClientKeyPair) =>
  `:${new X509Certificate(cert).raw.toString('base64')}:`;

export type MtlsAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

export type MtlsRequest = {
  readonly pair?: ClientKeyPair | undefined;
  readonly challenge?: string;
  readonly origin?: string | undefined;
  readonly method?: string;
  readonly path?: string;
  readonly contentType?: string;
  readonly body?: string;
  /** Server name of the TLS handshake. */
  readonly called?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the name leads to. */
  readonly port?: number;
  readonly agent?: Agent;
};

/** A TLS client that takes any server certificate: who the server is, is not what is tested. */
export const tlsAgent = (options: AgentOptions = {}) =>
  new Agent({ rejectUnauthorized: false, ...options });

/** One request to the mTLS address, by default as a page sends it. */
export async function askMtls(broker: TestBroker, asked: MtlsRequest): Promise<MtlsAnswer> {
  const { hostname, host: ownHost } = new URL(broker.mtlsUrl);
  const { called = hostname, host = ownHost, pair, port = broker.tlsPort } = asked;
  const agent = asked.agent ?? tlsAgent({ ...pair, servername: called });
  const sent = request({
    host: '127.0.0.1',
    port,
    agent,
    servername: called,
    method: asked.method ?? 'POST',
    path: asked.path ?? '/v1/mtls-evidence',
    timeout: 10_000,
    headers: {
      Host: host,
      'Content-Type': asked.contentType ?? 'text/plain',
      ...(asked.origin === undefined ? {} : { Origin: asked.origin }),
      ...asked.headers,
    },
  });
  sent.on('timeout', () => sent.destroy(new Error('no answer')));
  const takesBody = ['POST', 'PUT'].includes(asked.method ?? 'POST');
  sent.end(takesBody ? (asked.body ?? JSON.stringify({ challenge: asked.challenge })) : undefined);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const body = (await answer.setEncoding('utf8').toArray()).join('');
  if (asked.agent === undefined) agent.destroy();
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

/** The evidence in an answer that gives some. */
export function evidenceIn(answer: MtlsAnswer): string {
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`);
  return mtlsEvidenceAnswer.parse(JSON.parse(answer.body)).evidence;
}

/** What the mTLS endpoint answers to a page of the client's, in the browser of this device. */
export async function mtlsEvidence(
  broker: TestBroker,
  client: TestClient,
  device: FakeDevice,
  challenge: string,
): Promise<string> {
  const answer = await askMtls(broker, {
    pair: keyPairOf(device),
    challenge,
    origin: client.origin,
  });
  return evidenceIn(answer);
}

/** Evidence of mTLS alone, as `attest()` packs it. */
export const onlyMtls = (unverifiedChallenge: string, unverifiedMtlsEvidence: string) =>
  packEvidence({
    unverifiedChallenge,
    unverifiedMtlsEvidence,
    reportedUnavailable: 'extension_not_installed',
  });

/** Evidence of both kinds. */
export const bothKinds = (
  unverifiedChallenge: string,
  unverifiedResponse: string,
  unverifiedMtlsEvidence: string,
) => packEvidence({ unverifiedChallenge, unverifiedResponse, unverifiedMtlsEvidence });
