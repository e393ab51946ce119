import { policyDocument } from '@countersign/policy';
import { groupsIn } from '../policy/compiled-policies.ts';
import { type HeldVersions, readStoredGroups } from './group-versions.ts';
import { groupsOnTrial, readIntegrations } from './integration-records.ts';
import {
  readDeviceTrustEnabled,
  readDirectory,
  readIssuers,
  readReadOnly,
} from './organization-settings.ts';
import {
  type Application,
  type RegisteredClient,
  registeredClient,
  type StoredSnapshot,
} from './organization-snapshot.ts';
import { readInactiveNamesJson, readInactiveUsersJson } from './user-records.ts';
import { readZones } from './zone-records.ts';

/** Rows of the `OrganizationObject`, read with a schema: a row that does not fit is damage and fails closed. */

export function readApplications(sql: SqlStorage): Map<string, Application> {
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

export function readSnapshot(
  sql: SqlStorage,
  version: number,
  heldGroups: HeldVersions,
): StoredSnapshot {
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
    inactiveNamesJson: readInactiveNamesJson(sql),
    storedGroups: readStoredGroups(
      sql,
      [
        ...groupsOnTrial(integrations.values()),
        ...[...applications.values()].flatMap(({ policy }) => [...groupsIn(policy)]),
      ],
      heldGroups,
    ),
    readOnly: readReadOnly(sql),
    issuers: readIssuers(sql),
    directory: readDirectory(sql),
    deviceTrustEnabled: readDeviceTrustEnabled(sql),
    zones: readZones(sql),
  };
}
