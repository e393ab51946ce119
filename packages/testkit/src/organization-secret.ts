import { createECDH, createHash, randomBytes } from 'node:crypto';
import {
  type EnrollmentRequest,
  enrollmentProofTyp,
  type HardwareId,
} from '@countersign/protocol/enrollment';
import { CompactSign, importJWK } from 'jose';

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

/** An organization's enrollment secret, as `cses_<integration id>_<private scalar>` and as the key that it is. */
export type OrganizationSecret = {
  readonly text: string;
  readonly integrationId: string;
  readonly publicJwk: {
    readonly kty: 'EC';
    readonly crv: 'P-256';
    readonly x: string;
    readonly y: string;
  };
  readonly scalar: Uint8Array;
};

/** Reads the secret that a broker showed. */
export function readOrganizationSecret(text: string): OrganizationSecret {
  const match = /^cses_(int_[\w-]{22})_([\w-]{43})$/.exec(text);
  if (match === null) throw new Error('not an organization secret');
  const [, integrationId = '', scalarText = ''] = match;
  const scalar = Buffer.from(scalarText, 'base64url');
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey();
  return {
    text,
    integrationId,
    publicJwk: {
      kty: 'EC',
      crv: 'P-256',
      x: base64url(point.subarray(1, 33)),
      y: base64url(point.subarray(33)),
    },
    scalar,
  };
}

/** A secret of an integration that no broker has made. */
export function makeOrganizationSecret(
  integrationId = `int_${base64url(randomBytes(16))}`,
): OrganizationSecret {
  const ecdh = createECDH('prime256v1');
  ecdh.generateKeys();
  const scalar = Buffer.alloc(32);
  const privateKey = ecdh.getPrivateKey();
  privateKey.copy(scalar, 32 - privateKey.length);
  return readOrganizationSecret(`cses_${integrationId}_${base64url(scalar)}`);
}

export type ProofChanges = {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
};

/** Signs a request with the secret, as a host does; `changes` make it wrong. */
export async function proveEnrollment(
  secret: OrganizationSecret,
  request: {
    readonly brokerUrl: string;
    readonly hardwareId: HardwareId;
    readonly csr: Uint8Array;
    readonly user?: string;
    readonly nowMs?: number;
  },
  changes: ProofChanges = {},
): Promise<string> {
  const claims = {
    aud: request.brokerUrl,
    iat: Math.floor((request.nowMs ?? Date.now()) / 1000),
    jti: base64url(randomBytes(16)),
    hardware_id: request.hardwareId,
    csr_sha256: createHash('sha256').update(request.csr).digest('base64url'),
    ...(request.user === undefined ? {} : { user: request.user }),
    ...changes.claims,
  };
  const key = await importJWK({ ...secret.publicJwk, d: base64url(secret.scalar) }, 'ES256');
  return await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({
      alg: 'ES256',
      typ: enrollmentProofTyp,
      kid: secret.integrationId,
      ...changes.header,
    })
    .sign(key);
}

/** The same request with the proof as what permits it. */
export async function withProof(
  request: EnrollmentRequest,
  secret: OrganizationSecret,
  brokerUrl: string,
  changes: ProofChanges = {},
): Promise<EnrollmentRequest> {
  const proof = await proveEnrollment(
    secret,
    {
      brokerUrl,
      hardwareId: request.hardware_id,
      csr: Buffer.from(request.csr, 'base64url'),
      ...(request.user === undefined ? {} : { user: request.user }),
    },
    changes,
  );
  return { ...request, authority: { type: 'organization_secret', proof } };
}
