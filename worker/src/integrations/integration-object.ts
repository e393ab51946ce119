import { DurableObject } from 'cloudflare:workers';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import { readSettings } from '../config/settings.ts';
import { AlarmClock } from '../device/alarm-clock.ts';
import { deviceObjectName } from '../device/placement.ts';
import { maxReportAgeMs } from '../policy/integration-standing.ts';
import {
  keepScepTransaction,
  type ScepTransaction,
  takeScepTransaction,
} from '../scep/scep-records.ts';
import {
  DurableStore,
  isUnavailable,
  type StorageUnavailable,
  storageUnavailable,
} from '../storage/durable-store.ts';
import { CurrentManagement, type Management } from './current-management.ts';
import { integrationMigrations } from './integration-schema.ts';
import type {
  ScepFailed,
  ScepIssued,
  ScepRequest,
  ScepValidation,
} from './intune/scep-validation.ts';
import type { InventoryRow } from './inventory-file.ts';
import { countInventory, inventoryClient, replaceInventory } from './inventory-records.ts';
import { type ManagementRefusal, refusalOfManagement } from './load-management.ts';
import { type DeviceIdentity, judgeDevice, type ManagedDevice } from './managed-device.ts';
import type { MdmClient } from './mdm-client.ts';
import { type MdmResult, mdmFailure } from './mdm-request.ts';
import {
  beginPolling,
  hastenLookUp,
  nextPollMs,
  pollManagement,
  readPollState,
} from './poll-management.ts';
import { beginResumption, readResumption, resumeWatching } from './resume-watching.ts';
import { addScepChallenge } from './scep-challenges.ts';
import { endManagement, reportPosture, type Shards } from './tell-shards.ts';
import { countWatched, findWatched, forgetDevice, watchDevice } from './watched-devices.ts';

const organizationObjectName = 'organization';
const dayMs = 86_400_000;
const retryAlarmMs = 60_000;
/** Records of devices that were checked a moment ago, for `watch`. */
const mostPicked = 1_000;

export type CheckedDevice =
  | { readonly ok: true; readonly device: ManagedDevice }
  | ManagementRefusal
  | StorageUnavailable;

export type TestedCredentials =
  | { readonly ok: true; readonly detail: string }
  | ManagementRefusal
  | StorageUnavailable;

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ event, ...fields }));
}

/**
 * One integration's dealings with its device management: looks devices up when they enroll and renew, asks about them
 * from time to time afterwards, and holds what its webhooks were given.
 */
export class IntegrationObject extends DurableObject<Environment> {
  readonly #store: DurableStore;
  readonly #alarm: AlarmClock;
  readonly #management: CurrentManagement;
  readonly #picked = new Map<string, ManagedDevice>();

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#alarm = new AlarmClock(state.storage);
    this.#store = new DurableStore(state.storage, integrationMigrations, () =>
      this.#alarm.forget(),
    );
    this.#management = new CurrentManagement({
      readSettings: () => readSettings(environment),
      findIntegration: (integrationId) => this.#findIntegration(integrationId),
      inventory: this.#inventory(),
      fetch: (url, init) => fetch(url, init),
      now: currentTimeMs,
    });
    void state.blockConcurrencyWhile(async () => {
      await this.#alarm.readPending().catch(() => undefined);
      const due = this.#store.read((sql) =>
        readResumption(sql) === undefined ? nextPollMs(sql) : currentTimeMs(),
      );
      if (due !== undefined && !isUnavailable(due))
        this.#alarm.ringBy(Math.max(due, currentTimeMs()));
    });
  }

  /** Is this device managed, and heard of lately? Asked before each certificate. */
  async checkDevice(
    integrationId: string,
    device: DeviceIdentity & { readonly deviceId: string },
    purpose: 'enrollment' | 'renewal' | 'poll',
  ): Promise<CheckedDevice> {
    const management = await this.#management.load(integrationId);
    if (!management.ok) return management;
    const { integration, client } = management;
    const found = await this.#management.findDevices(client, device);
    if (!found.ok) {
      log('device_not_checked', {
        integration_id: integrationId,
        device_id: device.deviceId,
        purpose,
        reason: found.reason,
        detail: found.detail,
      });
      return refusalOfManagement(found);
    }
    const verdict = judgeDevice(
      found.value,
      device,
      integration.max_check_in_age_seconds,
      currentTimeMs(),
    );
    if (verdict.ok) {
      this.#keepPicked(device.deviceId, verdict.device);
      return verdict;
    }
    const isFile = integration.kind === 'inventory_file' && verdict.code === 'device_not_managed';
    return isFile
      ? {
          ok: false,
          code: 'device_not_in_inventory',
          detail: 'the inventory file does not have this device',
        }
      : verdict;
  }

  /** Asks about this device from time to time from now on. It is managed, as `checkDevice` has just said. */
  async watch(integrationId: string, device: DeviceIdentity & { readonly deviceId: string }) {
    const management = await this.#management.load(integrationId);
    if (!management.ok) return management;
    const pollIntervalMs = management.integration.poll_interval_seconds * 1000;
    const asked = this.#picked.get(device.deviceId) ?? device;
    return await this.#store.write((sql) => {
      const { round, page } = beginPolling(sql, integrationId, currentTimeMs(), pollIntervalMs);
      // A round that is under way may have passed the device's place already.
      watchDevice(sql, device.deviceId, device, asked, page === null ? round - 1 : round);
      this.#scheduleIn(sql);
      return { ok: true } as const;
    });
  }

  /** After an import: finds the devices that are to be watched, and watches them again. */
  async resumeWatching(integrationId: string) {
    const management = await this.#management.load(integrationId);
    if (!management.ok) return management;
    const pollIntervalMs = management.integration.poll_interval_seconds * 1000;
    return await this.#store.write((sql) => {
      beginResumption(sql, integrationId, currentTimeMs(), pollIntervalMs);
      this.#alarm.ringBy(currentTimeMs());
      return { ok: true } as const;
    });
  }

  async forget(deviceId: string) {
    return await this.#store.write((sql) => {
      forgetDevice(sql, deviceId);
      return { ok: true } as const;
    });
  }

  /** An event named a device: has it looked up soon, which is all that an event can do. */
  async noteEvent(integrationId: string, identity: DeviceIdentity) {
    const management = await this.#management.load(integrationId);
    if (!management.ok) return management;
    const pollIntervalMs = management.integration.poll_interval_seconds * 1000;
    return await this.#store.write((sql) => {
      const watched = findWatched(sql, identity);
      for (const device of watched) hastenLookUp(sql, device, currentTimeMs(), pollIntervalMs);
      if (watched.length > 0) this.#scheduleIn(sql);
      return { ok: true, watched: watched.length } as const;
    });
  }

  /** Asks the management for a page of its devices, with a new token, whatever happened before. */
  async testCredentials(integrationId: string): Promise<TestedCredentials> {
    this.#management.forget();
    const management = await this.#management.load(integrationId);
    if (!management.ok) return management;
    const { integration, client } = management;
    const listed = await client.listDevices();
    if (!listed.ok) return refusalOfManagement(listed);
    const { devices, next } = listed.value;
    if (integration.kind === 'inventory_file' && devices.length === 0) {
      return {
        ok: false,
        code: 'device_not_in_inventory',
        detail: 'there is no inventory file yet',
      };
    }
    const managed = devices.filter((device) => device.managed).length;
    const page = next === undefined ? '' : ' on the first page';
    return { ok: true, detail: `${devices.length} devices${page}, ${managed} of them managed` };
  }

  /** Replaces the inventory. Devices that are not in it any more are treated as those that a management has given up. */
  async putInventory(rows: readonly InventoryRow[]) {
    return await this.#store.write((sql) => {
      const before = countInventory(sql);
      replaceInventory(sql, rows, currentTimeMs());
      return { ok: true, devices: rows.length, devicesBefore: before } as const;
    });
  }

  /** Keeps a challenge that a webhook is answered with. */
  async grantScepChallenge(challengeSha256: Uint8Array, device: DeviceIdentity) {
    return await this.#store.write((sql) =>
      addScepChallenge(sql, challengeSha256, device, currentTimeMs())
        ? ({ ok: true } as const)
        : ({ ok: false, code: 'rate_limited' } as const),
    );
  }

  /** Is a SCEP transaction of this key, and what does its challenge permit? Spends the challenge. */
  async takeScepTransaction(transaction: ScepTransaction) {
    return await this.#store.write((sql) => takeScepTransaction(sql, transaction, currentTimeMs()));
  }

  /** Remembers what a SCEP transaction was answered with. */
  async keepScepTransaction(transaction: ScepTransaction, certificate: Uint8Array) {
    return await this.#store.write((sql) =>
      keepScepTransaction(sql, transaction, certificate, currentTimeMs()),
    );
  }

  /** Intune's word on the challenge in a SCEP request. */
  async validateScepRequest(integrationId: string, request: ScepRequest) {
    return await this.#askIntune(integrationId, (scep) => scep.validateRequest(request));
  }

  async reportScepSuccess(integrationId: string, issued: ScepIssued) {
    return await this.#askIntune(integrationId, (scep) => scep.successNotification(issued));
  }

  async reportScepFailure(integrationId: string, failed: ScepFailed) {
    return await this.#askIntune(integrationId, (scep) => scep.failureNotification(failed));
  }

  /** How far polling has come, for administrators and tests. */
  async describePolling() {
    return this.#store.read((sql) => ({
      ok: true as const,
      ...countWatched(sql),
      round: readPollState(sql)?.round ?? 0,
    }));
  }

  override async alarm(): Promise<void> {
    this.#alarm.forget();
    const state = this.#store.read(readPollState);
    if (state === undefined) return;
    if (isUnavailable(state)) return this.#alarm.ringBy(currentTimeMs() + retryAlarmMs);
    const { integration_id } = state;
    const management = await this.#management.load(integration_id);
    if (management.ok) {
      const resumed = await this.#resume(integration_id, management);
      await this.#poll(integration_id, management);
      if (resumed !== 'done') {
        this.#alarm.ringBy(currentTimeMs() + (resumed === 'more' ? 500 : retryAlarmMs));
      }
    } else if (management.code === 'integration_not_found') return await this.#end();
    else log('management_not_polled', { integration_id, code: management.code });
    const due = this.#store.read(nextPollMs);
    if (due === undefined) return;
    const earliestMs = currentTimeMs() + (management.ok ? 500 : retryAlarmMs);
    this.#alarm.ringBy(isUnavailable(due) ? earliestMs : Math.max(due, earliestMs));
  }

  async #resume(integrationId: string, { integration }: Management) {
    const { DEVICE, SHARD_COUNT } = this.env;
    return await resumeWatching({
      store: this.#store,
      integrationId,
      shardCount: Number(SHARD_COUNT),
      pollIntervalMs: integration.poll_interval_seconds * 1000,
      now: currentTimeMs,
      listDevices: async (shard, after, limit) => {
        try {
          const device = DEVICE.get(DEVICE.idFromName(deviceObjectName(shard)));
          return await device.listDevices(after, limit);
        } catch (error) {
          log('object_failed', { integration_id: integrationId, error: String(error) });
          return { ok: false };
        }
      },
    });
  }

  async #poll(integrationId: string, { integration, client }: Management): Promise<void> {
    const { DEVICE, SHARD_COUNT } = this.env;
    const shards: Shards = {
      shardCount: Number(SHARD_COUNT),
      device: (shard) => DEVICE.get(DEVICE.idFromName(deviceObjectName(shard))),
      log,
    };
    await pollManagement({
      store: this.#store,
      client,
      ask: (ask) => this.#management.ask(ask),
      pollIntervalMs: integration.poll_interval_seconds * 1000,
      now: currentTimeMs,
      endManagement: (deviceId) => endManagement(shards, deviceId, integrationId),
      reportAgainAfterMs: Math.min(maxReportAgeMs(integration) / 4, dayMs),
      reportPosture: (reports) => reportPosture(shards, reports, integrationId),
      log: (event, fields) => log(event, { integration_id: integrationId, ...fields }),
    });
  }

  /** The integration was deleted; what it has issued is revoked by the organization's job. */
  async #end(): Promise<void> {
    await this.#store.write((sql) => {
      for (const table of [
        'watched_devices',
        'polling',
        'inventory',
        'scep_challenges',
        'scep_transactions',
        'resumption',
      ]) {
        sql.exec(`DELETE FROM ${table}`);
      }
    });
  }

  async #askIntune<Value>(
    integrationId: string,
    ask: (scep: ScepValidation) => Promise<MdmResult<Value>>,
  ): Promise<
    { readonly ok: true; readonly value: Value } | ManagementRefusal | StorageUnavailable
  > {
    const management = await this.#management.load(integrationId);
    if (!management.ok) return management;
    const { scep } = management;
    const answer =
      scep === undefined
        ? mdmFailure('refused', 'the integration is not of the kind intune')
        : await this.#management.ask(() => ask(scep));
    return answer.ok ? answer : refusalOfManagement(answer);
  }

  #keepPicked(deviceId: string, device: ManagedDevice): void {
    const [oldest] = this.#picked.keys();
    if (this.#picked.size >= mostPicked && oldest !== undefined) this.#picked.delete(oldest);
    this.#picked.set(deviceId, device);
  }

  #scheduleIn(sql: SqlStorage): void {
    const due = nextPollMs(sql);
    if (due !== undefined) this.#alarm.ringBy(Math.max(due, currentTimeMs()));
  }

  async #findIntegration(integrationId: string) {
    const { ORGANIZATION } = this.env;
    try {
      const organization = ORGANIZATION.get(ORGANIZATION.idFromName(organizationObjectName));
      return await organization.findIntegration(integrationId);
    } catch (error) {
      log('object_failed', { integration_id: integrationId, error: String(error) });
      return storageUnavailable;
    }
  }

  #inventory(): MdmClient {
    return inventoryClient((block) => {
      const value = this.#store.read(block);
      return isUnavailable(value)
        ? mdmFailure('server_failed', 'the inventory cannot be read')
        : value;
    }, currentTimeMs);
  }
}
