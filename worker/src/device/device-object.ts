import { drainLog, restartDrain } from '../audit/drain-log.ts';
import { isMilestone } from '../audit/is-milestone.ts';
import { type SystemLogEvent, suppressedEvent } from '../audit/system-log-event.ts';
import { currentTimeMs } from '../clock.ts';
import { isUnavailable, type StorageUnavailable } from '../storage/durable-store.ts';
import { buryUser } from './bury-user.ts';
import { decide } from './decide.ts';
import { isRecorded } from './decision-record.ts';
import type { ShardBlock } from './device-shard.ts';
import { buryIntegration } from './integration-tombstones.ts';
import type { RevocationOrder } from './issuance-request.ts';
import { IssuingObject } from './issuing-object.ts';
import { type ManagementNote, noteManagement } from './note-management.ts';
import { OutboxDelivery } from './outbox-delivery.ts';
import { pkiDestinations } from './pki-destinations.ts';
import { type AccessEntry, type RecordAccessResult, recordAccess } from './record-access.ts';
import { RefusalLimit } from './refusal-limit.ts';
import {
  endManagement,
  holdLineage,
  releaseLineage,
  revokeDevice,
  revokeLineage,
  type StandingAnswer,
  unblockDevice,
} from './revoke-certificates.ts';
import { type DutyOutcome, ShardDuties } from './shard-duties.ts';
import type { Failure } from './shard-object.ts';
import type { DecideResult, SignIn } from './sign-in.ts';

type Actor = RevocationOrder['actor'];

/** Rows of the chain go to the system log together; nobody who waits for a decision waits for that. */
const drainLogAfterMs = 10_000;
/** What could not be told of a revocation at once is told by the alarm. */
const tellAgainAfterMs = 1000;

/**
 * A shard of devices: their certificates, and every decision about them. The unit of consistency. Methods answer with
 * results; each check and its write are one synchronous block, on disk before the answer leaves.
 */
export class DeviceObject extends IssuingObject {
  readonly #refusals = new RefusalLimit();
  readonly #outbox = new OutboxDelivery(
    this.shard,
    pkiDestinations({
      keys: this.env.KEY,
      revocation: this.env.REVOCATION,
      shardCount: Number(this.env.SHARD_COUNT),
    }),
  );
  readonly #duties = new ShardDuties([
    { name: 'intents', run: () => this.finishIntents() },
    { name: 'pki_outbox', run: () => this.#outbox.deliver() },
    { name: 'log', run: () => this.#drainLog() },
  ]);

  /** Decides one sign-in and records it; see `decide.ts`. */
  async decide(shard: number, signIn: SignIn): Promise<DecideResult | StorageUnavailable> {
    return await this.shard.write((block) => {
      const context = Object.assign(block, { shard, refusals: this.#refusals });
      const result = decide(context, signIn);
      this.shard.alarm.ringBy(block.nowMs + drainLogAfterMs);
      return result;
    });
  }

  /** Records what one request was answered about access inside of applications; see `record-access.ts`. */
  async recordAccess(
    shard: number,
    entry: AccessEntry,
  ): Promise<RecordAccessResult | StorageUnavailable> {
    return await this.shard.write((block) => {
      const result = recordAccess(Object.assign(block, { shard }), entry);
      this.shard.alarm.ringBy(block.nowMs + drainLogAfterMs);
      return result;
    });
  }

  /** Revokes a certificate with its lineage. Complete when this returns: every later decision sees it. */
  async revokeCertificate(
    deviceId: string,
    certificateSha256: Uint8Array,
    order: RevocationOrder,
  ): Promise<StandingAnswer> {
    return await this.#changeStanding((block) =>
      revokeLineage(block, { deviceId, certificateSha256 }, order),
    );
  }

  async holdCertificate(deviceId: string, certificateSha256: Uint8Array, actor: Actor) {
    return await this.#changeStanding((block) =>
      holdLineage(block, { deviceId, certificateSha256 }, actor),
    );
  }

  async releaseCertificate(deviceId: string, certificateSha256: Uint8Array, actor: Actor) {
    return await this.#changeStanding((block) =>
      releaseLineage(block, { deviceId, certificateSha256 }, actor),
    );
  }

  /** Revokes all that a device has; see `revoke-certificates.ts`. */
  async revokeDevice(deviceId: string, order: RevocationOrder, blockedReason?: string) {
    return await this.#changeStanding((block) =>
      revokeDevice(block, deviceId, order, blockedReason),
    );
  }

  async unblockDevice(deviceId: string, actor: Actor): Promise<StandingAnswer> {
    return await this.shard.write((block) => unblockDevice(block, deviceId, actor));
  }

  /** The MDM no longer manages the device. Idempotent. */
  async managementEnded(
    deviceId: string,
    integrationId: string,
    reason: RevocationOrder['reason'] = 'cessationOfOperation',
  ): Promise<StandingAnswer> {
    return await this.#changeStanding((block) =>
      endManagement(block, deviceId, integrationId, reason),
    );
  }

  /** Notes what the MDM has said of these devices since; see `note-management.ts`. */
  async noteManagement(
    notes: readonly ManagementNote[],
  ): Promise<{ readonly ok: true } | StorageUnavailable> {
    return await this.shard.write(({ sql, nowMs }) => {
      for (const note of notes) noteManagement(sql, note, nowMs);
      return { ok: true } as const;
    });
  }

  /** Writes a user's tombstone; see `bury-user.ts`. Answers once it is on disk: every later decision sees it. */
  async buryUser(
    userId: string,
    epoch: number,
    reason: RevocationOrder['reason'] = 'affiliationChanged',
  ): Promise<
    { readonly ok: true; readonly revoked: number; readonly suspended: number } | StorageUnavailable
  > {
    return await this.shard.write((block) => {
      this.shard.alarm.ringBy(block.nowMs);
      return { ok: true, ...buryUser(block, userId, epoch, reason) } as const;
    });
  }

  /** Ends an integration in this shard for ever; see `integration-tombstones.ts`. Idempotent. */
  async buryIntegration(integrationId: string): Promise<{ readonly ok: true } | Failure> {
    for (;;) {
      const more = await this.shard.write((block) => {
        this.shard.alarm.ringBy(block.nowMs);
        return buryIntegration(block, integrationId);
      });
      if (isUnavailable(more)) return more;
      if (!more) return { ok: true };
    }
  }

  /** Records that something was refused, as often as the limit allows; of what is beyond it, how much there is. */
  async recordFailure(
    shard: number,
    event: SystemLogEvent,
  ): Promise<{ readonly ok: true } | StorageUnavailable> {
    return await this.shard.write((block) => {
      const { event_type, reason = '' } = event;
      const beyond = this.#refusals.take(`event ${event_type}`, block.nowMs);
      if (beyond === 0) block.log(event, shard);
      else if (isMilestone(beyond)) block.log(suppressedEvent(event_type, beyond, reason), shard);
      this.shard.alarm.ringBy(block.nowMs + drainLogAfterMs);
      return { ok: true } as const;
    });
  }

  /** Records what somebody else has seen, each event once under its id. */
  async recordOnce(
    shard: number,
    events: ReadonlyArray<{ readonly id: string; readonly event: SystemLogEvent }>,
  ): Promise<{ readonly ok: true } | StorageUnavailable> {
    return await this.shard.write((block) => {
      for (const { id, event } of events) {
        if (!isRecorded(block.sql, id)) block.log(event, shard, id);
      }
      this.shard.alarm.ringBy(block.nowMs + drainLogAfterMs);
      return { ok: true } as const;
    });
  }

  /** Sees to what is to be done later; see `shard-duties.ts`. */
  override async alarm(): Promise<void> {
    this.shard.alarm.forget();
    const { againInMs } = await this.#duties.run();
    if (againInMs !== undefined) this.shard.alarm.ringBy(currentTimeMs() + againInMs);
  }

  /** Has the next drain bring every row to the system log again. */
  async restartDrain(): Promise<{ readonly ok: true } | StorageUnavailable> {
    return await this.shard.write(({ sql, nowMs }) => {
      restartDrain(sql);
      this.shard.alarm.ringBy(nowMs);
      return { ok: true } as const;
    });
  }

  async #drainLog(): Promise<DutyOutcome> {
    const report = this.env.REPORT.get(this.env.REPORT.idFromName('report'));
    const outcome = await drainLog(this.shard.store, (batch) => report.takeIn(batch));
    return outcome === 'drained' ? 'done' : outcome;
  }

  /**
   * Changes standings, and tells the world before it answers, so that a list or a responder that is asked next says so,
   * too. Where somebody could not be told, the alarm goes on; the shard's own word stands already.
   */
  async #changeStanding(change: (block: ShardBlock) => StandingAnswer): Promise<StandingAnswer> {
    const changed = await this.shard.write((block) => {
      const answer = change(block);
      if (answer.ok && answer.changed > 0) {
        // What is released may lack its signature.
        this.shard.intentsMayBeLeft = true;
        this.shard.alarm.ringBy(block.nowMs + tellAgainAfterMs);
      }
      return answer;
    });
    if (changed.ok && changed.changed > 0) await this.#outbox.deliver();
    return changed;
  }
}
