import { applicationPolicy, groupsIn } from '@countersign/policy';
import { readAccessGroups, readAccessJson } from './access-records.ts';
import { type HeldVersions, readStoredGroups } from './group-versions.ts';
import { groupsOnTrial, readIntegrations } from './integration-records.ts';
import {
  readDeviceTrustEnabled,
  readDirectory,
  readIssuers,
  readLearnMoreUrl,
  readReadOnly,
} from './organization-settings.ts';
import {
  type RegisteredClient,
  registeredClient,
  type StoredApplication,
  type StoredSnapshot,
  storedFailOpen,
} from './organization-snapshot.ts';
import { readGlobalPolicy } from './policy-records.ts';
import { readInactiveNamesJson, readInactiveUsersJson } from './user-records.ts';
import { readZones } from './zone-records.ts';

/** Rows of the `OrganizationObject`, read with a schema: a row that does not fit is damage and fails closed. */

export function readApplications(sql: SqlStorage): Map<string, StoredApplication> {
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
        policy: applicationPolicy.parse(JSON.parse(row.policy)),
        ...(fail_open === null ? {} : openFailOpen(fail_open)),
      },
    ]),
  );
}

function openFailOpen(
  json: string,
): Pick<StoredApplication, 'fail_open' | 'fail_open_statements_end_at_ms'> {
  const { max_age_seconds, statements_end_at_ms } = storedFailOpen.parse(JSON.parse(json));
  return {
    ...(max_age_seconds === undefined ? {} : { fail_open: { max_age_seconds } }),
    ...(statements_end_at_ms === undefined
      ? {}
      : { fail_open_statements_end_at_ms: statements_end_at_ms }),
  };
}

export function readClients(sql: SqlStorage): Map<string, RegisteredClient> {
  const clients = sql
    .exec<{ document: string }>('SELECT document FROM clients')
    .toArray()
    .map((row): RegisteredClient => registeredClient.parse(JSON.parse(row.document)));
  return new Map(clients.map((client) => [client.client_id, client]));
}

export function readSnapshot(
  sql: SqlStorage,
  version: number,
  heldGroups: HeldVersions,
): StoredSnapshot {
  const integrations = readIntegrations(sql);
  const applications = readApplications(sql);
  const globalPolicy = readGlobalPolicy(sql).policy;
  const policies = [globalPolicy, ...[...applications.values()].map(({ policy }) => policy)];
  return {
    version,
    applications,
    globalPolicy,
    clients: readClients(sql),
    inactiveUsersJson: readInactiveUsersJson(sql),
    integrations,
    inactiveNamesJson: readInactiveNamesJson(sql),
    storedGroups: readStoredGroups(
      sql,
      [
        ...groupsOnTrial(integrations.values()),
        ...policies.flatMap((policy) => [...groupsIn(policy)]),
        ...[...readAccessGroups(sql).values()].flatMap((groups) => [...groups]),
      ],
      heldGroups,
    ),
    readOnly: readReadOnly(sql),
    issuers: readIssuers(sql),
    directory: readDirectory(sql),
    deviceTrustEnabled: readDeviceTrustEnabled(sql),
    zones: readZones(sql),
    accessJson: readAccessJson(sql),
    learnMoreUrl: readLearnMoreUrl(sql),
  };
}
