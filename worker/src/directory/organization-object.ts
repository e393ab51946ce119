import { DurableObject } from 'cloudflare:workers';
import type { ApplicationInput, ClientInput } from '@countersign/protocol/admin';
import * as z from 'zod/mini';
import type { Environment } from '../config/environment.ts';
import { policyDocument, trustedDevicesOnly } from '../policy/policy-document.ts';
import { GroupCommit } from '../storage/group-commit.ts';
import { type MigrationResult, migrate } from '../storage/migrations.ts';
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

type Unavailable = { readonly ok: false; readonly code: 'storage_unavailable' };

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
const unavailable: Unavailable = { ok: false, code: 'storage_unavailable' };

/** The organization: clients, applications and their policies, users and binding reservations. One object. */
export class OrganizationObject extends DurableObject<Environment> {
  readonly #commit: GroupCommit;
  readonly #migrated: MigrationResult;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#migrated = migrate(state.storage, organizationMigrations);
    this.#commit = new GroupCommit(state.storage);
  }

  /**
   * The organization at its newest version, or only the version when the caller has it already. The first call ever
   * records the deployment; every later one compares.
   */
  async snapshot(deployment: Deployment, knownVersion: number): Promise<SnapshotAnswer> {
    const mismatch = await this.#checkDeployment(deployment);
    if (mismatch !== undefined) return mismatch;
    const version = this.#version();
    if (version === knownVersion) return { ok: true, version, snapshot: undefined };
    return { ok: true, version, snapshot: this.#readSnapshot(version) };
  }

  /** Creates or changes an application. Changing nothing keeps the version. */
  async putApplication(id: string, input: ApplicationInput): Promise<ChangeAnswer> {
    const answer = await this.#run((): ChangeAnswer => {
      const existing = this.#applications().get(id);
      const unchanged =
        existing?.name === input.name && existing.policy.enforcement === input.enforcement;
      if (unchanged) return { ok: true, version: this.#version(), changed: false };
      const version = this.#raiseVersion();
      const policy = trustedDevicesOnly(version, input.enforcement);
      this.ctx.storage.sql.exec(
        `INSERT INTO applications (application_id, name, policy) VALUES (?, ?, ?)
         ON CONFLICT (application_id) DO UPDATE SET name = excluded.name, policy = excluded.policy`,
        id,
        input.name,
        JSON.stringify(policy),
      );
      return { ok: true, version, changed: true };
    });
    return answer ?? unavailable;
  }

  /** Creates or changes a client. Its applications must exist. */
  async putClient(id: string, input: ClientInput): Promise<ChangeAnswer> {
    const answer = await this.#run((): ChangeAnswer => {
      const applications = this.#applications();
      const missing = input.applications.find((application) => !applications.has(application));
      if (missing !== undefined) {
        return { ok: false, code: 'application_not_found', application: missing };
      }
      const document = JSON.stringify({ client_id: id, ...input });
      const [existing] = this.ctx.storage.sql
        .exec<{ document: string }>('SELECT document FROM clients WHERE client_id = ?', id)
        .toArray();
      if (existing?.document === document) {
        return { ok: true, version: this.#version(), changed: false };
      }
      const version = this.#raiseVersion();
      this.ctx.storage.sql.exec(
        `INSERT INTO clients (client_id, document) VALUES (?, ?)
         ON CONFLICT (client_id) DO UPDATE SET document = excluded.document`,
        id,
        document,
      );
      return { ok: true, version, changed: true };
    });
    return answer ?? unavailable;
  }

  /**
   * Notes that a certificate of this user is about to be bound in this shard, and gives the user's epoch. Idempotent,
   * never released: a later deactivation must reach every shard that ever held a binding.
   */
  async reserveBinding(userId: string, shard: number): Promise<ReservationAnswer> {
    const answer = await this.#run((): ReservationAnswer => {
      const sql = this.ctx.storage.sql;
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
    return answer ?? unavailable;
  }

  async #checkDeployment(deployment: Deployment): Promise<SnapshotAnswer | undefined> {
    const recorded = this.#migrated.ok ? this.#setting('deployment') : undefined;
    const offered = `shards=${deployment.shardCount} device-id-key=${deployment.deviceIdKeyFingerprint}`;
    if (recorded === offered) return undefined;
    if (recorded !== undefined) {
      const detail = `created with ${recorded}, started with ${offered}`;
      return { ok: false, code: 'deployment_mismatch', detail };
    }
    const stored = await this.#run(() => {
      this.ctx.storage.sql.exec(
        `INSERT INTO settings (name, value) VALUES ('deployment', ?) ON CONFLICT (name) DO NOTHING`,
        offered,
      );
      return this.#setting('deployment') === offered;
    });
    if (stored === undefined) return unavailable;
    return stored ? undefined : this.#checkDeployment(deployment);
  }

  #setting(name: string): string | undefined {
    return this.ctx.storage.sql
      .exec<{ value: string }>('SELECT value FROM settings WHERE name = ?', name)
      .toArray()[0]?.value;
  }

  #version(): number {
    return z.int().parse(Number(this.#setting('version')));
  }

  #raiseVersion(): number {
    const version = this.#version() + 1;
    this.ctx.storage.sql.exec(
      `UPDATE settings SET value = ? WHERE name = 'version'`,
      String(version),
    );
    return version;
  }

  #applications(): Map<string, Application> {
    const rows = this.ctx.storage.sql
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

  #readSnapshot(version: number): OrganizationSnapshot {
    const clients = this.ctx.storage.sql
      .exec<{ document: string }>('SELECT document FROM clients')
      .toArray()
      .map((row): RegisteredClient => registeredClient.parse(JSON.parse(row.document)));
    return {
      version,
      applications: this.#applications(),
      clients: new Map(clients.map((client) => [client.client_id, client])),
    };
  }

  async #run<Value>(block: () => Value): Promise<Value | undefined> {
    if (!this.#migrated.ok) {
      console.error(JSON.stringify({ event: 'schema_refused', detail: this.#migrated.detail }));
      return undefined;
    }
    try {
      return await this.#commit.run(block);
    } catch (error) {
      console.error(JSON.stringify({ event: 'storage_failed', detail: String(error) }));
      return undefined;
    }
  }
}
