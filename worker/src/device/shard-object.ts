import { DurableObject } from 'cloudflare:workers';
import type { ProblemCode } from '@countersign/protocol';
import type { StateSection } from '@countersign/protocol/state';
import { readArchivedPage, startChain } from '../audit/archived-chains.ts';
import { readChainStart } from '../audit/chain-start.ts';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import type { PageRange } from '../storage/export-tables.ts';
import { importBlock } from '../storage/import-block.ts';
import { markIn, readDeviceMark } from '../storage/state-marks.ts';
import { type DescribedCertificate, describeCertificates } from './certificate-records.ts';
import { readChainHead, readDecisionPage } from './decision-record.ts';
import { outboxIsEmpty } from './deliver-pki-standing.ts';
import { type DeviceRow, findDevice } from './device-records.ts';
import { DeviceShard } from './device-shard.ts';
import { pendingApprovals } from './enrollment-approvals.ts';
import { findLastResponse, type LastResponse } from './last-response.ts';
import { boundUsers, countCertificates, listDevices } from './list-devices.ts';
import type { StandingFacts } from './lost-standing.ts';
import { type RelyingApplication, recentPeople } from './recent-people.ts';
import { settleImport } from './settle-import.ts';
import { findShownSignIn, type ShownRow } from './shown-sign-in.ts';
import { type SimulationOrder, simulatePolicy } from './simulate-policy.ts';
import { exportShard, importIntoShard, type ShardImport } from './transfer-shard.ts';

export type Failure = { readonly ok: false; readonly code: ProblemCode };

const mostListed = 200;

/**
 * The part of a device shard that shows and moves what is stored. What changes it by its own rules is in
 * `device-object.ts`.
 */
export abstract class ShardObject extends DurableObject<Environment> {
  protected readonly shard: DeviceShard;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    const shard = new DeviceShard(state.storage, Number(environment.SHARD_COUNT));
    this.shard = shard;
    void state.blockConcurrencyWhile(async () => {
      try {
        await shard.alarm.readPending();
      } catch {
        // A storage that cannot be read says so to whoever asks for anything.
      }
      const nothingToTell = shard.read(outboxIsEmpty);
      if (nothingToTell === false) shard.alarm.ringBy(currentTimeMs());
    });
  }

  /** A device with its certificates, for administrators. */
  async describeDevice(deviceId: string): Promise<
    | {
        readonly ok: true;
        readonly device: DeviceRow;
        readonly certificates: DescribedCertificate[];
        readonly lastResponse: LastResponse | undefined;
      }
    | Failure
  > {
    return this.shard.read((sql) => {
      const device = findDevice(sql, deviceId);
      if (device === undefined) return { ok: false, code: 'device_not_found' } as const;
      return {
        ok: true,
        device,
        certificates: describeCertificates(sql, deviceId),
        lastResponse: findLastResponse(sql, deviceId),
      };
    });
  }

  /** A page of the shard's devices by device id, 200 at most. */
  async listDevices(after: string, limit: number) {
    return this.shard.read((sql) => {
      return { ok: true, devices: listDevices(sql, after, Math.min(limit, mostListed)) } as const;
    });
  }

  async countCertificates() {
    return this.shard.read((sql) => {
      return { ok: true, items: countCertificates(sql, currentTimeMs()) } as const;
    });
  }

  async boundUsers(integrationId?: string) {
    return this.shard.read((sql) => {
      return { ok: true, items: boundUsers(sql, integrationId, currentTimeMs()) } as const;
    });
  }

  /** Who has signed in to these applications lately; see `recent-people.ts`. */
  async recentPeople(
    applications: readonly RelyingApplication[],
    sinceMs: number,
    mostRows: number,
  ) {
    return this.shard.read((sql) => {
      return { ok: true, items: recentPeople(sql, applications, sinceMs, mostRows) } as const;
    });
  }

  /** A page of what a draft would have made of decisions; see `simulate-policy.ts`. */
  async simulatePolicy(order: SimulationOrder, before?: number) {
    return this.shard.read(
      (sql) => ({ ok: true, page: simulatePolicy(sql, order, before) }) as const,
    );
  }

  async pendingApprovals(limit: number) {
    return this.shard.read((sql) => {
      return { ok: true, approvals: pendingApprovals(sql, Math.min(limit, mostListed)) } as const;
    });
  }

  /** A page of the hash chain, with the chain's head at this moment. */
  async decisions(after: number, limit: number) {
    return this.shard.read((sql) => {
      const rows = readDecisionPage(sql, after, limit);
      const start = readChainStart(sql)?.record;
      return { ok: true, rows, head: readChainHead(sql), start } as const;
    });
  }

  /** A sign-in that is shown by its decision token, and what it has lost since; see `shown-sign-in.ts`. */
  async findShownSignIn(row: ShownRow, facts: StandingFacts) {
    return this.shard.read((sql) => {
      return { ok: true, shown: findShownSignIn(sql, row, facts, currentTimeMs()) } as const;
    });
  }

  /** A page of a chain from before an import; `page` is undefined when it is not kept here. */
  async archivedDecisions(chainId: string, after: number, limit: number) {
    return this.shard.read((sql) => {
      return { ok: true, page: readArchivedPage(sql, chainId, after, limit) } as const;
    });
  }

  async stateMark() {
    return await markIn(this.shard.store, (sql) => readDeviceMark(sql, readChainHead(sql)));
  }

  async exportState(section: StateSection, range: PageRange) {
    return this.shard.read((sql) => {
      return { ok: true, page: exportShard(sql, section, range) } as const;
    });
  }

  async importState(page: ShardImport) {
    return await importBlock(this.shard.store, (sql) => importIntoShard(sql, page));
  }

  /**
   * Ends an import in this shard; see `settle-import.ts`. Imported intents without a signature are seen to like others.
   */
  async finishImport(shard: number, importId: string) {
    return await importBlock(this.shard.store, (sql) =>
      this.shard.runBlock(sql, (block) => {
        startChain(sql, shard, importId);
        settleImport(block);
        this.shard.intentsMayBeLeft = true;
        this.shard.alarm.ringBy(block.nowMs + 1000);
      }),
    );
  }
}
