import type { UnavailableCode } from '@countersign/protocol';
import type { KeySetClaims } from '@countersign/protocol/key-set';
import type { Enrollment } from '../enrollment/enrollment-record.ts';
import type { KeyStore } from '../keystore/keystore.ts';
import { fail, type Result } from '../result.ts';
import { openChallenge, readChallenge } from './open-challenge.ts';
import { type DeviceFacts, signResponse } from './sign-response.ts';

/** What the extension hands over. */
export type AttestRequest = {
  /** Compact JWS, as the page got it from the broker. */
  readonly challenge: string;
  /** The page's origin as the browser reported it. */
  readonly origin: string;
};

/** An enrolled device: what it checks challenges against, and what it answers with. */
export type AttestingDevice = {
  readonly enrollment: Enrollment;
  readonly allowedOrigins: readonly string[];
  readonly keyStore: KeyStore;
  readonly facts: DeviceFacts;
  /** Keys of the verified key set on this device; none when there is none. */
  readonly keys: KeySetClaims['keys'];
  /** Gets a newer key set from the broker. Called at most once, for a challenge whose key is not in `keys`. */
  readonly refreshKeys: () => Promise<
    Result<KeySetClaims['keys'], 'key_set_invalid' | 'broker_unreachable'>
  >;
};

/**
 * Answers one challenge, or says why this device must not. In order: form of the challenge; its key, after one refresh
 * when unknown; then all of `openChallenge`; last the signature. Pure but for `refreshKeys` and the keystore.
 *
 * @returns compact JWE: the device response, encrypted to the broker
 */
export async function answerChallenge(
  request: AttestRequest,
  device: AttestingDevice,
  nowSeconds: number,
): Promise<Result<string, UnavailableCode>> {
  const challenge = readChallenge(request.challenge);
  if (!challenge.ok) return challenge;
  const expected = {
    origin: request.origin,
    organizationId: device.enrollment.organizationId,
    brokerUrl: device.enrollment.brokerUrl,
    allowedOrigins: device.allowedOrigins,
    nowSeconds,
  };
  let opened = openChallenge(challenge.value, { ...expected, keys: device.keys });
  if (!opened.ok && opened.reason === 'challenge_key_unknown') {
    const refreshed = await device.refreshKeys();
    if (!refreshed.ok) return fail(refreshed.reason, refreshed.detail);
    opened = openChallenge(challenge.value, { ...expected, keys: refreshed.value });
  }
  if (!opened.ok) return opened;
  return signResponse({
    challenge: opened.value,
    origin: request.origin,
    leafCertificate: device.enrollment.leafCertificate,
    keyStore: device.keyStore,
    facts: device.facts,
    nowSeconds,
  });
}
