import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import {
  type ApplicationRequest,
  type ClientInput,
  changeAnswer,
  decisionPage,
  deviceAnswer,
  enrollmentTokenAnswer,
} from '@countersign/protocol/admin';
import { jobAnswer, userAnswer, userChangeAnswer } from '@countersign/protocol/admin-users';
import { challengeAnswer } from '@countersign/protocol/challenge';
import { enrollmentAnswer, type HardwareId, renewalAnswer } from '@countersign/protocol/enrollment';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import type * as z from 'zod/mini';
import type { FakeDevice, RenewalChanges } from './fake-device.ts';

export type FetchLike = (url: string, init?: RequestInit) => Promise<Response>;

/** A sign-in server and its page, as far as the broker sees them. */
export type TestClient = {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly application: string;
  readonly origin: string;
};

const utf8 = new TextEncoder();

export async function sha256Base64url(text: string): Promise<string> {
  return encodeBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', utf8.encode(text))));
}

export const randomText = (bytes = 32) =>
  encodeBase64url(crypto.getRandomValues(new Uint8Array(bytes)));

const userPath = (userId: string) => `/v1/admin/users/${encodeURIComponent(userId)}`;

/** Calls the broker as each of its users does. Throws on an unexpected status, with the body in the message. */
export class BrokerClient {
  readonly #fetch: FetchLike;
  readonly brokerUrl: string;
  readonly #ownerToken: string;

  constructor(options: { fetch: FetchLike; brokerUrl: string; ownerToken: string }) {
    this.#fetch = options.fetch;
    this.brokerUrl = options.brokerUrl;
    this.#ownerToken = options.ownerToken;
  }

  /** Any request, for tests that look at the answer themselves. */
  request(path: string, init?: RequestInit): Promise<Response> {
    return this.#fetch(`${this.brokerUrl}${path}`, init);
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
    return this.request(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  admin(method: string, path: string, body?: unknown): Promise<Response> {
    return this.request(path, {
      method,
      headers: {
        Authorization: `Bearer ${this.#ownerToken}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Puts a CSV file, as an administrator. */
  sendCsv(path: string, text: string): Promise<Response> {
    return this.request(path, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${this.#ownerToken}`, 'Content-Type': 'text/csv' },
      body: text,
    });
  }

  async putApplication(id: string, input: ApplicationRequest) {
    return await read(await this.admin('PUT', `/v1/admin/applications/${id}`, input), changeAnswer);
  }

  async putClient(id: string, input: ClientInput) {
    return await read(await this.admin('PUT', `/v1/admin/clients/${id}`, input), changeAnswer);
  }

  /** Registers an application and a client of it, with fresh names. */
  async registerClient(
    options: Partial<ApplicationRequest> & { origin?: string } = {},
  ): Promise<TestClient> {
    const name = options.name ?? `t${randomText(8).toLowerCase().replaceAll('_', '-')}`;
    const origin = options.origin ?? 'https://sso.example.com';
    const clientSecret = randomText();
    const { origin: _, ...choices } = options;
    await this.putApplication(name, { enforcement: 'enforce', ...choices, name });
    await this.putClient(name, {
      name,
      origins: [origin],
      applications: [name],
      authentication: {
        method: 'client_secret',
        secret_sha256: await sha256Base64url(clientSecret),
      },
    });
    return { clientId: name, clientSecret, application: name, origin };
  }

  /** @param user for whom the certificate will be */
  async createEnrollmentToken(hardwareId: HardwareId, ttlSeconds = 600, user?: string) {
    const response = await this.admin('POST', '/v1/admin/enrollment-tokens', {
      hardware_id: hardwareId,
      ttl_seconds: ttlSeconds,
      ...(user === undefined ? {} : { user }),
    });
    return await read(response, enrollmentTokenAnswer);
  }

  /** Enrols the device with a fresh token, or the one given. */
  async enroll(device: FakeDevice, enrollmentToken?: string) {
    const token =
      enrollmentToken ?? (await this.createEnrollmentToken(device.hardwareId)).enrollment_token;
    const response = await this.post('/v1/enrollments', device.enrollmentRequest(token));
    const answer = await read(response, enrollmentAnswer);
    device.certificate = decodeBase64url(answer.certificate);
    device.deviceId = answer.device_id;
    return answer;
  }

  sendRenewal(device: FakeDevice, changes?: RenewalChanges): Promise<Response> {
    const asked = device.renewalRequest(this.brokerUrl, changes);
    return asked.then((renewal_request) => this.post('/v1/renewals', { renewal_request }));
  }

  /** Renews the device's certificate, which it has from then on. */
  async renew(device: FakeDevice, changes?: RenewalChanges) {
    const answer = await read(await this.sendRenewal(device, changes), renewalAnswer);
    device.certificate = decodeBase64url(answer.certificate);
    return answer;
  }

  async challenge(client: TestClient, transaction: string): Promise<string> {
    const response = await this.post(
      '/v1/challenges',
      { client_id: client.clientId, transaction },
      { Origin: client.origin },
    );
    return (await read(response, challengeAnswer)).challenge;
  }

  /** Body of an evaluation as the sign-in server would send it. */
  evaluationBody(
    client: TestClient,
    input: {
      subject?: string;
      transaction: string;
      evidence?: string;
      subjectAuthenticated?: boolean;
    },
  ) {
    return {
      subject: { type: 'user', id: input.subject ?? 'ada' },
      action: { name: 'sign_in' },
      resource: { type: 'application', id: client.application },
      context: {
        ...(input.evidence === undefined ? {} : { evidence: input.evidence }),
        transaction: input.transaction,
        subject_authenticated: input.subjectAuthenticated ?? true,
      },
    };
  }

  sendEvaluation(client: TestClient, body: unknown): Promise<Response> {
    return this.post('/access/v1/evaluation', body, {
      Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
    });
  }

  async evaluate(
    client: TestClient,
    input: Parameters<BrokerClient['evaluationBody']>[1],
  ): Promise<EvaluationAnswer> {
    return await read(
      await this.sendEvaluation(client, this.evaluationBody(client, input)),
      evaluationAnswer,
    );
  }

  /** Finishes a pending decision with the body that it was asked with, and what the sign-in server asserts. */
  async complete(
    client: TestClient,
    body: ReturnType<BrokerClient['evaluationBody']>,
    asserted: { acr?: string; amr?: string[] },
  ): Promise<EvaluationAnswer> {
    const response = await this.post(
      '/v1/completions',
      { ...body, ...asserted },
      { Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}` },
    );
    return await read(response, evaluationAnswer);
  }

  /** One whole sign-in by the device. */
  async signIn(client: TestClient, device: FakeDevice, subject = 'ada'): Promise<EvaluationAnswer> {
    const transaction = randomText();
    const challenge = await this.challenge(client, transaction);
    const evidence = await device.evidence(challenge, client.origin);
    return await this.evaluate(client, { subject, transaction, evidence });
  }

  async device(deviceId: string) {
    return await read(await this.admin('GET', `/v1/admin/devices/${deviceId}`), deviceAnswer);
  }

  async revoke(deviceId: string, fingerprintSha256: string): Promise<void> {
    const path = `/v1/admin/devices/${deviceId}/certificates/${fingerprintSha256}/revoke`;
    const response = await this.admin('POST', path, { reason: 'keyCompromise' });
    if (!response.ok) throw new Error(`revoke: ${response.status} ${await response.text()}`);
  }

  /** Deactivates or reactivates a user, or says that they are as active as that already. */
  async putUser(userId: string, active: boolean) {
    return await read(await this.admin('PUT', userPath(userId), { active }), userChangeAnswer);
  }

  /** Ends every binding of the user. */
  async revokeUser(userId: string) {
    const body = { reason: 'unspecified' };
    return await read(
      await this.admin('POST', `${userPath(userId)}/revoke`, body),
      userChangeAnswer,
    );
  }

  async user(userId: string) {
    return await read(await this.admin('GET', userPath(userId)), userAnswer);
  }

  async job(jobId: string) {
    return await read(await this.admin('GET', `/v1/admin/jobs/${jobId}`), jobAnswer);
  }

  /** All decision rows of a shard, oldest first, with the head that was there at the end. */
  async decisions(shard: number) {
    const rows: z.infer<typeof decisionPage>['decisions'][number][] = [];
    for (;;) {
      const after = rows.at(-1)?.sequence ?? 0;
      const path = `/v1/admin/shards/${shard}/decisions?after=${after}&limit=1000`;
      const page = await read(await this.admin('GET', path), decisionPage);
      rows.push(...page.decisions);
      if (page.decisions.length < 1000) return { rows, head: page.head, start: page.start };
    }
  }
}

async function read<Schema extends z.ZodMiniType>(
  response: Response,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${text}`);
  return schema.parse(JSON.parse(text));
}
