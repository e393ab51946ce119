import type {
  IntegrationChange,
  IntegrationInput,
  IntegrationState,
} from '@countersign/protocol/admin-integrations';
import {
  findIntegration,
  type IntegrationRecord,
  type IntegrationWithCredentials,
  removeIntegration,
  storeIntegration,
} from './integration-records.ts';
import type { Outcome } from './record-change.ts';
import {
  createIntegrationJob,
  findIntegrationJob,
  findTombstoneJob,
  type TombstoneJob,
} from './tombstone-job.ts';

/** The life of an integration: disabled, on trial with groups, for all, deleted. Within blocks of the organization. */

export type NewSecret = NonNullable<IntegrationRecord['secret']>;

export type IntegrationRefusal =
  | { readonly ok: false; readonly code: 'integration_not_found' }
  | { readonly ok: false; readonly code: 'group_not_found'; readonly group: string }
  /** `field` does not fit what is on record. */
  | {
      readonly ok: false;
      readonly code: 'field_invalid';
      readonly field: string;
      readonly detail: string;
    };

type IntegrationOutcome = Outcome<IntegrationRecord> | IntegrationRefusal;

const notFound = { ok: false, code: 'integration_not_found' } as const;

const stateText = (state: IntegrationState) =>
  state.mode === 'test_groups' ? `test_groups ${state.groups.join(' ')}` : state.mode;

/** Creates an integration. It counts for nobody until its state is changed. */
export function createIntegration(
  sql: SqlStorage,
  integrationId: string,
  input: Omit<IntegrationInput, 'credentials'>,
  sealedCredentials: string | undefined,
  secret: NewSecret,
  nowMs: number,
): Outcome<IntegrationRecord> {
  const integration: IntegrationRecord = {
    ...input,
    integration_id: integrationId,
    version: 1,
    kind: input.connection.kind,
    state: { mode: 'disabled' },
    secret,
    created_at_ms: nowMs,
  };
  storeIntegration(sql, { integration, sealedCredentials });
  return {
    ok: true,
    value: integration,
    event: {
      event_type: 'admin.integration.create',
      integration_id: integrationId,
      debug_data: { name: input.name, kind: integration.kind, authority: input.authority },
    },
  };
}

/** Stores what is not the same as before, as the record's next version. */
function replace(
  sql: SqlStorage,
  before: IntegrationWithCredentials,
  changes: Partial<IntegrationRecord>,
  sealedCredentials: string | undefined,
  event: NonNullable<Outcome<unknown>['event']>,
): Outcome<IntegrationRecord> {
  const changed = { ...before.integration, ...changes };
  const isSame =
    JSON.stringify(changed) === JSON.stringify(before.integration) &&
    sealedCredentials === before.sealedCredentials;
  if (isSame) return { ok: true, value: before.integration, event: undefined };
  const integration = { ...changed, version: before.integration.version + 1 };
  storeIntegration(sql, { integration, sealedCredentials });
  return { ok: true, value: integration, event };
}

/**
 * Changes its settings. Who may change the address of the management, and does not know the credentials, must not have
 * them sent to another address: they have to come again with every change of the connection.
 */
export function changeIntegration(
  sql: SqlStorage,
  integrationId: string,
  { override, ...change }: Omit<IntegrationChange, 'credentials'>,
  sealedCredentials: string | undefined,
): IntegrationOutcome {
  const before = findIntegration(sql, integrationId);
  if (before === undefined) return notFound;
  const { integration } = before;
  const { connection } = change;
  if (connection.kind !== integration.kind) {
    const detail = `must be ${integration.kind}: an integration keeps its kind`;
    return { ok: false, code: 'field_invalid', field: 'connection.kind', detail };
  }
  const isConnected = JSON.stringify(connection) === JSON.stringify(integration.connection);
  const needsCredentials = connection.kind !== 'inventory_file' && !isConnected;
  if (needsCredentials && sealedCredentials === undefined) {
    const detail = 'must be sent again when the connection changes';
    return { ok: false, code: 'field_invalid', field: 'credentials', detail };
  }
  if (connection.kind === 'inventory_file' && sealedCredentials !== undefined) {
    const detail = 'are not known here: an inventory file has none';
    return { ok: false, code: 'field_invalid', field: 'credentials', detail };
  }
  return replace(sql, before, change, sealedCredentials ?? before.sealedCredentials, {
    event_type: 'admin.integration.update',
    integration_id: integrationId,
    debug_data: {
      name: change.name,
      authority: change.authority,
      profile: change.profile,
      trust_shared_secret: String(change.trust_shared_secret),
      outage: change.outage,
      credentials: sealedCredentials === undefined ? 'kept' : 'replaced',
      ...(override ? { override: 'true' } : {}),
    },
  });
}

export function setIntegrationState(
  sql: SqlStorage,
  integrationId: string,
  state: IntegrationState,
  isOverride: boolean,
): IntegrationOutcome {
  const before = findIntegration(sql, integrationId);
  if (before === undefined) return notFound;
  const missing =
    state.mode === 'test_groups'
      ? state.groups.find(
          (group) =>
            sql.exec('SELECT 1 FROM user_groups WHERE group_id = ?', group).toArray().length === 0,
        )
      : undefined;
  if (missing !== undefined) return { ok: false, code: 'group_not_found', group: missing };
  return replace(sql, before, { state }, before.sealedCredentials, {
    event_type: 'admin.integration.set_state',
    integration_id: integrationId,
    debug_data: {
      from: stateText(before.integration.state),
      to: stateText(state),
      ...(isOverride ? { override: 'true' } : {}),
    },
  });
}

/** From this block's end on, the secret of before proves nothing any more. */
export function resetIntegrationSecret(
  sql: SqlStorage,
  integrationId: string,
  secret: NewSecret,
): IntegrationOutcome {
  const before = findIntegration(sql, integrationId);
  if (before === undefined) return notFound;
  return replace(sql, before, { secret }, before.sealedCredentials, {
    event_type: 'admin.integration_secret.reset',
    integration_id: integrationId,
    debug_data: { secret_id: secret.secret_id },
  });
}

export function resetWebhookSecret(
  sql: SqlStorage,
  integrationId: string,
  secretSha256: string,
): IntegrationOutcome {
  const before = findIntegration(sql, integrationId);
  if (before === undefined) return notFound;
  const changes = { webhook_secret_sha256: secretSha256 };
  return replace(sql, before, changes, before.sealedCredentials, {
    event_type: 'admin.webhook_secret.reset',
    integration_id: integrationId,
  });
}

/**
 * Deletes an integration: no snapshot has it from now on, so its certificates count for nobody, and a job revokes
 * them in every shard, known or not to hold any.
 */
export function deleteIntegration(
  sql: SqlStorage,
  integrationId: string,
  isOverride: boolean,
  newJob: { readonly jobId: string; readonly shardCount: number; readonly nowMs: number },
): Outcome<TombstoneJob> | IntegrationRefusal {
  const known = findIntegrationJob(sql, integrationId);
  if (known !== undefined) return { ok: true, value: known, event: undefined };
  const before = findIntegration(sql, integrationId);
  if (before === undefined) return notFound;
  removeIntegration(sql, integrationId);
  createIntegrationJob(sql, { integrationId, ...newJob });
  const job = findTombstoneJob(sql, newJob.jobId);
  if (job === undefined) throw new Error('a job that was just stored is there');
  return {
    ok: true,
    value: job,
    event: {
      event_type: 'admin.integration.delete',
      integration_id: integrationId,
      debug_data: {
        name: before.integration.name,
        job_id: newJob.jobId,
        ...(isOverride ? { override: 'true' } : {}),
      },
    },
  };
}
