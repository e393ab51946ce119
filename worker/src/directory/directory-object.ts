import { encodeBase64url } from '@countersign/protocol';
import type {
  DirectoryImport,
  DirectoryResumption,
  DirectorySync,
} from '@countersign/protocol/admin-directory';
import { currentTimeMs } from '../clock.ts';
import type { GivenGroup } from '../scim/group-steps.ts';
import type { GivenUser } from '../scim/user-steps.ts';
import { AdministeredObject, newJobId } from './administered-object.ts';
import * as groups from './change-directory-group.ts';
import * as users from './change-directory-user.ts';
import { describeDirectoryGroup, findDirectoryGroup } from './directory-group-records.ts';
import { readQuota, readStops, resumeDirectory, usersScope } from './directory-quota.ts';
import { readDirectorySync, setDirectorySync } from './directory-settings.ts';
import { countDirectoryUsers, findDirectoryUser } from './directory-user-records.ts';
import type { DirectoryContext } from './directory-user-standing.ts';
import { importDirectory } from './import-directory.ts';
import { listDirectoryGroups, listDirectoryUsers, type PageQuery } from './list-directory.ts';
import { readVersion } from './organization-settings.ts';

const newScimId = () => `usr_${encodeBase64url(crypto.getRandomValues(new Uint8Array(16)))}`;
const contextAt = (nowMs: number): DirectoryContext => ({ nowMs, newJobId, newScimId });

/** What directories bring, by SCIM or in a file. */
export class DirectoryObject extends AdministeredObject {
  async createDirectoryUser(adminId: string, given: GivenUser) {
    return await this.change(adminId, (sql, nowMs) =>
      users.createDirectoryUser(sql, given, contextAt(nowMs)),
    );
  }

  async changeDirectoryUser(
    adminId: string,
    scimId: string,
    edit: users.UserEdit,
    expected: users.ExpectedVersions,
  ) {
    return await this.change(adminId, (sql, nowMs) =>
      users.changeDirectoryUser(sql, scimId, edit, expected, contextAt(nowMs)),
    );
  }

  async removeDirectoryUser(adminId: string, scimId: string, expected: users.ExpectedVersions) {
    return await this.change(adminId, (sql, nowMs) =>
      users.removeDirectoryUser(sql, scimId, expected, contextAt(nowMs)),
    );
  }

  async findDirectoryUser(scimId: string) {
    this.jobs.watch();
    return this.store.read((sql) =>
      findDirectoryUser(sql, scimId) === undefined
        ? ({ ok: false, code: 'scim_resource_not_found' } as const)
        : ({ ok: true, user: users.describeDirectoryUser(sql, scimId) } as const),
    );
  }

  async listDirectoryUsers(query: PageQuery) {
    this.jobs.watch();
    return this.store.read((sql) => {
      return { ok: true, page: listDirectoryUsers(sql, query) } as const;
    });
  }

  async createDirectoryGroup(adminId: string, given: GivenGroup) {
    return await this.change(adminId, (sql, nowMs) =>
      groups.createDirectoryGroup(sql, given, nowMs),
    );
  }

  async changeDirectoryGroup(
    adminId: string,
    groupId: string,
    edit: groups.GroupEdit,
    expected: users.ExpectedVersions,
  ) {
    return await this.change(adminId, (sql, nowMs) =>
      groups.changeDirectoryGroup(sql, groupId, edit, expected, nowMs),
    );
  }

  async removeDirectoryGroup(adminId: string, groupId: string, expected: users.ExpectedVersions) {
    return await this.change(adminId, (sql) => groups.removeDirectoryGroup(sql, groupId, expected));
  }

  async findDirectoryGroup(groupId: string, withMembers: boolean) {
    return this.store.read((sql) => {
      const group = findDirectoryGroup(sql, groupId);
      if (group === undefined) return { ok: false, code: 'scim_resource_not_found' } as const;
      const described = describeDirectoryGroup(sql, group, withMembers, currentTimeMs());
      return { ok: true, group: described } as const;
    });
  }

  async listDirectoryGroups(query: PageQuery, withMembers: boolean) {
    return this.store.read((sql) => {
      const page = listDirectoryGroups(sql, query, withMembers, currentTimeMs());
      return { ok: true, page } as const;
    });
  }

  /** How the directory is taken over, and how it stands. */
  async directory() {
    return this.store.read((sql) => {
      const counts = countDirectoryUsers(sql);
      const { groups: count } = sql
        .exec<{ groups: number }>(
          "SELECT COUNT(*) AS groups FROM user_groups WHERE origin = 'directory'",
        )
        .one();
      return {
        ok: true,
        sync: readDirectorySync(sql),
        users: counts,
        groups: count,
        quota: readQuota(sql, usersScope, () => counts.active, currentTimeMs()),
        stops: readStops(sql),
        version: readVersion(sql),
      } as const;
    });
  }

  async setDirectorySync(adminId: string, input: DirectorySync) {
    return await this.change(adminId, (sql) => setDirectorySync(sql, input));
  }

  async resumeDirectory(adminId: string, resumption: DirectoryResumption) {
    return await this.change(adminId, (sql, nowMs) => resumeDirectory(sql, resumption, nowMs));
  }

  async importDirectory(adminId: string, input: DirectoryImport) {
    return await this.change(adminId, (sql, nowMs) =>
      importDirectory(sql, input, contextAt(nowMs)),
    );
  }
}
