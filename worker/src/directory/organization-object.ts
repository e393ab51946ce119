import { DurableObject } from 'cloudflare:workers';
import type { ApplicationInput, ClientInput } from '@countersign/protocol/admin';
import * as z from 'zod/mini';
import type { Environment } from '../config/environment.ts';
import { policyDocument, trustedDevicesOnly } from '../policy/policy-document.ts';
import { DurableStore, isUnavailable, storageUnavailable } from '../storage/durable-store.ts';
import { organizationMigrations } from './organization-schema.ts';
import {
  type Application,
  type OrganizationSnapshot,
  type RegisteredClient,
  registeredClient,
} from './organization-snapshot.ts';

/** What must never change under existing data: a mismatch means the wrong settings or the wrong folder. */
export type Deployment = {
  readonly shardCount: number;
  readonly deviceIdKeyFingerprint: string;
};

export type SnapshotAnswer =
  | {
      readonly ok: true;
      readonly version: number;
      readonly snapshot: OrganizationSnapshot | undefined;
    }
  | { readonly ok: false; readonly code: 'storage_unavailable' }
  | { readonly ok: false; readonly code: 'deployment_mismatch'; readonly detail: string };

export type ChangeAnswer =
  | { readonly ok: true; readonly version: number; readonly changed: boolean }
  | { readonly ok: false; readonly code: 'storage_unavailable' }
  | { readonly ok: false; readonly code: 'application_not_found'; readonly application: string };

export type ReservationAnswer =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly code: 'subject_inactive' | 'storage_unavailable' };

const firstEpoch = 1;

/** The organization: clients, applications and their policies, users and binding reservations. One object. */
export class OrganizationObject extends DurableObject<Environment> {
  readonly #store: DurableStore;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, organizationMigrations);
  }

  /**
   * The organization at its newest version, or only the version when the caller has it already. The first call ever
   * records the deployment; every later one compares.
   */
  async snapshot(deployment: Deployment, knownVersion: number): Promise<SnapshotAnswer> {
    const mismatch = await this.#checkDeployment(deployment);
    if (mismatch !== undefined) return mismatch;
    return this.#store.read((sql): SnapshotAnswer => {
      const version = readVersion(sql);
      const snapshot = version === knownVersion ? undefined : readSnapshot(sql, version);
      return { ok: true, version, snapshot };
    });
  }

  /** Creates or changes an application. Changing nothing keeps the version. */
  async putApplication(id: string, input: ApplicationInput): Promise<ChangeAnswer> {
    return await this.#store.write((sql): ChangeAnswer => {
      const existing = readApplications(sql).get(id);
      const unchanged =
        existing?.name === input.name && existing.policy.enforcement === input.enforcement;
      if (unchanged) return { ok: true, version: readVersion(sql), changed: false };
      const version = raiseVersion(sql);
      const policy = trustedDevicesOnly(version, input.enforcement);
      sql.exec(
        `INSERT INTO applications (application_id, name, policy) VALUES (?, ?, ?)
         ON CONFLICT (application_id) DO UPDATE SET name = excluded.name, policy = excluded.policy`,
        id,
        input.name,
        JSON.stringify(policy),
      );
      return { ok: true, version, changed: true };
    });
  }

  /** Creates or changes a client. Its applications must exist. */
  async putClient(id: string, input: ClientInput): Promise<ChangeAnswer> {
    return await this.#store.write((sql): ChangeAnswer => {
      const applications = readApplications(sql);
      const missing = input.applications.find((application) => !applications.has(application));
      if (missing !== undefined) {
        return { ok: false, code: 'application_not_found', application: missing };
      }
      const document = JSON.stringify({ client_id: id, ...input });
      const [existing] = sql
        .exec<{ document: string }>('SELECT document FROM clients WHERE client_id = ?', id)
        .toArray();
      if (existing?.document === document) {
        return { ok: true, version: readVersion(sql), changed: false };
      }
      const version = raiseVersion(sql);
      sql.exec(
        `INSERT INTO clients (client_id, document) VALUES (?, ?)
         ON CONFLICT (client_id) DO UPDATE SET document = excluded.document`,
        id,
        document,
      );
      return { ok: true, version, changed: true };
    });
  }

  /**
   * Notes that a certificate of this user is about to be bound in this shard, and gives the user's epoch. Idempotent,
   * never released: a later deactivation must reach every shard that ever held a binding.
   */
  async reserveBinding(userId: string, shard: number): Promise<ReservationAnswer> {
    return await this.#store.write((sql): ReservationAnswer => {
      const [user] = sql
        .exec<{ active: number; epoch: number }>(
          'SELECT active, epoch FROM users WHERE user_id = ?',
          userId,
        )
        .toArray();
      if (user !== undefined && user.active === 0) return { ok: false, code: 'subject_inactive' };
      const epoch = user?.epoch ?? firstEpoch;
      if (user === undefined) {
        sql.exec('INSERT INTO users (user_id, active, epoch) VALUES (?, 1, ?)', userId, epoch);
      }
      sql.exec(
        `INSERT INTO binding_reservations (user_id, shard, epoch) VALUES (?, ?, ?)
         ON CONFLICT (user_id, shard) DO UPDATE SET epoch = excluded.epoch
         WHERE epoch <> excluded.epoch`,
        userId,
        shard,
        epoch,
      );
      return { ok: true, epoch };
    });
  }

  async #checkDeployment(
    deployment: Deployment,
  ): Promise<Extract<SnapshotAnswer, { readonly ok: false }> | undefined> {
    const offered = `shards=${deployment.shardCount} device-id-key=${deployment.deviceIdKeyFingerprint}`;
    const known = this.#store.read((sql) => readSetting(sql, 'deployment'));
    if (isUnavailable(known)) return storageUnavailable;
    if (known === offered) return undefined;
    const recorded = await this.#store.write((sql) => {
      sql.exec(
        `INSERT INTO settings (name, value) VALUES ('deployment', ?) ON CONFLICT (name) DO NOTHING`,
        offered,
      );
      return readSetting(sql, 'deployment');
    });
    if (isUnavailable(recorded)) return storageUnavailable;
    if (recorded === offered) return undefined;
    const detail = `created with ${String(recorded)}, started with ${offered}`;
    return { ok: false, code: 'deployment_mismatch', detail };
  }
}

function readSetting(sql: SqlStorage, name: string): string | undefined {
  return sql.exec<{ value: string }>('SELECT value FROM settings WHERE name = ?', name).toArray()[0]
    ?.value;
}

function readVersion(sql: SqlStorage): number {
  return z.int().parse(Number(readSetting(sql, 'version')));
}

function raiseVersion(sql: SqlStorage): number {
  const version = readVersion(sql) + 1;
  sql.exec(`UPDATE settings SET value = ? WHERE name = 'version'`, String(version));
  return version;
}

function readApplications(sql: SqlStorage): Map<string, Application> {
  const rows = sql
    .exec<{ application_id: string; name: string; policy: string }>(
      'SELECT application_id, name, policy FROM applications',
    )
    .toArray();
  return new Map(
    rows.map((row) => [
      row.application_id,
      { ...row, policy: policyDocument.parse(JSON.parse(row.policy)) },
    ]),
  );
}

function readSnapshot(sql: SqlStorage, version: number): OrganizationSnapshot {
  const clients = sql
    .exec<{ document: string }>('SELECT document FROM clients')
    .toArray()
    .map((row): RegisteredClient => registeredClient.parse(JSON.parse(row.document)));
  return {
    version,
    applications: readApplications(sql),
    clients: new Map(clients.map((client) => [client.client_id, client])),
  };
}
