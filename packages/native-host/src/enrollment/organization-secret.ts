import {
  createECDH,
  createHash,
  createPrivateKey,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import {
  type EnrollmentProofClaims,
  enrollmentProofTyp,
  type HardwareId,
} from '@countersign/protocol/enrollment';
import { encodeSigningInput } from '../attest/compact-jws.ts';

/** An organization's enrollment secret: a private key that signs requests and is never sent. */
export type OrganizationSecret = { readonly integrationId: string; readonly privateKey: KeyObject };

const form = /^cses_(int_[A-Za-z0-9_-]{22})_([A-Za-z0-9_-]{43})$/;

/** Reads `cses_<integration id>_<base64url of the P-256 private scalar>`; `undefined` when it is not one. */
export function parseOrganizationSecret(text: string): OrganizationSecret | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, integrationId = '', scalar = ''] = match;
  const ecdh = createECDH('prime256v1');
  try {
    ecdh.setPrivateKey(scalar, 'base64url');
  } catch {
    // Zero, or as large as the order of the curve: no key.
    return undefined;
  }
  // 0x04, then x and y of 32 bytes each (SEC 1 section 2.3.3).
  const point = ecdh.getPublicKey();
  const privateKey = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: encodeBase64url(point.subarray(1, 33)),
      y: encodeBase64url(point.subarray(33)),
      d: scalar,
    },
  });
  return { integrationId, privateKey };
}

/** Signs what the request is about, so that whoever sees it can use it for nothing else. */
export function proveEnrollment(
  secret: OrganizationSecret,
  request: {
    readonly brokerUrl: string;
    readonly hardwareId: HardwareId;
    /** DER. */
    readonly csr: Uint8Array;
    readonly nowSeconds: number;
    readonly user?: string;
  },
): string {
  const claims: EnrollmentProofClaims = {
    aud: request.brokerUrl,
    iat: request.nowSeconds,
    jti: encodeBase64url(randomBytes(16)),
    hardware_id: request.hardwareId,
    csr_sha256: createHash('sha256').update(request.csr).digest('base64url'),
    ...(request.user === undefined ? {} : { user: request.user }),
  };
  const header = { alg: 'ES256', typ: enrollmentProofTyp, kid: secret.integrationId };
  const signingInput = encodeSigningInput(header, claims);
  const signature = sign('sha256', Buffer.from(signingInput), {
    key: secret.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signingInput}.${encodeBase64url(signature)}`;
}
