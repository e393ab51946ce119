import type {
  IntegrationRecord,
  IntegrationWithCredentials,
} from '../directory/integration-records.ts';
import { type StorageUnavailable, storageUnavailable } from '../storage/durable-store.ts';
import { type ScepValidation, scepValidation } from './intune/scep-validation.ts';
import {
  type ManagementAccess,
  type ManagementRefusal,
  type ManagementSettings,
  openManagement,
} from './load-management.ts';
import type { DeviceIdentity, ManagedDevice } from './managed-device.ts';
import { createMdmClient, type MdmClient } from './mdm-client.ts';
import { MdmQueue } from './mdm-queue.ts';
import type { Fetch, MdmResult } from './mdm-request.ts';

/** An integration, and what its management is asked with. */
export type Management = ManagementAccess & {
  readonly client: MdmClient;
  /** Of the kind `intune` alone. */
  readonly scep: ScepValidation | undefined;
};

export type LoadedManagement = Management | ManagementRefusal | StorageUnavailable;

export type ManagementContext = {
  readonly readSettings: () => Promise<
    | { readonly ok: true; readonly settings: ManagementSettings }
    | { readonly ok: false; readonly setting: string; readonly detail: string }
  >;
  readonly findIntegration: (
    integrationId: string,
  ) => Promise<
    | ({ readonly ok: true } & IntegrationWithCredentials)
    | { readonly ok: false; readonly code: 'integration_not_found' | 'storage_unavailable' }
  >;
  /** What is asked where there is no management. */
  readonly inventory: MdmClient;
  readonly fetch: Fetch;
  readonly now: () => number;
};

/** As old as a snapshot may be. */
const keptMs = 5_000;

const isSame = (one: IntegrationRecord, other: IntegrationRecord) =>
  one.integration_id === other.integration_id && one.version === other.version;

/** The integration as the organization has it now, kept with its access token and its queue until it changes. */
export class CurrentManagement {
  readonly #context: ManagementContext;
  #queue: MdmQueue;
  #settings: ManagementSettings | undefined;
  #loaded: { readonly atMs: number; readonly value: Management } | undefined;
  #loading: Promise<LoadedManagement> | undefined;
  readonly #looking = new Map<string, Promise<MdmResult<readonly ManagedDevice[]>>>();

  constructor(context: ManagementContext) {
    this.#context = context;
    this.#queue = new MdmQueue(context.now);
  }

  /** Begins anew: with a new token, and without a pause that is under way. */
  forget(): void {
    this.#loaded = undefined;
    this.#queue = new MdmQueue(this.#context.now);
  }

  /** Waits for its turn at the management. */
  ask<Value>(ask: () => Promise<MdmResult<Value>>): Promise<MdmResult<Value>> {
    return this.#queue.run(ask);
  }

  /** Devices that are asked about at the same moment are asked about once. */
  findDevices(
    client: MdmClient,
    { serialNumber, hardwareUuid }: DeviceIdentity,
  ): Promise<MdmResult<readonly ManagedDevice[]>> {
    const key = JSON.stringify([serialNumber, hardwareUuid]);
    const running = this.#looking.get(key);
    if (running !== undefined) return running;
    const identity: DeviceIdentity = {
      ...(serialNumber === undefined ? {} : { serialNumber }),
      ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
    };
    const asked = this.ask(() => client.findDevices(identity)).finally(() =>
      this.#looking.delete(key),
    );
    this.#looking.set(key, asked);
    return asked;
  }

  /** Whoever asks at the same moment gets the same one: its token and its queue are for all. */
  async load(integrationId: string): Promise<LoadedManagement> {
    const nowMs = this.#context.now();
    const known = this.#loaded;
    if (known !== undefined && Math.abs(nowMs - known.atMs) < keptMs) return known.value;
    this.#loading ??= this.#load(integrationId, nowMs).finally(() => {
      this.#loading = undefined;
    });
    return await this.#loading;
  }

  async #load(integrationId: string, nowMs: number): Promise<LoadedManagement> {
    const { findIntegration } = this.#context;
    const known = this.#loaded;
    const found = await findIntegration(integrationId);
    if (!found.ok) {
      return found.code === 'storage_unavailable'
        ? storageUnavailable
        : { ok: false, code: found.code, detail: 'the integration was deleted' };
    }
    if (known !== undefined && isSame(known.value.integration, found.integration)) {
      this.#loaded = { atMs: nowMs, value: known.value };
      return known.value;
    }
    const opened = await this.#open(found);
    if (!opened.ok) return opened;
    // What the management of before refused says nothing about this one.
    this.forget();
    this.#loaded = { atMs: nowMs, value: opened };
    return opened;
  }

  async #open(found: IntegrationWithCredentials): Promise<Management | ManagementRefusal> {
    const { readSettings, inventory, fetch, now } = this.#context;
    if (this.#settings === undefined) {
      const read = await readSettings();
      if (!read.ok) {
        const detail = `${read.setting} ${read.detail}`;
        return { ok: false, code: 'configuration_invalid', detail };
      }
      this.#settings = read.settings;
    }
    const opened = await openManagement(found, this.#settings);
    if (!opened.ok) return opened;
    const { integration, urls, secret } = opened;
    const { connection } = integration;
    const context = { fetch, urls, secret, now };
    const networks = this.#settings.outboundNetworks;
    return {
      ...opened,
      client: createMdmClient(connection, context) ?? inventory,
      scep:
        connection.kind === 'intune'
          ? scepValidation(connection, { ...context, networks })
          : undefined,
    };
  }
}
