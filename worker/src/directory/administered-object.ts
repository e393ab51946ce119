import { DurableObject } from 'cloudflare:workers';
import type { GlobalPolicyChange, PolicyChange, ZoneInput } from '@countersign/policy';
import { encodeBase64url } from '@countersign/protocol';
import type { ApplicationInput, ClientInput } from '@countersign/protocol/admin';
import type { AdminChange, AdminInput, ModeInput } from '@countersign/protocol/admin-access';
import type {
  GroupInput,
  IntegrationChange,
  IntegrationInput,
  IntegrationState,
} from '@countersign/protocol/admin-integrations';
import { appendEvent } from '../audit/append-event.ts';
import { restartDrain } from '../audit/drain-log.ts';
import { LogDrain } from '../audit/log-drain.ts';
import type { AdminEventType, SystemLogEvent } from '../audit/system-log-event.ts';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import type { DeviceObject } from '../device/device-object.ts';
import { deviceObjectName } from '../device/placement.ts';
import { DurableStore, type StorageUnavailable } from '../storage/durable-store.ts';
import { readAdmins } from './admin-records.ts';
import * as admins from './change-admin.ts';
import { putApplication, putClient } from './change-application.ts';
import { findGroup, listGroups, putGroup, removeGroup } from './change-group.ts';
import * as integrations from './change-integration.ts';
import { activateIssuer, readMode, retireIssuer, setDeviceTrust, setMode } from './change-mode.ts';
import { putGlobalPolicy, putPolicy } from './change-policy.ts';
import { putZone, removeZone } from './change-zone.ts';
import {
  beginIdempotent,
  type IdempotencyName,
  keepIdempotent,
  releaseIdempotent,
} from './idempotency-records.ts';
import { findIntegration } from './integration-records.ts';
import { JobRunner } from './job-runner.ts';
import type { IntegrationFound } from './organization-answers.ts';
import { organizationMigrations } from './organization-schema.ts';
import { readVersion } from './organization-settings.ts';
import {
  appendAdminEvent,
  type Outcome,
  type RecordedOf,
  type Refusal,
  randomId,
  readOrganizationHead,
  recordChange,
} from './record-change.ts';
import type { Delivery } from './tombstone-job.ts';

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ event, ...fields }));
}

export const newJobId = () => `job_${encodeBase64url(crypto.getRandomValues(new Uint8Array(16)))}`;

/**
 * What administrators change about the organization. Its use cases are functions over its database; what it adds is
 * that each is one block, is in the log, and has the alarm set that it needs.
 */
export class AdministeredObject extends DurableObject<Environment> {
  protected readonly store: DurableStore;
  protected readonly jobs: JobRunner;
  protected readonly logDrain: LogDrain;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.store = new DurableStore(state.storage, organizationMigrations);
    this.jobs = new JobRunner({
      storage: state.storage,
      store: this.store,
      waitUntil: (work) => state.waitUntil(work),
      bury: (delivery) => this.#bury(delivery),
      log,
    });
    state.waitUntil(this.jobs.resume());
    this.logDrain = new LogDrain({
      store: this.store,
      takeIn: (batch) =>
        environment.REPORT.get(environment.REPORT.idFromName('report')).takeIn(batch),
      waitUntil: (work) => state.waitUntil(work),
    });
  }

  /** One block: the change, its version, its line in the log, its job and the alarm that runs it. */
  protected readonly change = async <Result extends Outcome<unknown> | Refusal>(
    adminId: string,
    change: (sql: SqlStorage, nowMs: number) => Result,
  ): Promise<RecordedOf<Result> | StorageUnavailable> => {
    const changed = await this.store.write((sql) => {
      const nowMs = currentTimeMs();
      const recorded = recordChange(sql, adminId, nowMs, () => change(sql, nowMs));
      this.jobs.schedule(sql, nowMs);
      return recorded;
    });
    this.logDrain.start();
    return changed;
  };

  async #bury({ kind, shard, user_id, epoch, integration_id }: Delivery) {
    const name = deviceObjectName(shard);
    const device: DurableObjectStub<DeviceObject> = this.env.DEVICE.get(
      this.env.DEVICE.idFromName(name),
    );
    return kind === 'user'
      ? await device.buryUser(user_id, epoch)
      : await device.buryIntegration(integration_id);
  }

  async putApplication(adminId: string, id: string, input: ApplicationInput) {
    return await this.change(adminId, (sql, nowMs) =>
      putApplication(sql, id, input, { adminId, nowMs }),
    );
  }

  async putPolicy(adminId: string, applicationId: string, change: PolicyChange) {
    return await this.change(adminId, (sql, nowMs) =>
      putPolicy(sql, applicationId, change, { adminId, nowMs }),
    );
  }

  async putGlobalPolicy(adminId: string, change: GlobalPolicyChange) {
    return await this.change(adminId, (sql, nowMs) =>
      putGlobalPolicy(sql, change, { adminId, nowMs }),
    );
  }

  async putZone(adminId: string, zoneId: string, input: ZoneInput) {
    return await this.change(adminId, (sql) => putZone(sql, zoneId, input));
  }

  async removeZone(adminId: string, zoneId: string) {
    return await this.change(adminId, (sql) => removeZone(sql, zoneId));
  }

  async putClient(adminId: string, id: string, input: ClientInput) {
    return await this.change(adminId, (sql) => putClient(sql, id, input));
  }

  /** For this and the following ones see `change-integration.ts`. */
  async createIntegration(
    adminId: string,
    integrationId: string,
    input: Omit<IntegrationInput, 'credentials'>,
    sealedCredentials: string | undefined,
    secret: Omit<integrations.NewSecret, 'created_at_ms'>,
  ) {
    return await this.change(adminId, (sql, nowMs) => {
      const newSecret = { ...secret, created_at_ms: nowMs };
      return integrations.createIntegration(
        sql,
        integrationId,
        input,
        sealedCredentials,
        newSecret,
        nowMs,
      );
    });
  }

  async changeIntegration(
    adminId: string,
    integrationId: string,
    change: Omit<IntegrationChange, 'credentials'>,
    sealedCredentials: string | undefined,
  ) {
    return await this.change(adminId, (sql) =>
      integrations.changeIntegration(sql, integrationId, change, sealedCredentials),
    );
  }

  async setIntegrationState(
    adminId: string,
    integrationId: string,
    state: IntegrationState,
    isOverride: boolean,
  ) {
    return await this.change(adminId, (sql) =>
      integrations.setIntegrationState(sql, integrationId, state, isOverride),
    );
  }

  async resetIntegrationSecret(
    adminId: string,
    integrationId: string,
    secret: Omit<integrations.NewSecret, 'created_at_ms'>,
  ) {
    return await this.change(adminId, (sql, nowMs) =>
      integrations.resetIntegrationSecret(sql, integrationId, { ...secret, created_at_ms: nowMs }),
    );
  }

  async resetWebhookSecret(adminId: string, integrationId: string, secretSha256: string) {
    return await this.change(adminId, (sql) =>
      integrations.resetWebhookSecret(sql, integrationId, secretSha256),
    );
  }

  async deleteIntegration(
    adminId: string,
    integrationId: string,
    shardCount: number,
    isOverride: boolean,
  ) {
    return await this.change(adminId, (sql, nowMs) => {
      const newJob = { jobId: newJobId(), shardCount, nowMs };
      return integrations.deleteIntegration(sql, integrationId, isOverride, newJob);
    });
  }

  /** An integration with what opens its management, sealed. */
  async findIntegration(integrationId: string): Promise<IntegrationFound> {
    return this.store.read((sql): IntegrationFound => {
      const found = findIntegration(sql, integrationId);
      return found === undefined
        ? { ok: false, code: 'integration_not_found' }
        : { ok: true, ...found };
    });
  }

  async putGroup(adminId: string, groupId: string, input: GroupInput) {
    return await this.change(adminId, (sql, nowMs) => putGroup(sql, groupId, input, nowMs));
  }

  async removeGroup(adminId: string, groupId: string) {
    return await this.change(adminId, (sql) => removeGroup(sql, groupId, 'administrator'));
  }

  async findGroup(groupId: string) {
    return this.store.read((sql) => {
      const group = findGroup(sql, groupId);
      return group === undefined
        ? ({ ok: false, code: 'group_not_found' } as const)
        : ({ ok: true, group } as const);
    });
  }

  async listGroups() {
    return this.store.read((sql) => ({ ok: true, groups: listGroups(sql) }) as const);
  }

  /** For this and the following ones see `change-admin.ts`. */
  async authenticateAdmin(tokenSha256: Uint8Array) {
    return this.store.read((sql) => admins.authenticateAdmin(sql, tokenSha256, currentTimeMs()));
  }

  async createAdmin(adminId: string, newId: string, input: AdminInput, tokenSha256: Uint8Array) {
    return await this.change(adminId, (sql, nowMs) =>
      admins.createAdmin(sql, newId, input, tokenSha256, nowMs),
    );
  }

  async changeAdmin(adminId: string, changedId: string, change: AdminChange) {
    return await this.change(adminId, (sql) => admins.changeAdmin(sql, changedId, change));
  }

  async renewAdminToken(
    adminId: string,
    renewedId: string,
    tokenSha256: Uint8Array,
    ttlSeconds: number,
  ) {
    return await this.change(adminId, (sql, nowMs) =>
      admins.renewAdminToken(sql, renewedId, tokenSha256, nowMs + ttlSeconds * 1000),
    );
  }

  async revokeAdmin(adminId: string, revokedId: string) {
    return await this.change(adminId, (sql, nowMs) => admins.revokeAdmin(sql, revokedId, nowMs));
  }

  async listAdmins() {
    return this.store.read((sql) => ({ ok: true, admins: readAdmins(sql) }) as const);
  }

  async setMode(adminId: string, input: ModeInput) {
    return await this.change(adminId, (sql) => setMode(sql, input));
  }

  async mode() {
    return this.store.read(
      (sql) => ({ ok: true, mode: readMode(sql), version: readVersion(sql) }) as const,
    );
  }

  async setDeviceTrust(adminId: string, enabled: boolean, isOverride: boolean) {
    return await this.change(adminId, (sql) => setDeviceTrust(sql, enabled, isOverride));
  }

  async activateIssuer(adminId: string, issuerId: string) {
    return await this.change(adminId, (sql) => activateIssuer(sql, issuerId));
  }

  async retireIssuer(
    adminId: string,
    issuerId: string,
    firstIssuerId: string,
    isOverride: boolean,
  ) {
    return await this.change(adminId, (sql) =>
      retireIssuer(sql, issuerId, firstIssuerId, isOverride),
    );
  }

  /** Notes in the organization's log what an administrator has done elsewhere than in the organization. */
  async noteAdminEvent(
    adminId: string,
    eventType: AdminEventType,
    facts: Readonly<Record<string, string>>,
  ): Promise<{ readonly ok: true } | StorageUnavailable> {
    const noted = await this.store.write((sql) => {
      const event = { event_type: eventType, debug_data: facts };
      appendAdminEvent(sql, adminId, event, currentTimeMs());
      return { ok: true } as const;
    });
    this.logDrain.start();
    return noted;
  }

  /** Notes what nobody did: that a stream of the log is paused. */
  async recordEvent(event: SystemLogEvent): Promise<{ readonly ok: true } | StorageUnavailable> {
    const recorded = await this.store.write((sql) => {
      const context = { shard: 'organization', nowMs: currentTimeMs(), randomId } as const;
      appendEvent(sql, readOrganizationHead(sql), event, context);
      return { ok: true } as const;
    });
    this.logDrain.start();
    return recorded;
  }

  /** Brings every row of the organization's log to the system log again. */
  async restartDrain(): Promise<{ readonly ok: true } | StorageUnavailable> {
    const restarted = await this.store.write((sql) => {
      restartDrain(sql);
      return { ok: true } as const;
    });
    this.logDrain.start();
    return restarted;
  }

  /** A page of the organization's log, with the head of its chain at this moment. */
  async adminEvents(after: number, limit: number) {
    return this.store.read((sql) => {
      const rows = sql
        .exec<{ sequence: number; record: string; hash: ArrayBuffer }>(
          'SELECT sequence, record, hash FROM decisions WHERE sequence > ? ORDER BY sequence LIMIT ?',
          after,
          limit,
        )
        .toArray();
      return { ok: true, rows, head: readOrganizationHead(sql) } as const;
    });
  }

  /** For this and the following ones see `idempotency-records.ts`. */
  async beginIdempotent(name: IdempotencyName, requestSha256: Uint8Array) {
    return await this.store.write((sql) =>
      beginIdempotent(sql, name, requestSha256, currentTimeMs()),
    );
  }

  async keepIdempotent(name: IdempotencyName, sealedAnswer: string) {
    return await this.store.write((sql) => {
      keepIdempotent(sql, name, sealedAnswer);
      return { ok: true } as const;
    });
  }

  async releaseIdempotent(name: IdempotencyName) {
    return await this.store.write((sql) => {
      releaseIdempotent(sql, name);
      return { ok: true } as const;
    });
  }
}
