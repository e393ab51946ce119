import { DurableObject } from 'cloudflare:workers';
import { encodeBase64url, type ProblemCode } from '@countersign/protocol';
import type { StateSection } from '@countersign/protocol/state';
import { identifyPublicKey, parseSubjectPublicKeyInfo } from '@countersign/x509';
import { readArchivedPage, startChain } from '../audit/archived-chains.ts';
import { readChainStart } from '../audit/chain-start.ts';
import { type ChainHead, emptyChain } from '../audit/hash-chain.ts';
import { oneYearProfile } from '../ca/certificate-profile.ts';
import { type Issuer, loadIssuer, planCertificate, signCertificate } from '../ca/issuer.ts';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import { readSettings } from '../config/settings.ts';
import {
  DurableStore,
  isUnavailable,
  type StorageUnavailable,
  storageUnavailable,
} from '../storage/durable-store.ts';
import type { PageRange } from '../storage/export-tables.ts';
import { importBlock } from '../storage/import-block.ts';
import { markIn, readDeviceMark } from '../storage/state-marks.ts';
import { buryUser } from './bury-user.ts';
import { decide } from './decide.ts';
import { readChainHead, readDecisionPage } from './decision-record.ts';
import {
  type DescribedCertificate,
  type DeviceRow,
  describeCertificates,
  findCertificate,
  findCertificateByNumber,
  findDevice,
  unfinishedIntents,
} from './device-records.ts';
import { deviceMigrations } from './device-schema.ts';
import {
  examineIssuance,
  type IssuanceRequest,
  planIssuance,
  revokeCertificate,
  storeCertificate,
} from './issue-certificate.ts';
import { RefusalLimit } from './refusal-limit.ts';
import type { DecideResult, SignIn } from './sign-in.ts';
import { exportShard, importIntoShard, type ShardImport } from './transfer-shard.ts';

type Failure = { readonly ok: false; readonly code: ProblemCode };

export type IssuedAnswer = { readonly ok: true; readonly certificate: Uint8Array } | Failure;

/** An intent without a certificate is finished by the alarm after this long; a retry may come first. */
const finishIntentsAfterMs = 30_000;

/**
 * A shard of devices: their certificates, and every decision about them. The unit of consistency. Methods answer with
 * results; each check and its write are one synchronous block, on disk before the answer leaves.
 */
export class DeviceObject extends DurableObject<Environment> {
  readonly #store: DurableStore;
  readonly #refusals = new RefusalLimit();
  #head: ChainHead = emptyChain;
  #issuer: Issuer | undefined;
  #alarmPending = false;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, deviceMigrations, () => {
      this.#readHeadAgain();
      // One that was set in what was undone is not set.
      this.#alarmPending = false;
    });
    this.#readHeadAgain();
  }

  /** Decides one sign-in and records it; see `decide.ts`. */
  async decide(shard: number, signIn: SignIn): Promise<DecideResult | StorageUnavailable> {
    return await this.#store.write((sql) => {
      const block = decide(
        {
          sql,
          shard,
          head: this.#head,
          nowMs: currentTimeMs(),
          randomId: () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16))),
          refusals: this.#refusals,
        },
        signIn,
      );
      this.#head = block.head;
      return block.result;
    });
  }

  /** Stores a one-time enrollment token for a device. */
  async addEnrollmentToken(
    deviceId: string,
    tokenSha256: Uint8Array,
    expiresAtMs: number,
  ): Promise<{ readonly ok: true } | Failure> {
    return await this.#store.write((sql) => {
      sql.exec(
        'INSERT INTO enrollment_tokens (token_sha256, device_id, expires_at_ms) VALUES (?, ?, ?)',
        tokenSha256,
        deviceId,
        expiresAtMs,
      );
      return { ok: true } as const;
    });
  }

  /** Would this request be issued a certificate? Writes nothing. */
  async examineIssuance(request: IssuanceRequest): Promise<{ readonly ok: true } | Failure> {
    return this.#store.read((sql): { readonly ok: true } | Failure => {
      const examined = examineIssuance(sql, request, currentTimeMs());
      return examined.ok ? { ok: true } : examined;
    });
  }

  /**
   * Issues the certificate of a proven key: intent, signature, certificate. A retry, also a parallel one, gets the
   * same certificate.
   */
  async issue(request: IssuanceRequest): Promise<IssuedAnswer> {
    const publicKey = parseSubjectPublicKeyInfo(request.subjectPublicKeyInfo);
    if (!publicKey.ok) return { ok: false, code: 'csr_key_not_allowed' };
    const identified = await identifyPublicKey(publicKey.value);
    const issuer = await this.#loadedIssuer();
    if (issuer === undefined) return { ok: false, code: 'configuration_invalid' };

    const planned = await this.#store.write((sql) => {
      const nowMs = currentTimeMs();
      const plan = () => ({
        issuerId: issuer.id,
        ...planCertificate(issuer, oneYearProfile, request.deviceId, identified, nowMs),
      });
      const result = planIssuance(sql, request, plan, nowMs);
      if (result.ok) this.#scheduleIntentAlarm(nowMs);
      return result;
    });
    if (!planned.ok) return planned;
    const certificate = await this.#finishIntent(issuer, planned.certificateNumber);
    return certificate === undefined ? storageUnavailable : { ok: true, certificate };
  }

  /** Finishes intents whose signature was lost to a crash. */
  override async alarm(): Promise<void> {
    this.#alarmPending = false;
    const issuer = await this.#loadedIssuer();
    const nowMs = currentTimeMs();
    // Settings that are wrong for the moment, a signature that could not be stored, more intents than one round takes.
    if (issuer === undefined || (await this.#finishIntents(issuer, nowMs)) > 0) {
      this.#scheduleIntentAlarm(nowMs);
    }
  }

  /** Returns how many intents are left. */
  async #finishIntents(issuer: Issuer, nowMs: number): Promise<number> {
    const unfinished = () => this.#store.read((sql) => unfinishedIntents(sql, issuer.id, nowMs));
    const found = unfinished();
    if (isUnavailable(found)) return 0;
    for (const number of found) await this.#finishIntent(issuer, number);
    const left = unfinished();
    return isUnavailable(left) ? 0 : left.length;
  }

  /** Revokes one certificate of a device. Complete when this returns: every later decision sees it. */
  async revokeCertificate(
    deviceId: string,
    certificateSha256: Uint8Array,
    reason: string,
  ): Promise<{ readonly ok: true; readonly spkiSha256: Uint8Array } | Failure> {
    return await this.#store.write((sql) => {
      const row = findCertificate(sql, certificateSha256);
      if (row === undefined || row.device_id !== deviceId) {
        return { ok: false, code: 'certificate_not_found' } as const;
      }
      revokeCertificate(sql, row, reason, currentTimeMs());
      return { ok: true, spkiSha256: row.spki_sha256 } as const;
    });
  }

  /** Writes a user's tombstone; see `bury-user.ts`. Answers once it is on disk: every later decision sees it. */
  async buryUser(
    userId: string,
    epoch: number,
  ): Promise<{ readonly ok: true; readonly suspended: number } | StorageUnavailable> {
    return await this.#store.write((sql) => {
      return { ok: true, suspended: buryUser(sql, userId, epoch) } as const;
    });
  }

  /** A device with its certificates, for administrators. */
  async describeDevice(deviceId: string): Promise<
    | {
        readonly ok: true;
        readonly device: DeviceRow;
        readonly certificates: DescribedCertificate[];
      }
    | Failure
  > {
    return this.#store.read((sql) => {
      const device = findDevice(sql, deviceId);
      if (device === undefined) return { ok: false, code: 'device_not_found' } as const;
      return { ok: true, device, certificates: describeCertificates(sql, deviceId) };
    });
  }

  /** A page of the hash chain, with the chain's head at this moment. */
  async decisions(after: number, limit: number) {
    return this.#store.read((sql) => {
      const rows = readDecisionPage(sql, after, limit);
      const start = readChainStart(sql)?.record;
      return { ok: true, rows, head: readChainHead(sql), start } as const;
    });
  }

  /** A page of a chain from before an import; `page` is undefined when it is not kept here. */
  async archivedDecisions(chainId: string, after: number, limit: number) {
    return this.#store.read((sql) => {
      return { ok: true, page: readArchivedPage(sql, chainId, after, limit) } as const;
    });
  }

  async stateMark() {
    return await markIn(this.#store, (sql) => readDeviceMark(sql, readChainHead(sql)));
  }

  async exportState(section: StateSection, range: PageRange) {
    return this.#store.read((sql) => {
      return { ok: true, page: exportShard(sql, section, range) } as const;
    });
  }

  async importState(page: ShardImport) {
    return await importBlock(this.#store, (sql) => importIntoShard(sql, page));
  }

  /** Ends an import in this shard. Imported intents without a signature are seen to like others. */
  async finishImport(shard: number, importId: string) {
    return await importBlock(this.#store, (sql) => {
      startChain(sql, shard, importId);
      this.#head = readChainHead(sql);
      this.#scheduleIntentAlarm(currentTimeMs());
    });
  }

  /** The certificate of an intent; `undefined` when it cannot be finished now, which keeps no other one waiting. */
  async #finishIntent(issuer: Issuer, certificateNumber: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#signIntent(issuer, certificateNumber);
    } catch (error) {
      console.error(JSON.stringify({ event: 'intent_not_finished', detail: String(error) }));
      return undefined;
    }
  }

  /** Signs a stored intent and stores the certificate; whichever signature is stored first is the certificate. */
  async #signIntent(issuer: Issuer, certificateNumber: number): Promise<Uint8Array | undefined> {
    const intent = this.#store.read((sql) => findCertificateByNumber(sql, certificateNumber));
    if (intent === undefined || isUnavailable(intent)) return undefined;
    if (intent.certificate !== null) return intent.certificate;
    if (intent.to_be_signed === null || intent.issuer_id !== issuer.id) return undefined;
    const certificate = await signCertificate(issuer, intent.to_be_signed);
    const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
    const stored = await this.#store.write((sql) =>
      storeCertificate(sql, certificateNumber, certificate, sha256),
    );
    return isUnavailable(stored) ? undefined : stored;
  }

  #scheduleIntentAlarm(nowMs: number): void {
    if (this.#alarmPending) return;
    this.#alarmPending = true;
    void this.ctx.storage.setAlarm(nowMs + finishIntentsAfterMs);
  }

  async #loadedIssuer(): Promise<Issuer | undefined> {
    if (this.#issuer !== undefined) return this.#issuer;
    const settings = await readSettings(this.env);
    if (!settings.ok) return undefined;
    const [first] = settings.settings.issuers;
    if (first !== undefined) this.#issuer = loadIssuer(first);
    return this.#issuer;
  }

  /** The head in memory is ahead of the disk when what it was raised for was undone. */
  #readHeadAgain(): void {
    const head = this.#store.read(readChainHead);
    if (!isUnavailable(head)) this.#head = head;
  }
}
