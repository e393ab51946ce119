import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBase64url } from '@countersign/protocol';
import { deviceAnswer } from '@countersign/protocol/admin';
import { enrollmentAnswer, type HardwareId } from '@countersign/protocol/enrollment';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import { problemDocument } from '@countersign/protocol/problem';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { evidenceWithoutResponse, FakeDevice } from '@countersign/testkit/fake-device';
import { type FaultBroker, killWorkerd } from '../faults/fault-broker.ts';
import {
  type Asked,
  applications,
  globalPolicyOfBeginning,
  type ModelApplication,
  type ModelGlobalPolicy,
} from './device-model.ts';

/** What happens while a request is on its way. The sender then asks until somebody answers. */
export type Interruption = 'none' | 'eviction' | 'kill';

export type ModelClient = {
  readonly client: TestClient;
  /** Number of its application. */
  readonly number: number;
  /** Whether the application's policy is another than that of the beginning. */
  isChanged: boolean;
};

/** In which of its forms an administrator writes a policy. */
export type PolicyForm = 'choices' | 'rules';

const wantedAcr = 'phr';

/** One client for each of the applications. */
export async function registerModelClients({ broker }: FaultBroker): Promise<ModelClient[]> {
  const clients: ModelClient[] = [];
  for (const [number, application] of applications.entries()) {
    const client = await broker.client.registerClient(choicesOf(application));
    clients.push({ client, number, isChanged: false });
  }
  return clients;
}

const choicesOf = ({ enforcement, trustedDevices, otherDevices }: ModelApplication) => ({
  enforcement,
  trusted_devices: trustedDevices,
  other_devices: otherDevices,
});

const factor = { acr_values: [wantedAcr, 'phrh'], amr_values: [] };

const ruleFor = (id: string, device_trust: string, effect: string) => ({
  id,
  when: { device_trust },
  effect,
  ...(effect === 'step_up' ? { factor } : {}),
});

/** The same as rules. What is left to the global policy comes after those for other devices. */
function rulesOf({ enforcement, trustedDevices, otherDevices, leaves }: ModelApplication) {
  const others = ruleFor('others', 'not_trusted', otherDevices);
  if (leaves === 'everything') return { enforcement: 'global', rules: [], otherwise: 'global' };
  return leaves === undefined
    ? {
        enforcement,
        rules: [ruleFor('trusted', 'trusted', trustedDevices), others],
        otherwise: 'deny',
      }
    : { enforcement, rules: [others], otherwise: 'global' };
}

/** A sign-in that was sent, with all that it takes to send it again or to send something like it. */
export type Attempt = {
  readonly client: ModelClient;
  readonly challengeText: string;
  readonly transaction: string;
  readonly asked: Asked;
};

/** What of an attempt a later one may do differently. */
export type AttemptChange = Partial<
  Pick<
    Asked,
    'user' | 'authenticated' | 'rightOrigin' | 'rightTransaction' | 'certificate' | 'completion'
  >
>;

/** A broken connection is no answer, like one that says that nobody is there. */
async function read(send: () => Promise<Response>) {
  try {
    const response = await send();
    return { status: response.status, text: await response.text() };
  } catch (error) {
    return { status: 503, text: String(error) };
  }
}

/** One device of the real broker, with all of its keys, for one sequence of commands. */
export class DeviceSystem {
  readonly #faults: FaultBroker;
  readonly #hardwareId: HardwareId = { serial_number: `MODEL${crypto.randomUUID()}` };
  readonly #run = randomText(9);
  readonly keys: FakeDevice[] = [];
  readonly tokens: string[] = [];
  /** By number of the certificate: its fingerprint. */
  readonly fingerprints: string[] = [];
  readonly attempts: Attempt[] = [];
  deviceId: string | undefined;

  constructor(faults: FaultBroker) {
    this.#faults = faults;
  }

  /** User ids that no other sequence uses. */
  userId(index: number): string {
    return `${this.#run}-${index}`;
  }

  isOwnUser(id: string): boolean {
    return id.startsWith(`${this.#run}-`);
  }

  get #broker() {
    return this.#faults.broker.client;
  }

  /** Asks until there is an answer that a client would take for one. */
  async #ask(send: () => Promise<Response>, interruption: Interruption): Promise<string> {
    const first = read(send);
    if (interruption === 'eviction') await this.#faults.evict();
    if (interruption === 'kill') await killWorkerd(this.#faults.broker);
    let answer = await first;
    for (let attempt = 0; attempt < 20 && answer.status === 503; attempt++) {
      if (interruption === 'none') throw new Error(`refused for no reason: ${answer.text}`);
      await sleep(5);
      answer = await read(send);
    }
    return answer.text;
  }

  async newKey(): Promise<number> {
    return this.keys.push(await FakeDevice.create(this.#hardwareId)) - 1;
  }

  async newToken(): Promise<number> {
    const token = await this.#broker.createEnrollmentToken(this.#hardwareId);
    this.deviceId = token.device_id;
    return this.tokens.push(token.enrollment_token) - 1;
  }

  /** @returns the fingerprint of the certificate, or the code of the refusal */
  async enroll(
    token: number,
    key: number,
    interruption: Interruption,
  ): Promise<{ readonly fingerprint: string } | { readonly code: string }> {
    const device = this.keys[key];
    if (device === undefined) throw new RangeError(`there is no key ${key}`);
    const body = device.enrollmentRequest(this.tokens[token] ?? '');
    const text = await this.#ask(() => this.#broker.post('/v1/enrollments', body), interruption);
    return await this.#keep(text, device);
  }

  /** Asks by a certificate's key for the one that follows, for the same key or another. */
  async renew(
    keyOfCertificate: number,
    newKey: number | undefined,
    interruption: Interruption,
  ): Promise<{ readonly fingerprint: string } | { readonly code: string }> {
    const device = this.keys[keyOfCertificate];
    if (device === undefined) throw new RangeError(`there is no key ${keyOfCertificate}`);
    const next = newKey === undefined ? undefined : this.keys[newKey];
    const claims = next === undefined ? {} : { rekey_csr: encodeBase64url(next.csr) };
    const body = {
      renewal_request: await device.renewalRequest(this.#broker.brokerUrl, { claims }),
    };
    const text = await this.#ask(() => this.#broker.post('/v1/renewals', body), interruption);
    return await this.#keep(text, next ?? device);
  }

  /** What the broker answered, and the device with the certificate that it was given. */
  async #keep(text: string, device: FakeDevice) {
    const answer: unknown = JSON.parse(text);
    const problem = problemDocument.safeParse(answer);
    if (problem.success) return { code: problem.data.code };
    const certificate = Buffer.from(enrollmentAnswer.parse(answer).certificate, 'base64url');
    device.certificate = new Uint8Array(certificate);
    device.deviceId = this.deviceId;
    const digest = await crypto.subtle.digest('SHA-256', certificate);
    return { fingerprint: encodeBase64url(new Uint8Array(digest)) };
  }

  /** A sign-in with a fresh challenge; `certificates` says which key has which certificate. */
  async begin(
    client: ModelClient,
    wanted: Pick<Asked, 'certificate' | 'user' | 'authenticated' | 'rightOrigin'>,
    keyOfCertificate: (certificate: number) => number | undefined,
  ): Promise<Attempt> {
    const transaction = randomText();
    const challengeText = await this.#broker.challenge(client.client, transaction);
    return await this.vary(
      {
        client,
        challengeText,
        transaction,
        asked: {
          challenge: challengeText,
          application: client.number,
          rightTransaction: true,
          evidence: '',
          request: '',
          completion: undefined,
          ...wanted,
        },
      },
      { certificate: wanted.certificate },
      keyOfCertificate,
    );
  }

  /** The same challenge again, with something changed. A change of certificate or origin makes other evidence. */
  async vary(
    attempt: Attempt,
    change: AttemptChange,
    keyOfCertificate: (certificate: number) => number | undefined,
  ): Promise<Attempt> {
    const asked = { ...attempt.asked, ...change };
    const makesEvidence = 'certificate' in change || 'rightOrigin' in change;
    const evidence = makesEvidence
      ? await this.#makeEvidence(attempt, asked, keyOfCertificate)
      : asked.evidence;
    const varied = { ...attempt, asked: { ...asked, evidence } };
    const request = JSON.stringify([this.#bodyOf(varied), asked.completion]);
    return { ...varied, asked: { ...varied.asked, request } };
  }

  async #makeEvidence(
    { challengeText, client }: Attempt,
    { certificate, rightOrigin }: Asked,
    keyOfCertificate: (certificate: number) => number | undefined,
  ): Promise<string> {
    const key = certificate === undefined ? undefined : keyOfCertificate(certificate);
    const device = this.keys[key ?? -1];
    if (device === undefined) return evidenceWithoutResponse(challengeText);
    const { origin } = client.client;
    return await device.evidence(challengeText, rightOrigin ? origin : 'https://evil.example');
  }

  #bodyOf({ client, transaction, asked }: Attempt) {
    return this.#broker.evaluationBody(client.client, {
      subject: asked.user,
      transaction: asked.rightTransaction ? transaction : 'A'.repeat(43),
      evidence: asked.evidence,
      subjectAuthenticated: asked.authenticated,
    });
  }

  async send(attempt: Attempt, interruption: Interruption): Promise<EvaluationAnswer> {
    const { client } = attempt.client;
    const body = this.#bodyOf(attempt);
    const { completion } = attempt.asked;
    const text = await this.#ask(() => {
      if (completion === undefined) return this.#broker.sendEvaluation(client, body);
      const asserted = { acr: completion.factorAsserted ? wantedAcr : 'pwd' };
      const Authorization = `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`;
      return this.#broker.post('/v1/completions', { ...body, ...asserted }, { Authorization });
    }, interruption);
    return evaluationAnswer.parse(JSON.parse(text));
  }

  async revoke(certificate: number): Promise<void> {
    await this.#broker.revoke(this.deviceId ?? '', this.fingerprints[certificate] ?? '');
  }

  async change(certificate: number, how: 'hold' | 'release'): Promise<void> {
    const fingerprint = this.fingerprints[certificate] ?? '';
    await this.#changeDevice(`certificates/${fingerprint}/${how}`, undefined);
  }

  async lose(): Promise<void> {
    await this.#changeDevice('revoke', { reason: 'keyCompromise', block: 'stolen' });
  }

  async find(): Promise<void> {
    await this.#changeDevice('unblock', undefined);
  }

  async #changeDevice(what: string, body: unknown): Promise<void> {
    const path = `/v1/admin/devices/${this.deviceId}/${what}`;
    const response = await this.#broker.admin('POST', path, body);
    if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`);
  }

  /** Returns when every shard has what the change brings; it is reported complete a few seconds later. */
  async changeUser(id: string, how: 'deactivate' | 'reactivate' | 'revoke'): Promise<void> {
    const change =
      how === 'revoke'
        ? await this.#broker.revokeUser(id)
        : await this.#broker.putUser(id, how === 'reactivate');
    if (change.job_id === undefined) return;
    for (let attempt = 0; attempt < 5000; attempt++) {
      const { shards } = await this.#broker.job(change.job_id);
      if (shards.reached === shards.total) return;
      await sleep(2);
    }
    throw new Error('the tombstones did not reach their shards');
  }

  /** Gives a client's application another policy. */
  async changePolicy(
    { client }: ModelClient,
    application: ModelApplication,
    form: PolicyForm,
  ): Promise<void> {
    const path = `/v1/admin/applications/${client.application}`;
    const name = client.application;
    const choices =
      application.leaves === 'everything' ? { enforcement: 'global' } : choicesOf(application);
    // Choices leave all or nothing.
    const isChosen = form === 'choices' && application.leaves !== 'trusted_devices';
    const response = isChosen
      ? await this.#broker.admin('PUT', path, { name, ...choices, replace_policy: true })
      : await this.#broker.admin('PUT', `${path}/policy`, { policy: rulesOf(application) });
    if (!response.ok) throw new Error(`policy: ${response.status} ${await response.text()}`);
  }

  async changeGlobalPolicy({ enforcement, trustedDevices }: ModelGlobalPolicy): Promise<void> {
    const rules = [ruleFor('trusted', 'trusted', trustedDevices)];
    const policy = { enforcement, rules, otherwise: 'deny' };
    const response = await this.#broker.admin('PUT', '/v1/admin/global-policy', { policy });
    if (!response.ok) throw new Error(`policy: ${response.status} ${await response.text()}`);
  }

  /** Policies as they were in the beginning: other devices come after this one. */
  async restorePolicies(clients: readonly ModelClient[]): Promise<void> {
    await this.changeGlobalPolicy(globalPolicyOfBeginning);
    for (const client of clients.filter(({ isChanged }) => isChanged)) {
      const application = applications[client.number];
      if (application !== undefined) await this.changePolicy(client, application, 'choices');
      client.isChanged = false;
    }
  }

  async evict(): Promise<void> {
    await this.#faults.evict();
  }

  async kill(): Promise<void> {
    await killWorkerd(this.#faults.broker);
  }

  /** The device as the administrator sees it; `undefined` before its first certificate. */
  async describe() {
    if (this.deviceId === undefined) return undefined;
    const response = await this.#broker.admin('GET', `/v1/admin/devices/${this.deviceId}`);
    return response.status === 404 ? undefined : deviceAnswer.parse(await response.json());
  }
}
