import { type AdminRole, adminTokenAnswer } from '@countersign/protocol/admin-access';
import {
  type IntegrationRequest,
  integrationSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import { problemDocument } from '@countersign/protocol/problem';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { expect } from 'vitest';
import * as z from 'zod/mini';
import { broker } from './test-broker.ts';
import { organizationObject, shardOf, sqlInShard } from './test-objects.ts';

/** Administrators of each role, integrations, and the organization's log, as tests need them. */

/** Any request with this token. */
export function asAdmin(
  token: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return broker.request(path, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

export async function createAdmin(role: AdminRole) {
  const response = await broker.admin('POST', '/v1/admin/admins', { name: `the ${role}`, role });
  if (response.status !== 201) throw new Error(await response.text());
  const { admin, admin_token } = adminTokenAnswer.parse(await response.json());
  return { id: admin.admin_id, token: admin_token };
}

export const inventoryFile: IntegrationRequest = {
  name: 'Warehouse',
  connection: { kind: 'inventory_file' },
};

export async function createIntegration(input: IntegrationRequest = inventoryFile) {
  const response = await broker.admin('POST', '/v1/admin/integrations', input);
  if (response.status !== 201) throw new Error(await response.text());
  return integrationSecretAnswer.parse(await response.json());
}

const loggedEvent = z.object({
  reason: z.optional(z.string()),
  kind: z.literal('event'),
  shard: z.literal('organization'),
  sequence: z.int(),
  event_type: z.string(),
  outcome: z.string(),
  actor: z.object({ type: z.string(), id: z.optional(z.string()) }),
  user: z.optional(z.string()),
  integration_id: z.optional(z.string()),
  debug_data: z.record(z.string(), z.string()),
});

/** The organization's log from this row on. */
export async function eventsAfter(sequence: number) {
  const page = await organizationObject().adminEvents(sequence, 1000);
  if (!page.ok) throw new Error(page.code);
  return page.rows.map(({ record }) => loggedEvent.parse(JSON.parse(record)));
}

export async function eventCount(): Promise<number> {
  const page = await organizationObject().adminEvents(0, 1);
  if (!page.ok) throw new Error(page.code);
  return page.head.count;
}

export async function expectRefusal(response: Response, status: number, code: string) {
  const text = await response.text();
  const problem: unknown = JSON.parse(text);
  expect([response.status, problemDocument.parse(problem).code, text]).toEqual([
    status,
    code,
    text,
  ]);
  return { document: problemDocument.parse(problem), problem };
}

export async function answerOf<Schema extends z.ZodMiniType>(response: Response, schema: Schema) {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return schema.parse(await response.json());
}

export const setState = (id: string, state: object, override?: boolean) =>
  broker.admin('PUT', `/v1/admin/integrations/${id}/state`, {
    state,
    ...(override === undefined ? {} : { override }),
  });

/** The device's certificates, as if they had been issued through the integration. */
export const issuedThrough = async (device: FakeDevice, integrationId: string) => {
  const shard = shardOf(device.deviceId);
  await sqlInShard(
    shard,
    'UPDATE certificates SET integration_id = ? WHERE device_id = ?',
    integrationId,
    device.deviceId ?? '',
  );
};
