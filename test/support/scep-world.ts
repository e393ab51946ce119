import { randomBytes } from 'node:crypto';
import { enrollmentTokenAnswer } from '@countersign/protocol/admin';
import { integrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import type { HardwareId } from '@countersign/protocol/enrollment';
import { readElement, readMembers } from '@countersign/testkit/der-writer';
import {
  type MessageOptions,
  makePkiMessage,
  makeScepRequest,
  openCertRep,
  type RequestNames,
  type ScepIdentity,
} from '@countersign/testkit/fake-scep-client';
import type { TestBroker } from './test-broker.ts';

/** Throws with the body when the answer is not of this kind. */
async function expectOk(answer: Response): Promise<Response> {
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer;
}

/** A broker with an integration that enrolls by SCEP, for devices that an inventory file names. */
export class ScepWorld {
  readonly broker: TestBroker;
  readonly integrationId: string;
  /** Certificates of the registration authority, the issuer and the root, DER, as GetCACert gives them. */
  readonly certificates: readonly Uint8Array[];

  private constructor(
    broker: TestBroker,
    integrationId: string,
    certificates: readonly Uint8Array[],
  ) {
    this.broker = broker;
    this.integrationId = integrationId;
    this.certificates = certificates;
  }

  static async create(
    broker: TestBroker,
    serialNumbers: readonly string[],
    hardwareUuids: readonly string[] = [],
  ): Promise<ScepWorld> {
    const { client } = broker;
    const made = await client.admin('POST', '/v1/admin/integrations', {
      name: 'By SCEP',
      authority: 'one_time_token',
      connection: { kind: 'inventory_file' },
      scep: { enabled: true },
    });
    const { integration } = integrationSecretAnswer.parse(await (await expectOk(made)).json());
    const { integration_id: id } = integration;
    const path = `/v1/admin/integrations/${id}`;
    await expectOk(await client.admin('PUT', `${path}/state`, { state: { mode: 'all_users' } }));
    const inventory = await client.request(`${path}/inventory`, {
      method: 'PUT',
      headers: {
        Authorization: `Bearer ${broker.server.ownerToken}`,
        'Content-Type': 'text/csv',
      },
      body: [
        'serial_number,hardware_uuid',
        ...serialNumbers.map((serialNumber) => `${serialNumber},`),
        ...hardwareUuids.map((hardwareUuid) => `,${hardwareUuid}`),
      ].join('\n'),
    });
    await expectOk(inventory);
    return await ScepWorld.of(broker, id);
  }

  /** Of an integration that was made elsewhere. */
  static async of(broker: TestBroker, integrationId: string): Promise<ScepWorld> {
    const answer = await broker.client.request(`/scep/${integrationId}?operation=GetCACert`);
    const bytes = new Uint8Array(await (await expectOk(answer)).arrayBuffer());
    return new ScepWorld(broker, integrationId, certificatesIn(bytes));
  }

  get path(): string {
    return `/scep/${this.integrationId}`;
  }

  get url(): string {
    return `${this.broker.url}${this.path}`;
  }

  get authorityCertificate(): Uint8Array {
    const [certificate] = this.certificates;
    if (certificate === undefined) throw new Error('there is no certificate to encrypt to');
    return certificate;
  }

  /** A one-time token for a device: what an administrator has as a challenge. */
  async token(hardwareId: HardwareId): Promise<string> {
    const made = await this.broker.client.admin('POST', '/v1/admin/enrollment-tokens', {
      hardware_id: hardwareId,
      ttl_seconds: 600,
      integration_id: this.integrationId,
    });
    return enrollmentTokenAnswer.parse(await (await expectOk(made)).json()).enrollment_token;
  }

  post(message: Uint8Array, path = this.path): Promise<Response> {
    return this.broker.client.request(`${path}?operation=PKIOperation`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-pki-message' },
      body: Buffer.from(message),
    });
  }

  /** Sends a message and reads the CertRep that it must get. */
  async send(identity: ScepIdentity, names: RequestNames, options: MessageOptions = {}) {
    const csr = makeScepRequest(identity, names);
    const message = makePkiMessage(identity, this.authorityCertificate, csr, {
      transactionId: randomBytes(16).toString('hex'),
      ...options,
    });
    const answer = await expectOk(await this.post(message));
    const reader = options.signer ?? identity;
    return openCertRep(new Uint8Array(await answer.arrayBuffer()), reader);
  }
}

/** The certificates in a degenerate SignedData. */
export function certificatesIn(bytes: Uint8Array): Uint8Array[] {
  const [, explicit] = readMembers(readElement(bytes).content);
  const [signedData] = readMembers(explicit?.content ?? bytes);
  const certificates = readMembers(signedData?.content ?? bytes)[3];
  return readMembers(certificates?.content ?? bytes).map(({ element }) => Uint8Array.from(element));
}
