import { maxSnapshotAgeMs } from '@countersign/protocol/limits';
import type { HeldGroup, HeldVersions } from './group-versions.ts';
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

/** Asks the organization for what is newer than `knownVersion`, and than the groups that are held. */
export type AskForSnapshot = (
  deployment: Deployment,
  knownVersion: number,
  heldGroups: HeldVersions,
) => Promise<SnapshotAnswer>;

/** Answers hold at least 8 MiB of members each. */
const mostQuestions = 32;

type Held = ReadSnapshot & { readonly groups: ReadonlyMap<string, HeldGroup> };

const versionsOf = (groups: ReadonlyMap<string, HeldGroup>): HeldVersions =>
  Object.fromEntries([...groups].map(([id, { version }]) => [id, version]));

/** From this age on a request that may still use the snapshot has it renewed behind its back. */
const renewAfterMs = maxSnapshotAgeMs / 2;

/** Policies and zones that are as before stay the same objects, so that nothing made of them is made again. */
function keepUnchanged(
  newer: OrganizationSnapshot,
  older: OrganizationSnapshot | undefined,
): OrganizationSnapshot {
  if (older === undefined || older === newer) return newer;
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
  #held: Held | undefined;
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
    return { ok: true, snapshot: held.snapshot, readAtMs: held.readAtMs };
  }

  /** Reads the newest version now. Each request does its own reading: promises must not be shared between requests. */
  async refresh(nowMs: number): Promise<SnapshotResult> {
    const known = this.#held;
    try {
      const answer = await this.#askWhole(known);
      if (!answer.ok) {
        // What is held is from before the import: it is of nothing that will be served again.
        if (answer.code === 'import_incomplete') this.#held = undefined;
        return answer.code === 'storage_unavailable'
          ? { ok: false, code: 'snapshot_unavailable', detail: answer.code }
          : { ok: false, code: answer.code, detail: answer.detail };
      }
      const opened = answer.opened ?? known;
      if (opened === undefined) {
        return { ok: false, code: 'snapshot_unavailable', detail: 'no snapshot in the answer' };
      }
      const snapshot = keepUnchanged(opened.snapshot, known?.snapshot);
      const read = { snapshot, readAtMs: nowMs };
      const aheadMs = (this.#held?.readAtMs ?? nowMs) - nowMs;
      // Slightly newer was read meanwhile by another request; far ahead means that the clock went back.
      if (aheadMs <= 0 || aheadMs > maxSnapshotAgeMs) {
        this.#held = { ...read, groups: opened.groups };
      }
      return { ok: true, ...read };
    } catch (error) {
      return { ok: false, code: 'snapshot_unavailable', detail: String(error) };
    }
  }

  /**
   * One question, but where an isolate that has nothing yet needs more members of groups than one answer may hold: then
   * it goes on asking until it has the groups of one version whole.
   */
  async #askWhole(known: Held | undefined) {
    let groups = known?.groups ?? new Map<string, HeldGroup>();
    let knownVersion = known?.snapshot.version ?? 0;
    for (let asked = 0; asked < mostQuestions; asked += 1) {
      const answer = await this.#ask(this.#deployment, knownVersion, versionsOf(groups));
      if (!answer.ok) return answer;
      if (answer.snapshot === undefined) return { ok: true, opened: undefined } as const;
      const opened = openSnapshot(answer.snapshot, groups);
      const isWhole = answer.snapshot.storedGroups.every(({ kind }) => kind !== 'later');
      if (isWhole) return { ok: true, opened } as const;
      groups = new Map([...groups, ...opened.groups]);
      // What came is not a whole snapshot: the next answer must be one, whatever its version.
      knownVersion = 0;
    }
    throw new Error('the members of groups do not come to an end');
  }
}
