import type { AccessFields } from '@countersign/policy';
import type { ClientInput } from '@countersign/protocol/admin';
import { accessAnswer } from '@countersign/protocol/authzen';
import { sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import { expect } from 'vitest';
import * as z from 'zod';
import type { TestBroker } from './test-broker.ts';

/** Documents that some may read, share, write and print, for tests of access inside of applications. */

export const ids = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, place) => `${prefix}${String(place).padStart(2, '0')}`);

const role = (...any_of: string[]) => [{ name: 'role', any_of }];
export const documentAccess: AccessFields = {
  resource_types: [{ type: 'document', actions: ['read', 'write', 'share', 'print'] }],
  subjects: [
    { type: 'user', id: 'eve', properties: { role: 'editor', constructor: 'none' } },
    { type: 'user', id: 'guest', properties: { role: ['guest', 'auditor'] } },
    { type: 'service', id: 'backup', properties: { role: 'editor' } },
    ...ids('reader-', 30).map((id) => ({ type: 'user', id, properties: { role: 'reader' } })),
  ],
  resources: [
    { type: 'document', id: 'plan', properties: { secret: true } },
    ...ids('page-', 12).map((id) => ({ type: 'document', id, properties: { secret: false } })),
  ],
  rules: [
    {
      id: 'secrets',
      when: { resource_properties: [{ name: 'secret', any_of: [true] }], actions: ['share'] },
      effect: 'deny',
    },
    {
      id: 'share',
      when: { actions: ['share'], subject_properties: role('editor', 'owner') },
      effect: 'allow',
    },
    {
      id: 'write-at-a-trusted-device',
      when: {
        actions: ['write'],
        subject_properties: role('editor'),
        device_trust: 'trusted',
      },
      effect: 'allow',
    },
    {
      id: 'prototype',
      when: {
        actions: ['print'],
        subject_properties: [{ name: 'constructor', any_of: ['press', 'Object'] }],
      },
      effect: 'allow',
    },
    {
      id: 'read',
      when: { actions: ['read'], subject_properties: role('reader', 'editor', 'auditor') },
      effect: 'allow',
    },
  ],
};

export const user = (id: string, properties?: object) => ({
  type: 'user',
  id,
  ...(properties === undefined ? {} : { properties }),
});
export const document = (id: string, properties?: object) => ({
  type: 'document',
  id,
  ...(properties === undefined ? {} : { properties }),
});

const accessRow = z.looseObject({
  kind: z.literal('access'),
  shard: z.int(),
  sequence: z.int(),
  evaluations: z.array(z.looseObject({})),
});

/** Clients of applications with these documents, and what they are answered. */
export class AccessWorld {
  readonly #broker: TestBroker;

  constructor(broker: TestBroker) {
    this.#broker = broker;
  }

  /** An application with these documents, and a client of it. */
  async newClient(more: Partial<ClientInput> = {}): Promise<TestClient> {
    const known = await this.#broker.client.registerClient();
    await this.register(known, more);
    await this.putAccess(known, documentAccess);
    return known;
  }

  async putAccess({ application }: TestClient, access: AccessFields): Promise<void> {
    const path = `/v1/admin/applications/${application}/access`;
    const response = await this.#broker.client.admin('PUT', path, { access });
    expect(response.status, await response.text()).toBe(200);
  }

  /** Registers a client anew, with what is named here. */
  async register(known: TestClient, more: Partial<ClientInput>): Promise<void> {
    const secret_sha256 = await sha256Base64url(known.clientSecret);
    await this.#broker.client.putClient(known.clientId, {
      name: known.clientId,
      origins: [known.origin],
      applications: [known.application],
      authentication: { method: 'client_secret', secret_sha256 },
      ...more,
    });
  }

  /** @param path below `/access/v1/` */
  send(by: TestClient, path: string, body: unknown): Promise<Response> {
    return this.#broker.client.post(`/access/v1/${path}`, body, {
      Authorization: `Basic ${btoa(`${by.clientId}:${by.clientSecret}`)}`,
    });
  }

  async ask(by: TestClient, subject: object, action: string, resource: object, context?: object) {
    const body = { subject, action: { name: action }, resource, context };
    const response = await this.send(by, 'evaluation', body);
    expect(response.status, await response.clone().text()).toBe(200);
    return accessAnswer.parse(await response.json());
  }

  /** Whether it is allowed, and by which rule. */
  async ruleOf(...asked: Parameters<AccessWorld['ask']>): Promise<[boolean, string]> {
    const { decision, context } = await this.ask(...asked);
    return [decision, context.policy.rule];
  }

  /** How many rows all chains have. */
  async countRows(): Promise<number> {
    return (await this.#rows()).length;
  }

  /** The rows of access on record. */
  async accessRows() {
    return (await this.#rows())
      .map((record): unknown => JSON.parse(record))
      .flatMap((record) => accessRow.safeParse(record).data ?? []);
  }

  async #rows(): Promise<string[]> {
    const records: string[] = [];
    for (let shard = 0; shard < this.#broker.shardCount; shard++) {
      const { rows } = await this.#broker.client.decisions(shard);
      records.push(...rows.map(({ record }) => record));
    }
    return records;
  }
}
