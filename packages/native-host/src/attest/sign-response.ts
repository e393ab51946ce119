import { encodeBase64url } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import {
  type DeviceResponseClaims,
  deviceResponseTyp,
  type Posture,
} from '@countersign/protocol/device-response';
import type { KeyStore } from '../keystore/keystore.ts';
import { fail, type Result } from '../result.ts';
import { encryptCompactJwe } from './compact-jwe.ts';
import { encodeSigningInput } from './compact-jws.ts';

/** What the device says about itself in a response. */
export type DeviceFacts = {
  readonly hostVersion: string;
  /** True when the host runs on a configuration that says so. */
  readonly development: boolean;
  readonly posture: Posture;
};

export type SignResponseInput = {
  /** Opened: this device may answer it. */
  readonly challenge: ChallengeClaims;
  readonly origin: string;
  /** DER. */
  readonly leafCertificate: Uint8Array;
  readonly keyStore: KeyStore;
  readonly facts: DeviceFacts;
  readonly nowSeconds: number;
};

/**
 * Signs the device response over challenge id, origin, audience, time and posture, and encrypts it to the broker, so
 * that neither a script on the page nor the sign-in server learns which device answered.
 */
export async function signResponse(
  input: SignResponseInput,
): Promise<Result<string, 'key_unavailable' | 'challenge_malformed'>> {
  const { challenge, facts, keyStore } = input;
  const claims: DeviceResponseClaims = {
    aud: challenge.iss,
    challenge_id: challenge.jti,
    origin: input.origin,
    iat: input.nowSeconds,
    host_version: facts.hostVersion,
    key_protection: keyStore.protection,
    development: facts.development,
    posture: facts.posture,
  };
  const header = {
    alg: 'ES256',
    typ: deviceResponseTyp,
    x5c: [Buffer.from(input.leafCertificate).toString('base64')],
  };
  const signingInput = encodeSigningInput(header, claims);
  const signature = await keyStore.sign(Buffer.from(signingInput));
  if (!signature.ok) return fail('key_unavailable', signature.detail);
  const jws = `${signingInput}.${encodeBase64url(signature.value)}`;
  const jwe = encryptCompactJwe(Buffer.from(jws), challenge.response_encryption);
  return jwe.ok
    ? jwe
    : fail('challenge_malformed', `the challenge's response_encryption ${jwe.detail}`);
}
