import { KeyObject } from 'node:crypto';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { decodeJwt } from 'jose';
import * as z from 'zod/mini';

/** Device responses in parts, for tests that change one of them. */

const challengeParts = z.object({
  iss: z.string(),
  jti: z.string(),
  response_encryption: z.object({ kid: z.string(), jwk: z.record(z.string(), z.string()) }),
});

export type ResponseParts = {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
};

/** Header and claims of an honest answer by `signer`. */
export function partsOf(
  challenge: string,
  signer: Pick<FakeDevice, 'certificate'>,
  origin: string,
): ResponseParts {
  const { iss, jti } = challengeParts.parse(decodeJwt(challenge));
  return {
    header: {
      alg: 'ES256',
      typ: 'device-response+jwt',
      x5c: [Buffer.from(signer.certificate ?? []).toString('base64')],
    },
    claims: {
      aud: iss,
      challenge_id: jti,
      origin,
      iat: Math.floor(Date.now() / 1000),
      host_version: '0.1.0',
      key_protection: 'file',
      development: false,
      posture: { platform: 'linux', os_version: 'test' },
    },
  };
}

export const keyOf = (signer: FakeDevice) => KeyObject.from(signer.privateKey);
export const recipientOf = (challenge: string) =>
  challengeParts.parse(decodeJwt(challenge)).response_encryption;
