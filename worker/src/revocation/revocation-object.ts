import { DurableObject } from 'cloudflare:workers';
import {
  namesIssuer,
  type OcspCertificateId,
  type OcspErrorStatus,
  type OcspIssuerHashes,
  type OcspStatus,
  ocspIssuerHashes,
  parseOcspRequest,
} from '@countersign/x509';
import { crlPath, crlShardOf } from '../ca/crl-shard.ts';
import { type Issuer, loadIssuer } from '../ca/issuer.ts';
import { type ResponderPlan, signCrl } from '../ca/sign-revocation.ts';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import { readSettings } from '../config/settings.ts';
import { DurableStore, isUnavailable, storageUnavailable } from '../storage/durable-store.ts';
import {
  type CertificateStanding,
  forgetEnded,
  readEntries,
  readStatus,
  storeStanding,
} from './certificate-standing.ts';
import {
  isUsable,
  makeOcspResponder,
  type OcspResponder,
  type SignedStatus,
  signStatuses,
} from './ocsp-responder.ts';
import {
  type CrlPlace,
  countChange,
  distributionPoints,
  ensurePublication,
  type PublishedCrl,
  readCrl,
  readPublication,
  storeCrl,
  takeNumber,
} from './publication.ts';
import { readyAnswers } from './ready-answers.ts';
import { revocationObjectName, serialNumberBytes } from './revocation-place.ts';
import { revocationMigrations } from './revocation-schema.ts';
import { crlCoalesceMs, crlRenewalMs, crlRetryMs, crlValidityMs } from './revocation-times.ts';

type Unavailable = { readonly ok: false; readonly code: 'storage_unavailable' | 'crl_not_found' };

export type CrlAnswer =
  /** `der` is left out when the caller has the list of this number already. */
  ({ readonly ok: true } & Omit<PublishedCrl, 'der'> & { readonly der?: Uint8Array }) | Unavailable;

export type OcspAnswerResult =
  | ({ readonly ok: true } & SignedStatus)
  | { readonly ok: false; readonly status: OcspErrorStatus };

/**
 * Revocation of the certificates of one issuer on one list: publication, not truth. Device shards say what became of
 * their certificates; from that come the list, and answers about single certificates. What decides about sign-ins never
 * asks here.
 */
export class RevocationObject extends DurableObject<Environment> {
  readonly #store: DurableStore;
  #issuer: { readonly issuer: Issuer; readonly hashes: OcspIssuerHashes } | undefined;
  #crl: PublishedCrl | undefined;
  #building: Promise<boolean> | undefined;
  #responder: OcspResponder | undefined;
  #makingResponder: Promise<OcspResponder | undefined> | undefined;
  #soonPending = false;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, revocationMigrations);
  }

  /**
   * Takes in what is new about certificates. On disk when this answers; the next list that is asked for has it, and one
   * is made soon in any case. Idempotent.
   */
  async publish(
    place: CrlPlace,
    standings: readonly CertificateStanding[],
  ): Promise<{ readonly ok: true } | Unavailable> {
    const changed = await this.#store.write((sql) => {
      ensurePublication(sql, place);
      const changes = standings.map((standing) => storeStanding(sql, standing));
      const isChanged = changes.includes(true);
      if (isChanged) countChange(sql);
      return { isChanged };
    });
    if (isUnavailable(changed)) return storageUnavailable;
    readyAnswers.forget(standings.map(({ serialNumber }) => serialNumber));
    if (changed.isChanged && !this.#soonPending) {
      this.#soonPending = true;
      try {
        await this.ctx.storage.setAlarm(currentTimeMs() + crlCoalesceMs);
      } catch (error) {
        this.#soonPending = false;
        throw error;
      }
    }
    return { ok: true };
  }

  /**
   * The list: with everything that was published before the call, and a nextUpdate that is yet to come.
   *
   * @param knownNumber of the list that the caller has; its bytes are not sent again
   */
  async crl(place: CrlPlace, knownNumber: number): Promise<CrlAnswer> {
    const current =
      this.#currentCrl(crlRenewalMs) ??
      (await this.#madeCrl(place)) ??
      // Older than it should be, but good, and with nothing missing: better than none while none can be made.
      this.#currentCrl(crlValidityMs);
    if (current === undefined) return { ok: false, code: 'crl_not_found' };
    const { number, thisUpdateMs, nextUpdateMs, der } = current;
    const about = { ok: true, number, thisUpdateMs, nextUpdateMs } as const;
    return number === knownNumber ? about : { ...about, der };
  }

  /** Answers an OCSPRequest of which every question is about one issuer, signed in this moment. */
  async ocsp(place: CrlPlace, requestDer: Uint8Array): Promise<OcspAnswerResult> {
    const request = parseOcspRequest(requestDer);
    if (!request.ok) return { ok: false, status: 'malformedRequest' };
    const { certificateIds, nonce } = request.value;
    const loaded = await this.#loadedIssuer(place.issuerId);
    if (loaded === undefined) return { ok: false, status: 'tryLater' };
    if (!certificateIds.every((id) => namesIssuer(id, loaded.hashes))) {
      return { ok: false, status: 'unauthorized' };
    }
    const responder = await this.#usableResponder(loaded.issuer);
    if (responder === undefined) return { ok: false, status: 'tryLater' };
    const nowMs = currentTimeMs();
    const statuses = await Promise.all(certificateIds.map((id) => this.#statusOf(place, id)));
    const answers = [];
    for (const [i, certificateId] of certificateIds.entries()) {
      const status = statuses[i];
      if (status === undefined) return { ok: false, status: 'tryLater' };
      answers.push({ certificateId, status });
    }
    return { ok: true, ...(await signStatuses(responder, answers, nonce, nowMs)) };
  }

  /** For other objects of the issuer, where one request has questions about several lists. */
  async status(serialNumber: Uint8Array): Promise<OcspStatus | undefined> {
    const read = this.#store.read((sql) => ({ status: readStatus(sql, serialNumber) }));
    return isUnavailable(read) ? undefined : read.status;
  }

  /** Makes the list that is due: after a change, and before the one that is published gets old. */
  override async alarm(): Promise<void> {
    this.#soonPending = false;
    const publication = this.#store.read((sql) => ({ found: readPublication(sql) }));
    if (isUnavailable(publication)) return await this.#wakeAt(currentTimeMs() + crlRetryMs);
    const { found } = publication;
    if (found === undefined) return;
    let detail = 'settings or storage do not permit it';
    try {
      const current = this.#currentCrl(crlRenewalMs) ?? (await this.#madeCrl(found.place));
      if (current !== undefined) return await this.#wakeAt(current.thisUpdateMs + crlRenewalMs);
    } catch (error) {
      // A rejected alarm is rung a few times more, and then never.
      detail = String(error);
    }
    const { issuerId } = found.place;
    // Of an issuer that is no longer configured nobody can make a list; the last one says until when it counts.
    if (await this.#isGone(issuerId)) return;
    console.error(JSON.stringify({ event: 'crl_not_made', issuer_id: issuerId, detail }));
    await this.#wakeAt(currentTimeMs() + crlRetryMs);
  }

  async #statusOf(place: CrlPlace, id: OcspCertificateId): Promise<OcspStatus | undefined> {
    const serialNumber = serialNumberBytes(id.serialNumber);
    const crlShard = crlShardOf(serialNumber);
    if (crlShard === place.crlShard) return await this.status(serialNumber);
    const name = revocationObjectName({ issuerId: place.issuerId, crlShard });
    const other = this.env.REVOCATION.get(this.env.REVOCATION.idFromName(name));
    return await other.status(serialNumber).catch(() => undefined);
  }

  /** The list that is published, if nothing has changed since and it is younger than this. */
  #currentCrl(maxAgeMs: number): PublishedCrl | undefined {
    const nowMs = currentTimeMs();
    const read = this.#store.read((sql) => {
      const publication = readPublication(sql);
      if (publication === undefined || publication.crlChanges !== publication.changes) return {};
      // One from the future is of a clock that was ahead: nobody else would take it either.
      const isFresh =
        publication.thisUpdateMs <= nowMs && nowMs < publication.thisUpdateMs + maxAgeMs;
      if (!isFresh) return {};
      if (this.#crl?.number === publication.crlNumber) return { crl: this.#crl };
      return { crl: readCrl(sql, publication) };
    });
    if (isUnavailable(read) || read.crl === undefined) return undefined;
    this.#crl = read.crl;
    return read.crl;
  }

  /** Makes a list that holds all that is on record now; whoever asks meanwhile shares the next one. */
  async #madeCrl(place: CrlPlace): Promise<PublishedCrl | undefined> {
    for (let attempts = 0; attempts < 3; attempts++) {
      const shared = this.#building;
      if (shared === undefined) {
        const building = this.#buildCrl(place).finally(() => {
          this.#building = undefined;
        });
        this.#building = building;
        if (!(await building)) return undefined;
        return this.#crl;
      }
      await shared;
      const current = this.#currentCrl(crlRenewalMs);
      if (current !== undefined) return current;
    }
    return this.#crl;
  }

  async #buildCrl(place: CrlPlace): Promise<boolean> {
    const loaded = await this.#loadedIssuer(place.issuerId);
    if (loaded === undefined) return false;
    const { issuer } = loaded;
    const planned = await this.#store.write((sql) => {
      ensurePublication(sql, place);
      const publication = readPublication(sql);
      if (publication === undefined) throw new Error('the publication was written just now');
      const nowMs = currentTimeMs();
      forgetEnded(sql, nowMs);
      const uri = `${issuer.pkiUrl}${crlPath(place.issuerId, place.crlShard)}`;
      return {
        changes: publication.changes,
        fields: {
          number: takeNumber(sql, publication.lastNumber, nowMs),
          thisUpdateMs: nowMs,
          nextUpdateMs: nowMs + crlValidityMs,
          distributionPoints: distributionPoints(sql, uri),
          entries: readEntries(sql, nowMs),
        },
      };
    });
    if (isUnavailable(planned)) return false;
    const { changes, fields } = planned;
    const signed = await signCrl(issuer, fields);
    if (!signed.ok) throw new Error(`${signed.reason}: ${signed.detail}`);
    const crl = { ...fields, der: signed.value };
    const stored = await this.#store.write((sql) => {
      storeCrl(sql, crl, changes);
      return { ok: true } as const;
    });
    if (isUnavailable(stored)) return false;
    const { number, thisUpdateMs, nextUpdateMs, der } = crl;
    this.#crl = { number, thisUpdateMs, nextUpdateMs, der };
    await this.#wakeAt(thisUpdateMs + crlRenewalMs);
    return true;
  }

  /** Unless the alarm rings sooner, for a change. */
  async #wakeAt(timeMs: number): Promise<void> {
    if (!this.#soonPending) await this.ctx.storage.setAlarm(timeMs);
  }

  async #isGone(issuerId: string): Promise<boolean> {
    const read = await readSettings(this.env);
    return read.ok && !read.settings.issuers.some((issuer) => issuer.issuerId === issuerId);
  }

  /** One that is nearly over, or could not be made, is followed by another. */
  async #usableResponder(issuer: Issuer): Promise<OcspResponder | undefined> {
    const known = this.#responder;
    if (known !== undefined && isUsable(known, currentTimeMs())) return known;
    this.#makingResponder ??= this.#makeResponder(issuer).finally(() => {
      this.#makingResponder = undefined;
    });
    return await this.#makingResponder;
  }

  async #makeResponder(issuer: Issuer): Promise<OcspResponder | undefined> {
    const record = async ({ serialNumber, toBeSigned, notAfterMs }: ResponderPlan) => {
      const recorded = await this.#store.write((sql) => {
        sql.exec(
          'INSERT INTO responders (serial_number, to_be_signed, not_after_ms) VALUES (?, ?, ?)',
          serialNumber,
          toBeSigned,
          notAfterMs,
        );
        return { ok: true } as const;
      });
      return !isUnavailable(recorded);
    };
    const made = await makeOcspResponder(issuer, record, currentTimeMs());
    if (made !== undefined) this.#responder = made;
    return made;
  }

  async #loadedIssuer(issuerId: string) {
    if (this.#issuer?.issuer.id === issuerId) return this.#issuer;
    const result = await readSettings(this.env);
    if (!result.ok) return undefined;
    const { issuers, pkiUrl } = result.settings;
    const source = issuers.find((each) => each.issuerId === issuerId);
    if (source === undefined) return undefined;
    const issuer = loadIssuer(source, pkiUrl);
    this.#issuer = { issuer, hashes: await ocspIssuerHashes(issuer.certificate) };
    return this.#issuer;
  }
}
