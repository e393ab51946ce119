import { type Issuer, signCertificate } from '../ca/issuer.ts';
import { isUnavailable, storageUnavailable } from '../storage/durable-store.ts';
import { findCertificateByNumber, unfinishedIntents } from './certificate-records.ts';
import type { DeviceShard } from './device-shard.ts';
import type { IssuedAnswer } from './issuance-request.ts';
import { storeCertificate } from './store-certificate.ts';

/** The issuers of the settings by their ids; `undefined` while the settings are wrong. */
export type LoadIssuers = () => Promise<ReadonlyMap<string, Issuer> | undefined>;

/** Signs stored intents and stores the certificates; whichever signature is stored first is the certificate. */
export class IntentSigner {
  readonly #shard: DeviceShard;
  readonly #loadIssuers: LoadIssuers;

  constructor(shard: DeviceShard, loadIssuers: LoadIssuers) {
    this.#shard = shard;
    this.#loadIssuers = loadIssuers;
  }

  /** The certificate of an intent, which may have been finished by somebody else meanwhile. */
  async finish(certificateNumber: number): Promise<IssuedAnswer> {
    try {
      return await this.#finish(certificateNumber);
    } catch (error) {
      console.error(JSON.stringify({ event: 'intent_not_finished', detail: String(error) }));
      return storageUnavailable;
    }
  }

  async #finish(certificateNumber: number): Promise<IssuedAnswer> {
    const intent = this.#shard.read((sql) => findCertificateByNumber(sql, certificateNumber));
    if (intent === undefined || isUnavailable(intent)) return storageUnavailable;
    const { certificate: known, to_be_signed: toBeSigned, issuer_id: issuerId } = intent;
    if (known !== null) return { ok: true, certificate: known, issuerId };
    const issuer = (await this.#loadIssuers())?.get(issuerId);
    if (issuer === undefined || toBeSigned === null) {
      return { ok: false, code: 'configuration_invalid' };
    }
    const certificate = await signCertificate(issuer, toBeSigned);
    const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
    const stored = await this.#shard.write((block) => {
      const row = storeCertificate(block, certificateNumber, certificate, sha256);
      if (row !== undefined) this.#shard.alarm.ringBy(block.nowMs + publishIssuedAfterMs);
      return row;
    });
    if (isUnavailable(stored)) return stored;
    // Revoked while it was being signed: what was signed is dropped.
    if (stored === undefined || stored.certificate === null) {
      return { ok: false, code: 'key_blocked' };
    }
    return { ok: true, certificate: stored.certificate, issuerId };
  }

  /** Finishes what lost its signature to a crash. One that cannot be finished keeps no other one waiting. */
  async finishAll(nowMs: number): Promise<'finished' | 'left'> {
    const issuers = await this.#loadIssuers();
    if (issuers === undefined) return 'left';
    const unfinished = () =>
      this.#shard.read((sql) => unfinishedIntents(sql, [...issuers.keys()], nowMs));
    const found = unfinished();
    if (isUnavailable(found)) return 'left';
    for (const number of found) await this.finish(number);
    const left = unfinished();
    return isUnavailable(left) || left.length > 0 ? 'left' : 'finished';
  }
}

/** Nobody waits for the word that a new certificate is good as for that of a revocation, so many share one round. */
const publishIssuedAfterMs = 1000;
