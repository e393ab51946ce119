import { policyDocument } from '@countersign/policy';
import * as z from 'zod/mini';
import { groupsIn } from '../policy/compiled-policies.ts';
import { readIntegrations, readNamedGroupsJson } from './integration-records.ts';
import {
  readDeviceTrustEnabled,
  readDirectory,
  readIssuers,
  readLearnMoreUrl,
  readReadOnly,
  readSetting,
} from './organization-settings.ts';
import {
  type Application,
  failOpen,
  type RegisteredClient,
  registeredClient,
  type StoredSnapshot,
} from './organization-snapshot.ts';
import { readInactiveUsersJson } from './user-records.ts';
import { readZones } from './zone-records.ts';

/** Rows of the `OrganizationObject`, read with a schema: a row that does not fit is damage and fails closed. */

export function readVersion(sql: SqlStorage): number {
  return z.int().parse(Number(readSetting(sql, 'version')));
}

/** What snapshots hold has changed: every isolate reads again. */
export function raiseVersion(sql: SqlStorage): number {
  const version = readVersion(sql) + 1;
  sql.exec(`UPDATE settings SET value = ? WHERE name = 'version'`, String(version));
  return version;
}

export function readApplications(sql: SqlStorage): Map<string, Application> {
  const rows = sql
    .exec<{ application_id: string; name: string; policy: string; fail_open: string | null }>(
      'SELECT application_id, name, policy, fail_open FROM applications',
    )
    .toArray();
  return new Map(
    rows.map(({ fail_open, ...row }) => [
      row.application_id,
      {
        ...row,
        policy: policyDocument.parse(JSON.parse(row.policy)),
        ...(fail_open === null ? {} : { fail_open: failOpen.parse(JSON.parse(fail_open)) }),
      },
    ]),
  );
}

export function readSnapshot(sql: SqlStorage, version: number): StoredSnapshot {
  const clients = sql
    .exec<{ document: string }>('SELECT document FROM clients')
    .toArray()
    .map((row): RegisteredClient => registeredClient.parse(JSON.parse(row.document)));
  const integrations = readIntegrations(sql);
  const applications = readApplications(sql);
  return {
    version,
    applications,
    clients: new Map(clients.map((client) => [client.client_id, client])),
    inactiveUsersJson: readInactiveUsersJson(sql),
    integrations,
    groupsJson: readNamedGroupsJson(
      sql,
      integrations.values(),
      [...applications.values()].flatMap(({ policy }) => [...groupsIn(policy)]),
    ),
    readOnly: readReadOnly(sql),
    issuers: readIssuers(sql),
    directory: readDirectory(sql),
    deviceTrustEnabled: readDeviceTrustEnabled(sql),
    zones: readZones(sql),
    learnMoreUrl: readLearnMoreUrl(sql),
  };
}
