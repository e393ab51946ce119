import { parseCertificate } from '@countersign/x509';
import { type Issuer, loadIssuer } from '../ca/issuer.ts';
import { currentTimeMs } from '../clock.ts';
import { readSettings } from '../config/settings.ts';
import { isUnavailable } from '../storage/durable-store.ts';
import { preparePlan } from './certificate-planner.ts';
import { findCertificate } from './certificate-records.ts';
import { findToken } from './device-records.ts';
import { approveEnrollment, requestApproval } from './enrollment-approvals.ts';
import { examineIssuance } from './examine-issuance.ts';
import { IntentSigner } from './intent-signer.ts';
import type {
  IssuanceRequest,
  IssuedAnswer,
  NewKey,
  RenewalFacts,
  RenewalRequest,
  RenewedAnswer,
} from './issuance-request.ts';
import { planIssuance } from './issue-certificate.ts';
import { examineRenewal, planRenewal, renewalFacts } from './renew-certificate.ts';
import type { DutyOutcome } from './shard-duties.ts';
import { type Failure, ShardObject } from './shard-object.ts';

/** An intent without a certificate is finished by the alarm after this long; a retry may come first. */
const finishIntentsAfterMs = 30_000;

/** The part of a device shard that issues and renews: what permits it, the intent, the signature. */
export abstract class IssuingObject extends ShardObject {
  readonly #loadIssuers = () => this.#readIssuers();
  readonly #signer = new IntentSigner(this.shard, this.#loadIssuers);
  #issuers: ReadonlyMap<string, Issuer> | undefined;

  /** Stores a one-time enrollment token for a device. */
  async addEnrollmentToken(
    deviceId: string,
    tokenSha256: Uint8Array,
    expiresAtMs: number,
    { integrationId = '', user }: { readonly integrationId?: string; readonly user?: string } = {},
  ): Promise<{ readonly ok: true } | Failure> {
    return await this.shard.write(({ sql }) => {
      sql.exec(
        `INSERT INTO enrollment_tokens (token_sha256, device_id, expires_at_ms, integration_id, user_id)
         VALUES (?, ?, ?, ?, ?)`,
        tokenSha256,
        deviceId,
        expiresAtMs,
        integrationId,
        user ?? null,
      );
      return { ok: true } as const;
    });
  }

  /** What a device's token says of the request that brings it. Whether it still permits one is for the issuance. */
  async findToken(
    deviceId: string,
    tokenSha256: Uint8Array,
  ): Promise<
    | { readonly ok: true; readonly integrationId: string; readonly user: string | undefined }
    | Failure
  > {
    return this.shard.read((sql) => {
      const token = findToken(sql, tokenSha256);
      if (token === undefined || token.device_id !== deviceId) {
        return { ok: false, code: 'enrollment_token_invalid' } as const;
      }
      const { integration_id: integrationId, user_id: user } = token;
      return { ok: true, integrationId, user: user ?? undefined } as const;
    });
  }

  /**
   * Would this request be issued a certificate? Writes nothing, but for the request to an administrator where one has
   * to agree.
   */
  async examineIssuance(request: IssuanceRequest): Promise<{ readonly ok: true } | Failure> {
    const examined = this.shard.read((sql) => examineIssuance(sql, request, currentTimeMs()));
    if (examined.ok) return { ok: true };
    if (examined.code !== 'enrollment_approval_needed') return examined;
    const asked = await this.shard.write((block) => requestApproval(block, request));
    return isUnavailable(asked) ? asked : examined;
  }

  /**
   * Issues the certificate of a proven key: intent, signature, certificate. A retry, also a parallel one, gets the
   * same certificate.
   */
  async issue(request: IssuanceRequest): Promise<IssuedAnswer> {
    const prepared = await preparePlan(this.#loadIssuers, request);
    if (!prepared.ok) return prepared;
    const planned = await this.shard.write((block) => {
      const result = planIssuance(block, request, prepared.planAt(block.nowMs));
      if (result.ok) this.#expectIntent(block.nowMs);
      return result;
    });
    return planned.ok ? await this.#signer.finish(planned.certificateNumber) : planned;
  }

  /** Agrees to an enrollment that waits for it. */
  async approveEnrollment(
    deviceId: string,
    spkiSha256: Uint8Array,
    adminId?: string,
  ): Promise<{ readonly ok: true } | Failure> {
    return await this.shard.write((block) =>
      approveEnrollment(block, { deviceId, spkiSha256 }, adminId)
        ? ({ ok: true } as const)
        : ({ ok: false, code: 'enrollment_approval_not_found' } as const),
    );
  }

  /** May the key of this certificate ask for a renewal, and what have its other checks to go by? Writes nothing. */
  async examineRenewal(
    request: Pick<RenewalRequest, 'deviceId' | 'certificateSha256'>,
  ): Promise<({ readonly ok: true } & RenewalFacts) | Failure> {
    return this.shard.read((sql) => {
      const nowMs = currentTimeMs();
      const examined = examineRenewal(sql, request, nowMs);
      return examined.ok ? { ok: true, ...renewalFacts(sql, examined, nowMs) } : examined;
    });
  }

  /** Renews a certificate, for its own key or a new one. A retry gets the same certificate. */
  async renew(request: RenewalRequest): Promise<RenewedAnswer> {
    const key = request.rekey ?? this.#currentKey(request);
    if (key === undefined) return { ok: false, code: 'renewal_certificate_unknown' };
    const prepared = await preparePlan(this.#loadIssuers, { ...request, ...key });
    if (!prepared.ok) return prepared;
    const planned = await this.shard.write((block) => {
      const result = planRenewal(block, request, prepared.planAt(block.nowMs));
      if (result.ok) this.#expectIntent(block.nowMs);
      return result;
    });
    if (!planned.ok) return planned;
    const issued = await this.#signer.finish(planned.certificateNumber);
    if (issued.ok) return { ...issued, renewed: planned.renewed };
    return issued.code === 'key_blocked'
      ? { ok: false, code: 'renewal_certificate_revoked' }
      : issued;
  }

  /** Finishes what lost its signature to a crash, once that has had its time. */
  protected async finishIntents(): Promise<DutyOutcome> {
    const nowMs = currentTimeMs();
    if (!this.shard.intentsMayBeLeft) return 'done';
    this.shard.intentsMayBeLeft = false;
    if ((await this.#signer.finishAll(nowMs)) === 'left') this.#expectIntent(nowMs);
    return 'done';
  }

  #expectIntent(nowMs: number): void {
    this.shard.intentsMayBeLeft = true;
    this.shard.alarm.ringBy(nowMs + finishIntentsAfterMs);
  }

  /** The key of the certificate that asks: a renewal without a new key is for that one. */
  #currentKey({ certificateSha256 }: RenewalRequest): NewKey | undefined {
    const row = this.shard.read((sql) => findCertificate(sql, certificateSha256));
    if (row === undefined || isUnavailable(row) || row.certificate === null) return undefined;
    const parsed = parseCertificate(row.certificate);
    if (!parsed.ok) return undefined;
    return {
      subjectPublicKeyInfo: parsed.value.subjectPublicKey.spki,
      spkiSha256: row.spki_sha256,
    };
  }

  async #readIssuers(): Promise<ReadonlyMap<string, Issuer> | undefined> {
    if (this.#issuers !== undefined) return this.#issuers;
    const read = await readSettings(this.env);
    if (!read.ok) return undefined;
    const { issuers, pkiUrl } = read.settings;
    this.#issuers = new Map(
      issuers.map((source) => [source.issuerId, loadIssuer(source, pkiUrl)] as const),
    );
    return this.#issuers;
  }
}
