import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { parseCertificate, parseCertificationRequest } from '@countersign/x509';
import { expectOk } from './fake-authorities.ts';
import { FakeOrganization } from './fake-organization.ts';
import { listenOnFreePort } from './listen-on-free-port.ts';

export type ReceivedCall = { readonly path: string; readonly body: string };

/** Answers one call in place of the broker; may hold it, cut it or answer nonsense. */
export type CallHandler = (response: ServerResponse, call: ReceivedCall) => Promise<void> | void;

export type FakeEnrollmentBroker = {
  readonly url: string;
  readonly organization: FakeOrganization;
  /** Everything that arrived, oldest first. */
  readonly calls: readonly ReceivedCall[];
  /** Has the next call handled by `handler` instead; several queue up. */
  interruptNext(handler: CallHandler): void;
  stop(): Promise<void>;
};

/**
 * The part of a broker that devices call: it enrolls every key it is sent, one certificate for one key, whatever the
 * token, and serves its key set. For tests of what a device does with answers, refusals and silence.
 */
export async function startFakeEnrollmentBroker(
  deviceId = 'fake-device-0000',
  nowMs = Date.now(),
): Promise<FakeEnrollmentBroker> {
  const calls: ReceivedCall[] = [];
  const interruptions: CallHandler[] = [];
  const certificates = new Map<string, string>();
  let organization: FakeOrganization | undefined;

  const answer: CallHandler = async (response, { path, body }) => {
    if (organization === undefined) throw new Error('not started');
    if (path === '/v1/key-set') {
      return sendJson(response, 200, { key_set: await organization.signKeySet() });
    }
    if (path === '/v1/renewals') {
      const { spki, renewed } = readRenewal(JSON.parse(body).renewal_request);
      return sendJson(response, 200, {
        ...(await organization.enrollmentAnswer(spki, deviceId)),
        renewed,
      });
    }
    const csr = Buffer.from(String(JSON.parse(body).csr), 'base64url');
    const { spki } = expectOk(parseCertificationRequest(csr)).subjectPublicKey;
    const made = await organization.enrollmentAnswer(spki, deviceId);
    const name = Buffer.from(spki).toString('base64url');
    const certificate = certificates.get(name) ?? made.certificate;
    certificates.set(name, certificate);
    return sendJson(response, 200, { ...made, certificate });
  };

  const server = createServer(async (request, response) => {
    const call = { path: request.url ?? '', body: await readBody(request) };
    calls.push(call);
    await (interruptions.shift() ?? answer)(response, call);
  });
  const url = `http://127.0.0.1:${await listenOnFreePort(server)}`;
  organization = await FakeOrganization.create(url, nowMs);
  return {
    url,
    organization,
    calls,
    interruptNext: (handler) => {
      interruptions.push(handler);
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The key that a renewal is for. Signature and certificate are whatever they are. */
function readRenewal(unverifiedRequest: unknown) {
  const [header = '', payload = ''] = String(unverifiedRequest).split('.');
  const part = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString());
  const { rekey_csr } = part(payload);
  const leaf = expectOk(parseCertificate(Buffer.from(part(header).x5c[0], 'base64')));
  const { spki } =
    rekey_csr === undefined
      ? leaf.subjectPublicKey
      : expectOk(parseCertificationRequest(Buffer.from(rekey_csr, 'base64url'))).subjectPublicKey;
  return { spki, renewed: true };
}

/** Answers with a JSON body. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  contentType = status < 400 ? 'application/json' : 'application/problem+json',
): void {
  response.writeHead(status, { 'Content-Type': contentType });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
