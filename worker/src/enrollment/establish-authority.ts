import type { EnrollmentRequest } from '@countersign/protocol/enrollment';
import type { EnrollmentStrength } from '@countersign/protocol/enrollment-strength';
import type { IssuanceAuthority } from '../device/issuance-request.ts';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import type {
  EnrollmentContext,
  EnrollmentRefusal,
  IdentifiedDevice,
} from './enrollment-context.ts';
import { establishAttestation } from './establish-attestation.ts';
import { sha256 } from './proven-key.ts';
import { verifyEnrollmentProof } from './verify-enrollment-proof.ts';

/** What permits an enrollment, as far as that is known without the device's shard. */
export type EstablishedAuthority = {
  readonly authority: IssuanceAuthority;
  readonly strength: EnrollmentStrength;
  /** `undefined`: an administrator's own token, of no integration. */
  readonly integration: IntegrationRecord | undefined;
  readonly user: string | undefined;
};

type Established = ({ readonly ok: true } & EstablishedAuthority) | EnrollmentRefusal;

/** The request of a device that is identified, and whose key is proven. */
export type AuthorityRequest = {
  readonly device: IdentifiedDevice;
  readonly csr: Uint8Array;
  /** The key in it: SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly request: EnrollmentRequest;
};

const notAllowed = (field: string, detail: string): EnrollmentRefusal => ({
  ok: false,
  code: 'enrollment_not_allowed',
  field,
  detail,
});

/** Finds out what permits the request, and that its integration takes that. Disabled integrations enroll too: certificates come first. */
export async function establishAuthority(
  context: EnrollmentContext,
  asked: AuthorityRequest,
): Promise<Established> {
  const established = await establish(context, asked);
  if (!established.ok || established.integration === undefined) return established;
  const { integration, strength } = established;
  return integration.authority === strength
    ? established
    : notAllowed('authority.type', `the integration enrolls by ${integration.authority}`);
}

async function establish(
  context: EnrollmentContext,
  asked: AuthorityRequest,
): Promise<Established> {
  const { authority } = asked.request;
  switch (authority.type) {
    case 'one_time_token':
      return await establishToken(context, asked, authority.token);
    case 'organization_secret':
      return await establishSecret(context, asked, authority.proof);
    case 'hardware_attested':
      return await establishAttestation(context, asked, authority);
  }
}

async function establishToken(
  context: EnrollmentContext,
  { device, request }: AuthorityRequest,
  token: string,
): Promise<Established> {
  const tokenSha256 = await sha256(Uint8Array.from(new TextEncoder().encode(token)));
  const found = await context.findToken(device, tokenSha256);
  if (!found.ok) return found;
  const integration = context.snapshot.integrations.get(found.integrationId);
  if (found.integrationId !== '' && integration === undefined) {
    return notAllowed('authority.token', 'the integration of the token was deleted');
  }
  if (found.user !== undefined && request.user !== undefined && found.user !== request.user) {
    return notAllowed('user', 'the token was made for another user');
  }
  return {
    ok: true,
    authority: { type: 'one_time_token', tokenSha256 },
    strength: 'one_time_token',
    integration,
    user: found.user ?? request.user,
  };
}

async function establishSecret(
  context: EnrollmentContext,
  { csr, request }: AuthorityRequest,
  proof: string,
): Promise<Established> {
  const { integrations } = context.snapshot;
  const proven = await verifyEnrollmentProof(proof, {
    brokerUrl: context.brokerUrl,
    hardwareId: request.hardware_id,
    csr,
    user: request.user,
    nowMs: context.nowMs,
    findSecretKey: (id) => integrations.get(id)?.secret?.public_jwk,
  });
  if (!proven.ok) return proven;
  const integration = integrations.get(proven.integrationId);
  const secretId = integration?.secret?.secret_id;
  if (integration === undefined || secretId === undefined) {
    return notAllowed('authority.proof', 'the integration has no secret');
  }
  return {
    ok: true,
    authority: { type: 'organization_secret', secretId },
    strength: 'organization_secret',
    integration,
    user: request.user,
  };
}
