import {
  type AccessChange,
  type ApplicationPolicy,
  effectivePolicy,
  groupsIn,
  leavesToGlobal,
} from '@countersign/policy';
import type { FailOpenInput } from '@countersign/protocol/fail-open';
import type { ImportBeginning, StateRow, StateSection } from '@countersign/protocol/state';
import { currentTimeMs } from '../clock.ts';
import type { ImportedDevices } from '../device/transfer-devices.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { exportTable, type PageRange } from '../storage/export-tables.ts';
import { importBlock } from '../storage/import-block.ts';
import { markIn } from '../storage/state-marks.ts';
import { findAccessVersion, listAccessVersions } from './access-records.ts';
import { newJobId } from './administered-object.ts';
import { putAccess } from './change-access.ts';
import { setFailOpen } from './change-fail-open.ts';
import { groupsOfUser, readMembers } from './change-group.ts';
import { setLearnMore } from './change-mode.ts';
import { findUnknown } from './change-policy.ts';
import { deactivateUser, reactivateUser, revokeUser } from './change-user.ts';
import { checkDeployment } from './check-deployment.ts';
import { DirectoryObject } from './directory-object.ts';
import type { HeldVersions } from './group-versions.ts';
import * as imports from './import-organization.ts';
import type {
  Deployment,
  JobDescription,
  PolicyDrafts,
  PolicyForWhatIf,
  SnapshotAnswer,
  UserDescription,
} from './organization-answers.ts';
import { readApplications, readClients, readSnapshot } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import {
  findEffectivePolicy,
  findGlobalPolicy,
  findPolicyVersion,
  listGlobalPolicyVersions,
  listPolicyVersions,
  policySourceOf,
  readGlobalPolicy,
} from './policy-records.ts';
import { type ReservationAnswer, reserveBinding } from './reserve-binding.ts';
import { findTombstoneJob, runningTombstoneJobs } from './tombstone-job.ts';
import {
  countReservedShards,
  findUser,
  listActiveUsers,
  readUserStanding,
} from './user-records.ts';
import { readZonesAt } from './zone-records.ts';

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

  /** Whether people may be let in to an application while the broker is away; see `change-fail-open.ts`. */
  async setFailOpen(adminId: string, applicationId: string, input: FailOpenInput) {
    return await this.change(adminId, (sql, nowMs) =>
      setFailOpen(sql, applicationId, input, nowMs),
    );
  }

  async setLearnMore(adminId: string, url: string) {
    return await this.change(adminId, (sql) => setLearnMore(sql, url));
  }

  /** Deactivates or reactivates a user; see `change-user.ts`. */
  async setUserActive(adminId: string, userId: string, active: boolean) {
    return await this.change(adminId, (sql, nowMs) =>
      active ? reactivateUser(sql, userId) : deactivateUser(sql, userId, { newJobId, nowMs }),
    );
  }

  /** Ends every binding of a user, who stays as active as before. */
  async revokeUser(adminId: string, userId: string, reason: string) {
    return await this.change(adminId, (sql, nowMs) =>
      revokeUser(sql, userId, reason, { newJobId, nowMs }),
    );
  }

  /** Whether a certificate may be asked for in this user's name. */
  async userStanding(userId: string) {
    return this.store.read(
      (sql) => ({ ok: true, standing: readUserStanding(sql, userId) }) as const,
    );
  }

  /** A version of an application's policy, or the one in force, which may leave something to the global one. */
  async findPolicy(applicationId: string, version: number | undefined) {
    return this.store.read((sql) => {
      const found = findPolicyVersion(sql, applicationId, version);
      if (found === undefined) return { ok: false, code: 'policy_not_found' } as const;
      const isWhole = version !== undefined || !leavesToGlobal(found.policy);
      const effective = isWhole
        ? undefined
        : effectivePolicy(found.policy, readGlobalPolicy(sql).policy);
      return { ok: true, found, effective } as const;
    });
  }

  async findGlobalPolicy(version: number | undefined) {
    return this.store.read((sql) => {
      const found = findGlobalPolicy(sql, version);
      return found === undefined
        ? ({ ok: false, code: 'policy_not_found' } as const)
        : ({ ok: true, found } as const);
    });
  }

  async listGlobalPolicyVersions() {
    return this.store.read(
      (sql) => ({ ok: true, versions: listGlobalPolicyVersions(sql) }) as const,
    );
  }

  /** Every application, with where its policy is from and who may ask about it. */
  async listApplications() {
    return this.store.read((sql) => {
      const clients = [...readClients(sql).values()];
      const applications = [...readApplications(sql).values()].map((application) => ({
        ...application,
        source: policySourceOf(sql, application.application_id),
        clients: clients
          .filter((client) => client.applications.includes(application.application_id))
          .map(({ client_id }) => client_id),
      }));
      return { ok: true, applications } as const;
    });
  }

  /** What each application says itself, at the organization's version. */
  async ownPolicies() {
    return this.store.read((sql) => {
      const applications = [...readApplications(sql).values()];
      const policies = new Map(
        applications.map(({ application_id, policy }) => [application_id, policy]),
      );
      return { ok: true, version: readVersion(sql), policies } as const;
    });
  }

  async listPolicyVersions(applicationId: string) {
    return this.store.read((sql) => {
      const versions = listPolicyVersions(sql, applicationId);
      return versions.length === 0
        ? ({ ok: false, code: 'policy_not_found' } as const)
        : ({ ok: true, versions } as const);
    });
  }

  /** For drafts: what they name and nothing has, or else the members of the groups that they name. */
  async membersForDrafts(drafts: readonly Pick<ApplicationPolicy, 'rules'>[]) {
    return this.store.read((sql) => {
      for (const draft of drafts) {
        const unknown = findUnknown(sql, draft);
        if (unknown !== undefined) return { ok: false, code: 'field_invalid', unknown } as const;
      }
      const named = new Set(drafts.flatMap((draft) => [...groupsIn(draft)]));
      return { ok: true, groups: readMembers(sql, [...named]) } as const;
    });
  }

  /**
   * What a sign-in of this user would be decided by, read in one moment. Of drafts, what they name must be there.
   *
   * @param drafts in place of the policies in force
   */
  async policyForWhatIf(
    applicationId: string,
    userId: string,
    { own: ownDraft, global: globalDraft }: PolicyDrafts,
  ): Promise<PolicyForWhatIf> {
    return this.store.read((sql): PolicyForWhatIf => {
      const stored = readApplications(sql).get(applicationId);
      if (stored === undefined) return { ok: false, code: 'application_not_found' };
      const unknownOwn = ownDraft === undefined ? undefined : findUnknown(sql, ownDraft);
      if (unknownOwn !== undefined) {
        return { ok: false, code: 'field_invalid', unknown: unknownOwn };
      }
      const unknown = globalDraft === undefined ? undefined : findUnknown(sql, globalDraft);
      if (unknown !== undefined) {
        const field = `global_${unknown.field}`;
        return { ok: false, code: 'field_invalid', unknown: { ...unknown, field } };
      }
      const version = readVersion(sql);
      const policy = effectivePolicy(
        ownDraft === undefined ? stored.policy : { version, ...ownDraft },
        globalDraft === undefined ? readGlobalPolicy(sql).policy : { version, ...globalDraft },
      );
      return {
        ok: true,
        policy,
        groups: groupsOfUser(sql, userId, [...groupsIn(policy)]),
      };
    });
  }

  async putAccess(adminId: string, applicationId: string, change: AccessChange) {
    return await this.change(adminId, (sql, nowMs) =>
      putAccess(sql, applicationId, change, { adminId, nowMs }),
    );
  }

  /** A version of what may be done inside of an application, or the one in force. */
  async findAccess(applicationId: string, version: number | undefined) {
    return this.store.read((sql) => {
      const found = findAccessVersion(sql, applicationId, version);
      return found === undefined
        ? ({ ok: false, code: 'policy_not_found' } as const)
        : ({ ok: true, found } as const);
    });
  }

  async listAccessVersions(applicationId: string) {
    return this.store.read((sql) => {
      const versions = listAccessVersions(sql, applicationId);
      return versions.length === 0
        ? ({ ok: false, code: 'policy_not_found' } as const)
        : ({ ok: true, versions } as const);
    });
  }

  /** Ids of active users on record after this one, in the order of their bytes. */
  async listActiveUsers(after: string, limit: number) {
    return this.store.read(
      (sql) => ({ ok: true, users: listActiveUsers(sql, after, limit) }) as const,
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

  /** What a decision rested on, by the versions that its record names. */
  async decisionBasis(applicationId: string, policyVersion: number, organizationVersion: number) {
    return this.store.read((sql) => {
      const basis = findEffectivePolicy(sql, applicationId, policyVersion);
      const zones = readZonesAt(sql, organizationVersion);
      return { ok: true, basis, zones } as const;
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
