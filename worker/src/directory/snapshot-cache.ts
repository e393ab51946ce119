import { maxSnapshotAgeMs } from '@countersign/protocol/limits';
import type { Deployment, SnapshotAnswer } from './organization-answers.ts';
import {
  type OrganizationSnapshot,
  openSnapshot,
  type ReadSnapshot,
} from './organization-snapshot.ts';

export type SnapshotResult =
  | ({ readonly ok: true } & ReadSnapshot)
  | {
      readonly ok: false;
      readonly code: 'snapshot_unavailable' | 'deployment_mismatch' | 'import_incomplete';
      readonly detail: string;
    };

/** Asks the organization for what is newer than `knownVersion`. */
export type AskForSnapshot = (
  deployment: Deployment,
  knownVersion: number,
) => Promise<SnapshotAnswer>;

/** From this age on a request that may still use the snapshot has it renewed behind its back. */
const renewAfterMs = maxSnapshotAgeMs / 2;

/** Policies and zones that are as before stay the same objects, so that nothing made of them is made again. */
function keepUnchanged(
  newer: OrganizationSnapshot,
  older: OrganizationSnapshot | undefined,
): OrganizationSnapshot {
  if (older === undefined) return newer;
  const applications = new Map(
    [...newer.applications].map(([id, application]) => {
      const policy = older.applications.get(id)?.policy;
      const isSame = policy?.version === application.policy.version;
      return [id, isSame ? { ...application, policy } : application] as const;
    }),
  );
  const access = new Map(
    [...newer.access].map(([id, document]) => {
      const known = older.access.get(id);
      return [id, known?.version === document.version ? known : document] as const;
    }),
  );
  const isSame = JSON.stringify(newer.zones) === JSON.stringify(older.zones);
  return { ...newer, applications, access, zones: isSame ? older.zones : newer.zones };
}

/**
 * The isolate's copy of the organization. A request gets a snapshot of at most five seconds of age or none at all; how
 * fresh it must be is judged again, by its own clock, where the decision is written.
 */
export class SnapshotCache {
  readonly #ask: AskForSnapshot;
  readonly #deployment: Deployment;
  #held: ReadSnapshot | undefined;
  #renewalStartedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ask: AskForSnapshot, deployment: Deployment) {
    this.#ask = ask;
    this.#deployment = deployment;
  }

  /**
   * @param waitUntil keeps a renewal alive that the request itself does not wait for
   */
  async read(nowMs: number, waitUntil: (work: Promise<unknown>) => void): Promise<SnapshotResult> {
    const held = this.#held;
    const ageMs = held === undefined ? Number.POSITIVE_INFINITY : nowMs - held.readAtMs;
    if (held === undefined || ageMs > maxSnapshotAgeMs || ageMs < 0) return this.refresh(nowMs);
    if (ageMs > renewAfterMs && nowMs - this.#renewalStartedAtMs > renewAfterMs) {
      this.#renewalStartedAtMs = nowMs;
      waitUntil(this.refresh(nowMs));
    }
    return { ok: true, ...held };
  }

  /** Reads the newest version now. Each request does its own reading: promises must not be shared between requests. */
  async refresh(nowMs: number): Promise<SnapshotResult> {
    const known = this.#held;
    try {
      const answer = await this.#ask(this.#deployment, known?.snapshot.version ?? 0);
      if (!answer.ok) {
        // What is held is from before the import: it is of nothing that will be served again.
        if (answer.code === 'import_incomplete') this.#held = undefined;
        return answer.code === 'storage_unavailable'
          ? { ok: false, code: 'snapshot_unavailable', detail: answer.code }
          : { ok: false, code: answer.code, detail: answer.detail };
      }
      const snapshot =
        answer.snapshot === undefined
          ? known?.snapshot
          : keepUnchanged(openSnapshot(answer.snapshot), known?.snapshot);
      if (snapshot === undefined) {
        return { ok: false, code: 'snapshot_unavailable', detail: 'no snapshot in the answer' };
      }
      const read = { snapshot, readAtMs: nowMs };
      const aheadMs = (this.#held?.readAtMs ?? nowMs) - nowMs;
      // Slightly newer was read meanwhile by another request; far ahead means that the clock went back.
      if (aheadMs <= 0 || aheadMs > maxSnapshotAgeMs) this.#held = read;
      return { ok: true, ...read };
    } catch (error) {
      return { ok: false, code: 'snapshot_unavailable', detail: String(error) };
    }
  }
}
