import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { expect } from 'vitest';
import * as z from 'zod/mini';
import { storeUser, unknownUser } from '../../worker/src/directory/user-records.ts';
import { createAdmin } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice } from './test-changes.ts';
import { sqlInOrganization } from './test-jobs.ts';
import { runInOrganization } from './test-objects.ts';

/** A directory as an identity provider sends it: with the token of a provisioner, by SCIM alone. */

const patchOp = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

export const scimUser = z.looseObject({
  id: z.string(),
  userName: z.string(),
  externalId: z.optional(z.string()),
  active: z.boolean(),
  meta: z.object({ version: z.string(), location: z.string() }),
});
export const scimGroup = z.looseObject({
  id: z.string(),
  displayName: z.string(),
  meta: z.object({ version: z.string(), location: z.string() }),
});
export const scimList = z.object({
  totalResults: z.int(),
  startIndex: z.int(),
  itemsPerPage: z.int(),
  Resources: z.array(z.looseObject({ id: z.string() })),
});
const scimError = z.object({
  schemas: z.array(z.string()),
  status: z.string(),
  scimType: z.optional(z.string()),
  detail: z.string(),
});

export class TestDirectory {
  readonly token: string;
  readonly adminId: string;

  private constructor(token: string, adminId: string) {
    this.token = token;
    this.adminId = adminId;
  }

  static async create(): Promise<TestDirectory> {
    const { id, token } = await createAdmin('provisioner');
    return new TestDirectory(token, id);
  }

  send(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return broker.request(`/scim/v2${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/scim+json; charset=utf-8' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  }

  patch(path: string, operations: unknown, headers: Readonly<Record<string, string>> = {}) {
    return this.send('PATCH', path, { schemas: [patchOp], Operations: operations }, headers);
  }

  async createUser(given: Readonly<Record<string, unknown>> = {}) {
    const body = { userName: newName(), active: true, ...given };
    return await resourceOf(await this.send('POST', '/Users', body), scimUser);
  }

  async createGroup(
    members: readonly string[] = [],
    given: Readonly<Record<string, unknown>> = {},
  ) {
    const displayName = `Group ${randomText(6)}`;
    const named = members.map((value) => ({ value }));
    const body = { displayName, members: named, ...given };
    return await resourceOf(await this.send('POST', '/Groups', body), scimGroup);
  }

  async user(id: string) {
    return await resourceOf(await this.send('GET', `/Users/${id}`), scimUser);
  }

  async find(kind: 'Users' | 'Groups', filter: string, more = '') {
    const path = `/${kind}?filter=${encodeURIComponent(filter)}${more}`;
    return await resourceOf(await this.send('GET', path), scimList);
  }
}

export const newName = () => `u.${randomText(10)}@Example.com`;

export async function resourceOf<Schema extends z.ZodMiniType>(
  response: Response,
  schema: Schema,
): Promise<z.infer<Schema>> {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  expect(response.headers.get('Content-Type')).toBe('application/scim+json');
  return schema.parse(await response.json());
}

/** Status, scimType, and the code at the end of the text. */
export async function scimRefusal(response: Response) {
  expect(response.headers.get('Content-Type')).toBe('application/scim+json');
  const { schemas, status, scimType, detail } = scimError.parse(await response.json());
  expect(schemas).toEqual(['urn:ietf:params:scim:api:messages:2.0:Error']);
  expect(status).toBe(String(response.status));
  return [response.status, scimType, /\((\w+)\)$/.exec(detail)?.[1]];
}

/** As a sign-in leaves a user. */
export const seenUser = (userId: string) =>
  runInOrganization(({ storage: { sql } }) => storeUser(sql, unknownUser(userId)));

export const userRow = async (userId: string) =>
  (await sqlInOrganization('SELECT * FROM users WHERE user_id = ?', userId))[0];

/** Why the user is denied now, on a device that nobody has used, or `undefined`. */
export async function denialOf(client: TestClient, userId: string): Promise<string | undefined> {
  const { decision, context } = await broker.signIn(client, await enrolledDevice(), userId);
  return decision ? undefined : context.reason_code;
}

/** Their user ids, in order. */
export async function groupMembers(groupId: string) {
  const rows = await sqlInOrganization(
    'SELECT user_id FROM group_members WHERE group_id = ? ORDER BY user_id',
    groupId,
  );
  return rows.map(({ user_id }) => user_id);
}

/** Forgets what was counted and stopped, so that tests do not meet each other's removals. */
export async function forgetRemovals(): Promise<void> {
  await sqlInOrganization('DELETE FROM directory_removals');
  await sqlInOrganization(
    "DELETE FROM settings WHERE name IN ('directory_quota', 'directory_sync')",
  );
}
