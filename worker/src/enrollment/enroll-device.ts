import { decodeBase64url, encodeBase64url, type ProblemCode } from '@countersign/protocol';
import type { EnrollmentAnswer, EnrollmentRequest } from '@countersign/protocol/enrollment';
import { parseCertificate, parseCertificationRequest, verifyProofOfPossession } from '@countersign/x509';
import { deviceIdOf, normalizeHardwareId } from '../device/hardware-id.ts';
import type { IssuanceRequest } from '../device/issue-certificate.ts';
import { shardOfBytes, shardOfId } from '../device/placement.ts';

const renewBeforeMs = 30 * 86_400_000;

type Refusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly field?: string;
  /** For the log and the problem document; says nothing that the sender did not send. */
  readonly detail?: string;
};

/** What enrollment needs of the world, as functions. */
export type EnrollContext = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly shardCount: number;
  readonly deviceIdKey: CryptoKey;
  readonly rootCertificate: Uint8Array;
  readonly issuerCertificate: Uint8Array;
  readonly keySet: string;
  /** Every check of the issuance, without writing. */
  readonly examine: (
    shard: number,
    request: IssuanceRequest,
  ) => Promise<{ readonly ok: true } | Refusal>;
  readonly claimKey: (
    shard: number,
    spkiSha256: Uint8Array,
    deviceId: string,
  ) => Promise<{ readonly ok: true } | Refusal>;
  readonly issue: (
    shard: number,
    request: IssuanceRequest,
  ) => Promise<{ readonly ok: true; readonly certificate: Uint8Array } | Refusal>;
};

async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

/** The key of a certificate signing request, once possession is proven. Nothing else of the request is looked at. */
async function readProvenKey(
  csr: Uint8Array,
): Promise<{ readonly ok: true; readonly spki: Uint8Array<ArrayBuffer> } | Refusal> {
  const request = parseCertificationRequest(csr);
  if (!request.ok) {
    const code = keyFailures.has(request.reason) ? 'csr_key_not_allowed' : 'csr_malformed';
    return { ok: false, code, field: 'csr', detail: request.detail };
  }
  const proven = await verifyProofOfPossession(request.value);
  if (proven.ok) return { ok: true, spki: proven.value.spki };
  const code = keyFailures.has(proven.reason) ? 'csr_key_not_allowed' : 'csr_signature_invalid';
  return { ok: false, code, field: 'csr', detail: proven.detail };
}

/** RFC 3339. */
function renewAfter(certificate: Uint8Array): string {
  const parsed = parseCertificate(certificate);
  if (!parsed.ok) throw new Error(`a certificate of our own: ${parsed.detail}`);
  return new Date(parsed.value.notAfterMs - renewBeforeMs).toISOString();
}

/** The request is well-formed, but its key is of a kind, size or make that is not certified. */
const keyFailures: ReadonlySet<string> = new Set([
  'key_algorithm_not_allowed',
  'curve_not_allowed',
  'rsa_key_too_small',
  'rsa_key_too_large',
  'rsa_exponent_not_allowed',
  'weak_key',
  'point_format_not_allowed',
  'public_key_invalid',
]);

/**
 * Enrolls a device: normalize its hardware id, prove the key, check the one-time token, claim the key for this device,
 * issue. The token is checked before anything is written, spent in the same block that stores the intent.
 */
export async function enrollDevice(
  context: EnrollContext,
  request: EnrollmentRequest,
): Promise<{ readonly ok: true; readonly answer: EnrollmentAnswer } | Refusal> {
  const hardware = normalizeHardwareId(request.hardware_id);
  if (!hardware.ok) return hardware;
  if (request.authority.type !== 'one_time_token') {
    return { ok: false, code: 'enrollment_not_allowed', field: 'authority.type' };
  }
  const csr = decodeBase64url(request.csr);
  if (csr === undefined) return { ok: false, code: 'csr_malformed', field: 'csr' };
  const proven = await readProvenKey(csr);
  if (!proven.ok) return proven;

  const deviceId = await deviceIdOf(hardware.value.identity, context.deviceIdKey);
  const shard = shardOfId(deviceId, context.shardCount) ?? 0;
  const spkiSha256 = await sha256(proven.spki);
  const tokenSha256 = await sha256(new TextEncoder().encode(request.authority.token));

  const issuance: IssuanceRequest = {
    deviceId,
    serialNumber: hardware.value.serialNumber,
    hardwareUuid: hardware.value.hardwareUuid,
    tokenSha256,
    subjectPublicKeyInfo: proven.spki,
    spkiSha256,
  };

  const permitted = await context.examine(shard, issuance);
  if (!permitted.ok) return permitted;
  const keyShard = shardOfBytes(spkiSha256, context.shardCount);
  const claimed = await context.claimKey(keyShard, spkiSha256, deviceId);
  if (!claimed.ok) return claimed;
  const issued = await context.issue(shard, issuance);
  if (!issued.ok) return issued;
  return {
    ok: true,
    answer: {
      certificate: encodeBase64url(issued.certificate),
      issuer_certificate: encodeBase64url(context.issuerCertificate),
      root_certificate: encodeBase64url(context.rootCertificate),
      device_id: deviceId,
      organization_id: context.organizationId,
      broker_url: context.brokerUrl,
      key_set: context.keySet,
      renew_after: renewAfter(issued.certificate),
    },
  };
}
