import type { ImportBeginning, StateRow, StateSection } from '@countersign/protocol/state';
import { currentTimeMs } from '../clock.ts';
import type { ImportedDevices } from '../device/transfer-devices.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { exportTable, type PageRange } from '../storage/export-tables.ts';
import { importBlock } from '../storage/import-block.ts';
import { markIn } from '../storage/state-marks.ts';
import { newJobId } from './administered-object.ts';
import { deactivateUser, reactivateUser, revokeUser } from './change-user.ts';
import { checkDeployment } from './check-deployment.ts';
import { DirectoryObject } from './directory-object.ts';
import type { HeldVersions } from './group-versions.ts';
import * as imports from './import-organization.ts';
import type {
  Deployment,
  JobDescription,
  SnapshotAnswer,
  UserDescription,
} from './organization-answers.ts';
import { readSnapshot } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import { type ReservationAnswer, reserveBinding } from './reserve-binding.ts';
import { findTombstoneJob, runningTombstoneJobs } from './tombstone-job.ts';
import { countReservedShards, findUser, readUserStanding } from './user-records.ts';

/**
 * The organization: applications and their policies, clients, integrations, users, groups, administrators, binding
 * reservations, durable jobs, and the log of what administrators do. One object.
 */
export class OrganizationObject extends DirectoryObject {
  /**
   * The organization at its newest version, or only the version when the caller has it already. Of groups comes what
   * the caller lacks. The first call ever
   * records the deployment; every later one compares.
   */
  async snapshot(
    deployment: Deployment,
    knownVersion: number,
    heldGroups: HeldVersions = {},
  ): Promise<SnapshotAnswer> {
    const { otherVersion } = this.store;
    if (otherVersion !== undefined) {
      return { ok: false, code: 'deployment_mismatch', detail: otherVersion };
    }
    this.jobs.watch();
    this.logDrain.watch(currentTimeMs());
    const mismatch = await checkDeployment(this.store, deployment);
    if (mismatch !== undefined) return mismatch;
    return this.store.read((sql): SnapshotAnswer => {
      const importId = imports.findUnfinishedImport(sql);
      if (importId !== undefined) {
        return {
          ok: false,
          code: 'import_incomplete',
          detail: `import ${importId} has begun and not ended: import again, into a new, empty place`,
        };
      }
      const version = readVersion(sql);
      const snapshot =
        version === knownVersion ? undefined : readSnapshot(sql, version, heldGroups);
      return { ok: true, version, snapshot };
    });
  }

  /** Before a first binding; see `reserve-binding.ts`. */
  async reserveBinding(
    userId: string,
    shard: number,
  ): Promise<ReservationAnswer | StorageUnavailable> {
    return await this.store.write((sql) => reserveBinding(sql, userId, shard));
  }

  /** Deactivates or reactivates a user; see `change-user.ts`. */
  async setUserActive(adminId: string, userId: string, active: boolean) {
    return await this.change(adminId, (sql, nowMs) =>
      active
        ? reactivateUser(sql, userId)
        : deactivateUser(sql, userId, { jobId: newJobId(), nowMs }),
    );
  }

  /** Ends every binding of a user, who stays as active as before. */
  async revokeUser(adminId: string, userId: string, reason: string) {
    return await this.change(adminId, (sql, nowMs) =>
      revokeUser(sql, userId, reason, { jobId: newJobId(), nowMs }),
    );
  }

  /** Whether a certificate may be asked for in this user's name. */
  async userStanding(userId: string) {
    return this.store.read(
      (sql) => ({ ok: true, standing: readUserStanding(sql, userId) }) as const,
    );
  }

  /** A user with what is being done about them. */
  async describeUser(userId: string): Promise<UserDescription> {
    return this.store.read((sql): UserDescription => {
      const user = findUser(sql, userId);
      if (user === undefined) return { ok: false, code: 'user_not_found' };
      const boundShards = countReservedShards(sql, userId);
      return { ok: true, user, boundShards, jobs: runningTombstoneJobs(sql, userId) };
    });
  }

  async findJob(jobId: string): Promise<JobDescription> {
    this.jobs.watch();
    return this.store.read((sql): JobDescription => {
      const job = findTombstoneJob(sql, jobId);
      return job === undefined ? { ok: false, code: 'job_not_found' } : { ok: true, job };
    });
  }

  override async alarm(): Promise<void> {
    await this.jobs.ring();
  }

  async stateMark() {
    return await markIn(this.store, imports.readOrganizationMark);
  }

  async exportState(section: StateSection, range: PageRange) {
    return this.store.read((sql) => {
      return { ok: true, page: exportTable(sql, section, range) } as const;
    });
  }

  async archivedHeads() {
    return this.store.read(
      (sql) => ({ ok: true, chains: imports.readArchivedHeads(sql) }) as const,
    );
  }

  /** See `import-organization.ts` for this and the following ones. */
  async beginImport(beginning: ImportBeginning) {
    return await importBlock(this.store, (sql) =>
      imports.beginImport(sql, beginning, currentTimeMs()),
    );
  }

  async runningImport() {
    return this.store.read((sql) => {
      return { ok: true, importId: imports.findUnfinishedImport(sql) } as const;
    });
  }

  async importRows(importId: string, section: StateSection, rows: readonly StateRow[]) {
    return await importBlock(this.store, (sql) =>
      imports.importOrganizationRows(sql, importId, section, rows),
    );
  }

  async importReservations(importId: string, shard: number, bindings: ImportedDevices['bindings']) {
    return await importBlock(this.store, (sql) =>
      imports.importReservations(sql, importId, shard, bindings),
    );
  }

  async finishImport(adminId: string, importId: string) {
    return await importBlock(this.store, (sql) =>
      imports.finishImport(sql, adminId, importId, currentTimeMs()),
    );
  }
}
