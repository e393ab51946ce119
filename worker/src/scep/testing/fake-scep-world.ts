import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { makeScepIdentity, type ScepIdentity } from '@countersign/testkit/fake-scep-client';
import { parseCertificate } from '@countersign/x509';
import type { IssuanceRequest, RenewalRequest } from '../../device/issuance-request.ts';
import { type IntegrationRecord, integrationRecord } from '../../directory/integration-records.ts';
import { unsetAdministration } from '../../directory/organization-snapshot.ts';
import { sha256 } from '../../enrollment/proven-key.ts';
import { integrationMigrations } from '../../integrations/integration-schema.ts';
import type { DeviceIdentity } from '../../integrations/managed-device.ts';
import { fakeSqlStorage } from '../../testing/fake-sql-storage.ts';
import { answerPkiOperation } from '../answer-pki-operation.ts';
import { openRegistrationAuthority } from '../registration-authority.ts';
import type { ScepContext, ScepRefusal } from '../scep-context.ts';
import { keepScepTransaction, takeScepTransaction } from '../scep-records.ts';

export const nowMs = 1_800_000_000_000;
const integrationId = `int_${'A'.repeat(22)}`;

const integration: IntegrationRecord = integrationRecord.parse({
  integration_id: integrationId,
  version: 1,
  name: 'Jamf',
  kind: 'jamf_pro',
  state: { mode: 'all_users' },
  profile: '1y',
  authority: 'one_time_token',
  trust_shared_secret: false,
  require_active_user: false,
  max_check_in_age_seconds: 86_400,
  poll_interval_seconds: 3600,
  outage: 'refuse',
  connection: {
    kind: 'jamf_pro',
    tenant_url: 'https://example.jamfcloud.com',
    authentication: { method: 'client_credentials', client_id: 'a' },
  },
  scep: { enabled: true },
  attestation: { roots_pem: [], endorsement_keys: 'listed', listed_sha256: [] },
  created_at_ms: 0,
});

/** Keys of this kind take a while to make; nothing is different with another one. */
let sharedAuthority: ScepIdentity | undefined;

/** Everything around SCEP: real records in a database, an enrollment that issues what it is asked to, and its log. */
export class FakeScepWorld {
  readonly authority: ScepIdentity;
  readonly organization: FakeOrganization;
  readonly #sql = fakeSqlStorage(integrationMigrations);
  readonly context: ScepContext;
  /** What was asked of the device's shard. */
  readonly issued: IssuanceRequest[] = [];
  readonly renewed: RenewalRequest[] = [];
  /** Tokens of administrators: the text's SHA-256 in hexadecimal, with the device that it is for. */
  readonly tokens = new Map<string, string>();
  /** What the management manages, by serial number. */
  readonly managed = new Set<string>(['C02ABC', 'C02XYZ']);
  /** SHA-256 in hexadecimal of the certificates in good standing. */
  readonly onRecord = new Set<string>();

  private constructor(
    authority: ScepIdentity,
    organization: FakeOrganization,
    registration: ScepContext['authority'],
    deviceIdKey: CryptoKey,
  ) {
    this.authority = authority;
    this.organization = organization;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const issue = async (spki: Uint8Array, deviceId: string) => {
      const certificate = Uint8Array.from(await organization.issueCertificate(spki, deviceId));
      this.onRecord.add(hex(await sha256(certificate)));
      return { ok: true, certificate, issuerId: 'issuer' } as const;
    };
    this.context = {
      authority: registration,
      authorityCertificate: authority.certificate,
      integration,
      take: async (transaction) => takeScepTransaction(this.#sql, transaction, nowMs),
      keep: async (transaction, certificate) =>
        keepScepTransaction(this.#sql, transaction, certificate, nowMs),
      intune: undefined,
      enrollment: {
        brokerUrl: 'https://broker.example.com',
        organizationId: organization.organizationId,
        shardCount: 4,
        deviceIdKey,
        storedSecretsKey: deviceIdKey,
        rootCertificate: organization.root.certificate.der,
        issuers: [
          {
            issuerId: 'issuer',
            issuerCertificate: organization.issuer.certificate.der,
          },
        ],
        keySet: '',
        snapshot: {
          ...unsetAdministration,
          version: 1,
          applications: new Map(),
          clients: new Map(),
          inactiveUsers: new Set(),
          integrations: new Map([[integrationId, integration]]),
        },
        nowMs,
        findToken: async (device, tokenSha256) =>
          this.tokens.get(hex(tokenSha256)) === device.serialNumber
            ? { ok: true, integrationId, user: undefined }
            : { ok: false, code: 'enrollment_token_invalid' },
        findUser: async () => ({ ok: true, standing: 'unknown' }),
        checkManaged: async (_, { device }) =>
          this.managed.has(device.serialNumber ?? '')
            ? { ok: true, facts: { integration_id: integrationId, checked_at_ms: nowMs } }
            : { ok: false, code: 'enrollment_not_allowed' },
        watch: async () => ({ ok: true }),
        reserveUser: async () => ({ ok: true, epoch: 1 }),
        examine: async () => ({ ok: true }),
        claimKey: async () => ({ ok: true }),
        issue: async (_, request) => {
          this.issued.push(request);
          return await issue(request.subjectPublicKeyInfo, request.deviceId);
        },
        examineRenewal: async (_, { certificateSha256 }) =>
          this.onRecord.has(hex(certificateSha256))
            ? {
                ok: true,
                integrationId,
                user: undefined,
                profile: '1y',
                issuerId: 'issuer',
                spkiSha256: new Uint8Array(32),
                strength: 'one_time_token',
                via: 'scep',
                due: true,
                current: undefined,
                serialNumber: 'C02ABC',
                hardwareUuid: undefined,
                endorsementKeySha256: undefined,
                management: undefined,
              }
            : { ok: false, code: 'certificate_not_found' },
        renew: async (_, request) => {
          this.renewed.push(request);
          const spki = request.rekey?.subjectPublicKeyInfo ?? this.issued[0]?.subjectPublicKeyInfo;
          const issued = await issue(spki ?? new Uint8Array(), request.deviceId);
          return { ...issued, renewed: true };
        },
      },
    };
  }

  static async create(): Promise<FakeScepWorld> {
    sharedAuthority ??= makeScepIdentity();
    const authority = sharedAuthority;
    const keyPem = authority.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const settings = { keyPem, certificates: [authority.certificate] };
    const deviceIdKey = await crypto.subtle.importKey(
      'raw',
      new Uint8Array(32),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['sign'],
    );
    return new FakeScepWorld(
      authority,
      await FakeOrganization.create(),
      await openRegistrationAuthority(settings),
      deviceIdKey,
    );
  }

  /** A challenge that the management has been given. */
  async giveChallenge(
    text: string,
    device: DeviceIdentity,
    expiresAtMs = nowMs + 1,
  ): Promise<void> {
    this.#sql.exec(
      `INSERT INTO scep_challenges (challenge_sha256, expires_at_ms, serial_number, hardware_uuid)
       VALUES (?, ?, ?, ?)`,
      await sha256(Uint8Array.from(Buffer.from(text))),
      expiresAtMs,
      device.serialNumber ?? '',
      device.hardwareUuid ?? '',
    );
  }

  async giveToken(text: string, serialNumber: string): Promise<void> {
    const digest = await sha256(Uint8Array.from(Buffer.from(text)));
    this.tokens.set(Buffer.from(digest).toString('hex'), serialNumber);
  }

  /** The answer to a message, with what the log has of it. */
  async answer(message: Uint8Array, changes: Partial<ScepContext> = {}) {
    return await answerPkiOperation({ ...this.context, ...changes }, message, (code) => code);
  }

  /** The body of an answer that must be a CertRep, and why nothing was issued. */
  async certRep(message: Uint8Array, changes: Partial<ScepContext> = {}) {
    const answered = await this.answer(message, changes);
    if (!answered.ok) throw new Error(answered.detail);
    const refusal: ScepRefusal | undefined = answered.outcome.refusal;
    return { body: answered.body, code: refusal?.code, detail: refusal?.detail };
  }
}

/** SubjectPublicKeyInfo of a certificate, in hexadecimal. */
export function keyIn(certificate: Uint8Array | undefined): string | undefined {
  const parsed = certificate === undefined ? undefined : parseCertificate(certificate);
  return parsed?.ok === true
    ? Buffer.from(parsed.value.subjectPublicKey.spki).toString('hex')
    : undefined;
}
