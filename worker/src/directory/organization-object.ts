import { DurableObject } from 'cloudflare:workers';
import { encodeBase64url } from '@countersign/protocol';
import type { ApplicationInput, ClientInput } from '@countersign/protocol/admin';
import type { ImportBeginning, StateRow, StateSection } from '@countersign/protocol/state';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import type { DeviceObject } from '../device/device-object.ts';
import { deviceObjectName } from '../device/placement.ts';
import type { ImportedDevices } from '../device/transfer-devices.ts';
import { policyOf } from '../policy/policy-document.ts';
import {
  DurableStore,
  isUnavailable,
  type StorageUnavailable,
  storageUnavailable,
} from '../storage/durable-store.ts';
import { exportTable, type PageRange } from '../storage/export-tables.ts';
import { importBlock } from '../storage/import-block.ts';
import { markIn } from '../storage/state-marks.ts';
import { deactivateUser, reactivateUser, revokeUser, type UserChange } from './change-user.ts';
import { deliverTombstones } from './deliver-tombstones.ts';
import {
  beginImport,
  findUnfinishedImport,
  finishImport,
  importOrganizationRows,
  importReservations,
  readArchivedHeads,
  readOrganizationMark,
} from './import-organization.ts';
import { findIntegration } from './integration-records.ts';
import type {
  ChangeAnswer,
  Deployment,
  IntegrationFound,
  JobDescription,
  SnapshotAnswer,
  UserChangeAnswer,
  UserDescription,
} from './organization-answers.ts';
import {
  raiseVersion,
  readApplications,
  readSnapshot,
  readVersion,
} from './organization-records.ts';
import { organizationMigrations } from './organization-schema.ts';
import { readSetting } from './organization-settings.ts';
import { type ReservationAnswer, reserveBinding } from './reserve-binding.ts';
import {
  completeTombstoneJobs,
  findTombstoneJob,
  nextTombstoneWorkMs,
  runningTombstoneJobs,
} from './tombstone-job.ts';
import { countReservedShards, findUser } from './user-records.ts';

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ event, ...fields }));
}

const newJobId = () => `job_${encodeBase64url(crypto.getRandomValues(new Uint8Array(16)))}`;

/** The organization: clients, applications and their policies, users and binding reservations. One object. */
export class OrganizationObject extends DurableObject<Environment> {
  readonly #store: DurableStore;
  #resumedAtMs = 0;
  /** While it rings, an alarm is not set, and its end sets the next one. */
  #isRinging = false;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, organizationMigrations);
    state.waitUntil(this.#resumeJobs());
  }

  /**
   * The organization at its newest version, or only the version when the caller has it already. The first call ever
   * records the deployment; every later one compares.
   */
  async snapshot(deployment: Deployment, knownVersion: number): Promise<SnapshotAnswer> {
    const { otherVersion } = this.#store;
    if (otherVersion !== undefined) {
      return { ok: false, code: 'deployment_mismatch', detail: otherVersion };
    }
    this.#watchJobs();
    const mismatch = await this.#checkDeployment(deployment);
    if (mismatch !== undefined) return mismatch;
    return this.#store.read((sql): SnapshotAnswer => {
      const importId = findUnfinishedImport(sql);
      if (importId !== undefined) {
        return {
          ok: false,
          code: 'import_incomplete',
          detail: `import ${importId} has begun and not ended: import again, into a new, empty place`,
        };
      }
      const version = readVersion(sql);
      const snapshot = version === knownVersion ? undefined : readSnapshot(sql, version);
      return { ok: true, version, snapshot };
    });
  }

  /** Creates or changes an application. Changing nothing keeps the version. */
  async putApplication(id: string, input: ApplicationInput): Promise<ChangeAnswer> {
    return await this.#store.write((sql): ChangeAnswer => {
      const existing = readApplications(sql).get(id);
      if (existing?.name === input.name) {
        const same = JSON.stringify(policyOf(existing.policy.version, input));
        const unchanged = JSON.stringify(existing.policy) === same;
        if (unchanged) return { ok: true, version: readVersion(sql), changed: false };
      }
      const version = raiseVersion(sql);
      const policy = policyOf(version, input);
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

  /** An integration with what opens its management, sealed. */
  async findIntegration(integrationId: string): Promise<IntegrationFound> {
    return this.#store.read((sql): IntegrationFound => {
      const found = findIntegration(sql, integrationId);
      return found === undefined
        ? { ok: false, code: 'integration_not_found' }
        : { ok: true, ...found };
    });
  }

  /** Before a first binding; see `reserve-binding.ts`. */
  async reserveBinding(
    userId: string,
    shard: number,
  ): Promise<ReservationAnswer | StorageUnavailable> {
    return await this.#store.write((sql) => reserveBinding(sql, userId, shard));
  }

  /** Deactivates or reactivates a user; see `change-user.ts`. */
  async setUserActive(userId: string, active: boolean): Promise<UserChangeAnswer> {
    return await this.#changeUser((sql, nowMs) =>
      active
        ? reactivateUser(sql, userId)
        : deactivateUser(sql, userId, { jobId: newJobId(), nowMs }),
    );
  }

  /** Ends every binding of a user, who stays as active as before. */
  async revokeUser(userId: string, reason: string): Promise<UserChangeAnswer> {
    return await this.#changeUser((sql, nowMs) =>
      revokeUser(sql, userId, reason, { jobId: newJobId(), nowMs }),
    );
  }

  /** One block: the change, its job, and the alarm that runs the job. */
  async #changeUser(
    change: (sql: SqlStorage, nowMs: number) => UserChange,
  ): Promise<UserChangeAnswer> {
    return await this.#store.write((sql) => {
      const nowMs = currentTimeMs();
      const changed = change(sql, nowMs);
      if (changed.changed) raiseVersion(sql);
      this.#scheduleJobs(sql, nowMs);
      return { ok: true, ...changed } as const;
    });
  }

  /** A user with what is being done about them. */
  async describeUser(userId: string): Promise<UserDescription> {
    return this.#store.read((sql): UserDescription => {
      const user = findUser(sql, userId);
      if (user === undefined) return { ok: false, code: 'user_not_found' };
      const boundShards = countReservedShards(sql, userId);
      return { ok: true, user, boundShards, jobs: runningTombstoneJobs(sql, userId) };
    });
  }

  async findJob(jobId: string): Promise<JobDescription> {
    this.#watchJobs();
    return this.#store.read((sql): JobDescription => {
      const job = findTombstoneJob(sql, jobId);
      return job === undefined ? { ok: false, code: 'job_not_found' } : { ok: true, job };
    });
  }

  /** Brings tombstones to the shards that are due, and marks as complete what is. */
  override async alarm(): Promise<void> {
    this.#isRinging = true;
    try {
      await this.#workOnJobs();
    } finally {
      this.#isRinging = false;
    }
  }

  async #workOnJobs(): Promise<void> {
    await deliverTombstones({
      store: this.#store,
      now: currentTimeMs,
      bury: (shard, userId, epoch) => this.#deviceObject(shard).buryUser(userId, epoch),
      onFailure: ({ job_id, shard, attempts }, detail) =>
        log('tombstone_not_delivered', { job_id, shard, attempts: attempts + 1, detail }),
    });
    const completed = await this.#store.write((sql) => {
      const nowMs = currentTimeMs();
      const jobs = completeTombstoneJobs(sql, nowMs);
      this.#scheduleJobs(sql, nowMs);
      return jobs;
    });
    // Thrown, it is for the runtime to try again, and once that gives up for `#watchJobs`.
    if (isUnavailable(completed)) throw new Error('the outcome of this round could not be stored');
    for (const { job_id, shards, epoch, reason } of completed) {
      log('job_completed', { job_id, shards, epoch, reason });
    }
  }

  #deviceObject(shard: number): DurableObjectStub<DeviceObject> {
    return this.env.DEVICE.get(this.env.DEVICE.idFromName(deviceObjectName(shard)));
  }

  /** The alarm is stored with the block that it is set in: after a crash there are both or neither. */
  #scheduleJobs(sql: SqlStorage, nowMs: number): void {
    const due = nextTombstoneWorkMs(sql, nowMs);
    if (due !== undefined) void this.ctx.storage.setAlarm(Math.max(due, nowMs));
  }

  /** Once a minute while the object is asked for anything: one that is never idle never begins anew. */
  #watchJobs(): void {
    if (this.#isRinging || Math.abs(currentTimeMs() - this.#resumedAtMs) < 60_000) return;
    this.ctx.waitUntil(this.#resumeJobs());
  }

  /**
   * Jobs whose alarm is not there, as after an import or when the runtime has given it up, or which a clock that went
   * back has left far ahead, are not forgotten.
   */
  async #resumeJobs(): Promise<void> {
    const nowMs = currentTimeMs();
    this.#resumedAtMs = nowMs;
    const due = this.#store.read((sql) => nextTombstoneWorkMs(sql, nowMs));
    if (isUnavailable(due) || due === undefined) return;
    try {
      const alarmMs = await this.ctx.storage.getAlarm();
      // Of work that is due later than the alarm the alarm itself sees to the next one.
      if (alarmMs === null || alarmMs > Math.max(due, nowMs))
        await this.ctx.storage.setAlarm(nowMs);
    } catch (error) {
      log('jobs_not_resumed', { detail: String(error) });
    }
  }

  async stateMark() {
    return await markIn(this.#store, readOrganizationMark);
  }

  async exportState(section: StateSection, range: PageRange) {
    return this.#store.read((sql) => {
      return { ok: true, page: exportTable(sql, section, range) } as const;
    });
  }

  async archivedHeads() {
    return this.#store.read((sql) => ({ ok: true, chains: readArchivedHeads(sql) }) as const);
  }

  /** See `import-organization.ts` for this and the following ones. */
  async beginImport(beginning: ImportBeginning) {
    return await importBlock(this.#store, (sql) => beginImport(sql, beginning, currentTimeMs()));
  }

  async runningImport() {
    return this.#store.read((sql) => {
      return { ok: true, importId: findUnfinishedImport(sql) } as const;
    });
  }

  async importRows(importId: string, section: StateSection, rows: readonly StateRow[]) {
    return await importBlock(this.#store, (sql) =>
      importOrganizationRows(sql, importId, section, rows),
    );
  }

  async importReservations(importId: string, shard: number, bindings: ImportedDevices['bindings']) {
    return await importBlock(this.#store, (sql) =>
      importReservations(sql, importId, shard, bindings),
    );
  }

  async finishImport(importId: string) {
    return await importBlock(this.#store, (sql) => finishImport(sql, importId, currentTimeMs()));
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
    const detail = `created with ${String(recorded)}, started with ${offered}. The number of shards changes with an export and an import; a lost device id key comes back from a backup`;
    return { ok: false, code: 'deployment_mismatch', detail };
  }
}
